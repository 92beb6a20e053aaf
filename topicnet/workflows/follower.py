"""Choice of where a fit runs (this process, torchrun or Ray), and the work of torchrun ranks above 0 in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from topicnet.errors import InputError
from topicnet.runtime.distributed import distributed
from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.runtime.reporter import Reporter
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Counting, read_corpus
from topicnet.workflows.engine import Engine, check_size, learn_tuned
from topicnet.workflows.fit import FitJob
from topicnet.workflows.option_checks import check_workers


@contextmanager
def engine_of(config: FitConfig) -> Iterator[Engine | None]:
    """Context manager: yield the engine that a configuration selects; None on torchrun ranks above 0.

    These ranks take part with `follow_fit` and must not print.

    Raises
    ------
    InputError
        The engine is not available, or is given in a process of torchrun.
    """
    check_workers(config)
    with distributed() as world:
        if world is not None and config.corpus == "-":
            raise InputError(
                f"- given to {world.size} processes, expected a corpus that each can read: write it to a file"
            )
        if world is not None and not world.is_rank_zero:
            yield None
        elif config.engine == "local":
            yield Engine(learn=learn_tuned)
        elif world is not None:
            raise InputError(
                "--engine ray given to a process of torchrun: start it without torchrun, as Ray starts its own workers"
            )
        else:
            from topicnet.workflows.ray_engine import ray_engine

            with ray_engine(config.device, config.workers) as engine:
                yield engine
        if world is not None:
            world.wait()  # torchrun stops all processes as soon as one exits with a status other than 0


def follow_fit(job: FitJob) -> tuple[bool, bool]:
    """Take part in the fits that rank 0 runs with `fit_to_folder`, without writing.

    Each process reads and counts the corpus itself.

    Returns
    -------
    bool, bool
        Whether a fit was interrupted, and whether any finished fit is fit for use.
    """
    reporter = Reporter()
    interrupted = fit_for_use = False
    with TemporaryDirectory(prefix="topicnet.counts.") as place:
        corpus = read_corpus(job.corpus, reporter, Counting(Path(place)))
        check_size(corpus, job.model.n_topics, job.model.passages)
        with deferred_interrupt():
            for number in range(job.seeds):
                plan = job.model.with_seed(number)
                model = plan.build()
                interrupted = learn_tuned(plan, model, corpus, None, reporter)
                if number == 0 or not interrupted:
                    fit_for_use = fit_for_use or model.health_.fit_for_use
                if interrupted:
                    break
    return interrupted, fit_for_use
