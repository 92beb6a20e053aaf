"""Checks of a whole command (corpus, options and outputs) before its corpus is read and torch is imported.

Everything is checked again where it is used; these checks only report errors sooner. Those of the model and the
engine are in `option_checks`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from topicnet.errors import InputError
from topicnet.storage import atomic
from topicnet.storage.overlap import Named, check_apart
from topicnet.storage.run_folder import Destination
from topicnet.text.tokens.tokenizer import check_libraries
from topicnet.training.resumable import check_destination, unfinished_of
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Counts, NamedCorpus, TextFiles, resolve_corpus
from topicnet.workflows.inputs import WORD_LISTS, inputs_of
from topicnet.workflows.option_checks import check_options
from topicnet.workflows.text_options import TextPlan


def run_name(source: str, model: str, topics: int) -> str:
    """Return the default name of a run folder: NAME-MODEL-K."""
    return f"{source}-{model}-{topics}"


def check_fit(config: FitConfig, destination: Destination, config_file: Path | None = None) -> None:
    """Check the corpus, the options and the run folder of a fit.

    Raises
    ------
    TopicnetError
        One of them cannot be used; the fit itself would raise the same.
    """
    check_options(config)
    source = _check_counted(config)
    if os.environ.get("RANK", "0") != "0":  # only rank 0 writes
        return
    target = destination.folder(run_name(source.name, config.model, config.topics))
    check_outputs([target, unfinished_of(target).folder], inputs_of(config), config_file)
    check_destination(target, overwrite=destination.overwrite, resume=destination.resume)


def check_corpus(config: FitConfig) -> NamedCorpus | TextFiles | Counts | Any:
    """Check a corpus and its text options without reading it, and return its source."""
    request = resolve_corpus(config)
    request.source.check_there()
    if not isinstance(request.source, Counts):
        _check_text(request.text, request.source.language)
    return request.source


def _check_counted(config: FitConfig) -> NamedCorpus | TextFiles | Counts | Any:
    """Check a corpus as `check_corpus` does, and that its first document has the columns given."""
    source = check_corpus(config)
    if isinstance(source, TextFiles):
        source.check_columns()
    return source


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Named], config_file: Path | None = None) -> None:
    """Raise InputError if an output is one of the inputs of a command, or its configuration file."""
    also = [] if config_file is None else [("the configuration", config_file)]
    check_apart(outputs, [*inputs, *also])


def check_counting(config: FitConfig, out: Path, *, overwrite: bool) -> None:
    """Check that a corpus can be counted and its counts written."""
    _check_counted(config)
    atomic.refuse_occupied(out)
    check_outputs([out], inputs_of(config))
    atomic.probe_folder(atomic.check_folder(out, overwrite=overwrite))


def check_files(outputs: Iterable[Path | None], inputs: Iterable[Named], *, overwrite: bool) -> None:
    """Check that files can be written and are not inputs of the command."""
    written = [path for path in outputs if path is not None]
    check_outputs(written, inputs)
    for path in written:
        atomic.probe_file(path, overwrite=overwrite, recognised=True)


def _check_text(plan: TextPlan, language: str) -> None:
    """Check language, tokenizer and files of words, which are read only if the language is known."""
    lang = plan.lang or language
    given = {name: one for name in WORD_LISTS if isinstance(one := getattr(plan, name), str)}
    if lang != "auto":
        check_libraries(lang, plan.tokenizer, plan.lemmatize)
        if not any(Path(one).is_fifo() for one in given.values()):  # a pipe can be read once only
            plan.options(lang)
        return
    for name, one in given.items():
        if not os.path.exists(one):
            raise InputError(f"cannot read the file of --{name.replace('_', '-')} {one!r}: check the path")
