"""Taking part in a fit that another process prints and writes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import read_corpus
from topicnet.workflows.engine import build_model, check_size, learn, of_seed


def follow_fit(config: FitConfig) -> tuple[bool, bool]:
    """Make the fits that the first process makes with `run.fit_to_folder`, and write nothing.

    The corpus is read, and where it is text counted, by each process for itself.

    Returns
    -------
    bool, bool
        Whether a fit was interrupted, and whether any that counts is fit for use.
    """
    build_model(config)
    interrupted = fit_for_use = False
    with TemporaryDirectory(prefix="topicnet.counts.") as place:
        corpus = read_corpus(config, Path(place))
        check_size(corpus, config.topics)
        with deferred_interrupt():
            for number in range(config.seeds):
                one = of_seed(config, number)
                model = build_model(one)
                interrupted = learn(corpus, one, model)
                if number == 0 or not interrupted:
                    fit_for_use = fit_for_use or model.health_.fit_for_use
                if interrupted:
                    break
    return interrupted, fit_for_use
