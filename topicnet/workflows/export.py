"""What is made of a finished run: theta of new documents, and its tables in other formats."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topicnet import files
from topicnet.bundle import Bundle, load_bundle
from topicnet.config import FitConfig
from topicnet.core.threads import worker_count
from topicnet.errors import CorpusError, InputError
from topicnet.models import GMNTM
from topicnet.results import Run, load, read_record
from topicnet.sources import (
    Notice,
    check_columns,
    counted_corpus,
    counts_of,
    documents_of,
    holds_counts,
    kept_columns,
    note_skipped,
    silent,
)
from topicnet.tables import choose_format, write_doc_table, write_passage_table, write_word_table
from topicnet.text.bags import bag_format, write_ldac, write_matrix_market
from topicnet.text.counts import Corpus
from topicnet.text.options import options_of
from topicnet.text.rows import SkippedRows
from topicnet.text.spread import check_workers, is_worth_spreading

COUNT_FORMATS = ("ldac", "mm")


def transform_to_file(
    run: Path,
    config: FitConfig,
    out: Path,
    *,
    refine: int,
    overwrite: bool,
    by_passage: Path | None = None,
    workers: int | None = None,
    on_notice: Notice = silent,
) -> Corpus:
    """Infer theta of new documents, write it, and return the documents as they were counted.

    Text is cut in as many processes as there are `workers`: by default, where that takes seconds, on all cores.
    """
    file_format = choose_format(out, None)
    if workers is not None:
        check_workers(workers)
    if not overwrite:
        files.refuse_existing(out)
    bundle = load_bundle(run)
    if by_passage is not None:
        passage_format = _format_of_passages(by_passage, out, bundle, overwrite)
    resolved = with_columns_of(run, config)
    corpus = _count_new(bundle, resolved, workers, on_notice)
    if corpus.n_docs == 0:
        raise CorpusError(f"{config.corpus!r} holds no documents: expected one document a line, a row or a file")
    check_columns(resolved, corpus.metadata.columns, "the documents")
    kept = corpus.metadata.select(kept_columns(resolved))
    theta = bundle.theta(corpus, refine)
    status = corpus.status.tolist()
    write_doc_table(out, corpus.ids, status, theta, file_format, kept=kept, overwrite=overwrite)
    if by_passage is not None:
        write_passage_table(by_passage, bundle, corpus, refine, passage_format, overwrite=overwrite)
    return corpus


def _in_words_of(bundle: Bundle, counted: Corpus, on_notice: Notice) -> Corpus:
    """Counts in the words of a model, if they were cut as its text was.

    Raises
    ------
    InputError
        Another tokenizer cut them.
    """
    mine, theirs = counted.source["options"], bundle.text
    elsewhere = mine.get("counted_elsewhere") or theirs.get("counted_elsewhere")
    if not elsewhere and mine["tokenizer"] != theirs["tokenizer"]:
        raise InputError(
            f"the model's text was cut by {theirs['tokenizer']}, these counts by {mine['tokenizer']}: give the text, or"
            " counts made alike"
        )
    missing = len(set(bundle.vocabulary) - set(counted.vocabulary))
    if missing:
        on_notice(
            f"{missing:,} of the model's {len(bundle.vocabulary):,} words are not in the vocabulary of these counts: if"
            " they were left out there, give the text"
        )
    return counted.over(bundle.vocabulary)


def _format_of_passages(path: Path, out: Path, bundle: Bundle, overwrite: bool) -> str:
    if os.path.realpath(path) == os.path.realpath(out):
        raise InputError(f"{str(path)!r} was named for documents and passages: give each a file of its own")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"--by-passage {str(path)!r} given, but {str(path.parent)!r} is no folder: name another place")
    if "passages" not in bundle.text:
        raise InputError("--by-passage given, but the model was fitted to whole documents: fit with --passages first")
    found = choose_format(path, None)
    if found == "npz":
        raise InputError(f"--by-passage {str(path)!r} given, expected .csv or .parquet: give such an ending")
    if not overwrite:
        files.refuse_existing(path)
    return found


def _count_new(bundle: Bundle, config: FitConfig, workers: int | None, on_notice: Notice) -> Corpus:
    """New documents in the words of a model: texts, or counts whose columns have names."""
    counted = counted_corpus(config)
    if counted is not None:
        if workers is not None and workers > 1:
            on_notice(f"--workers {workers} given, but these are counts: there is no text to cut")
        return _in_words_of(bundle, counted, on_notice)
    if bundle.text.get("counted_elsewhere"):
        on_notice(f"the model was fitted to counts made elsewhere: the text is cut by {bundle.text['tokenizer']}")
    skipped = SkippedRows() if config.skip_bad_rows else None
    if workers is not None and workers > 1 and not is_worth_spreading(options_of(bundle.text)):
        cut = bundle.text["tokenizer"]
        on_notice(f"--workers {workers} given, but {cut} uses all cores in one process: no other is started")
    documents = documents_of(config, skipped)
    corpus = bundle.count(documents, worker_count() if workers is None else workers, at_once=workers is not None)
    note_skipped(skipped, corpus, on_notice)
    return corpus


def with_columns_of(run: Path, config: FitConfig) -> FitConfig:
    """The configuration with the columns of the fit, where the user has named none."""
    named = {"text_column", "id_column"} & config.model_fields_set
    if named or holds_counts(config) or not (run / "run.json").is_file():
        return config
    before = read_record(run)["config"]
    return config.model_copy(
        update={name: before.get(name) or getattr(config, name) for name in ("text_column", "id_column")}
    )


def export_tables(
    run: Path, targets: Mapping[str, Path | None], file_format: str | None, top: int, *, overwrite: bool
) -> list[str]:
    """Write the tables asked for and return a line about each.

    Parameters
    ----------
    run : Path
        A run folder; for the counts alone, a folder of `topicnet prepare` too.
    targets : mapping of str to Path
        Where to write "doc-topic", "topic-word", "doc-component", "component-word" and "counts".

    Raises
    ------
    InputError
        No table was asked for, one the model does not have, or in an unknown format.
    OutputError
        A file exists, or the disk refuses.
    """
    asked = {name: path for name, path in targets.items() if path is not None}
    if not asked:
        options = ", ".join(f"--{name} FILE" for name in targets)
        raise InputError(f"nothing to export was named: give one or more of {options}")
    places = [os.path.realpath(path) for path in asked.values()]
    if len(set(places)) < len(places):
        twice = next(path for path in asked.values() if places.count(os.path.realpath(path)) > 1)
        raise InputError(f"{str(twice)!r} was named for two tables: give each a file of its own")
    formats = {name: _format_of(name, path, file_format) for name, path in asked.items()}
    if not overwrite:
        for path in asked.values():
            files.refuse_existing(path)
    counts, written = asked.pop("counts", None), list[Path]()
    if counts is not None:
        write = write_ldac if formats["counts"] == "ldac" else write_matrix_market
        corpus = counts_of(run)
        written += write(counts, corpus.counts, corpus.vocabulary, overwrite=overwrite)
    if asked:
        loaded = load(run)
        writers = export_writers(loaded, top)
        for name in asked:
            if name not in writers:
                raise InputError(f"--{name} given, but {loaded.bundle.name} has no components: only gmntm has")
        for name, path in asked.items():
            writers[name](path, formats[name], overwrite)
    return [f"wrote {path}" for path in [*written, *asked.values()]]


def _format_of(name: str, path: Path, asked: str | None) -> str:
    """The format to write a target in.

    Raises
    ------
    InputError
        None that such a thing can be written in is asked for or named by the file's ending.
    """
    if name != "counts":
        if asked in COUNT_FORMATS:
            raise InputError(f"--format {asked} given for --{name}: {asked} is a format of counts, give --counts FILE")
        return choose_format(path, asked)
    found = bag_format(path, asked)
    if found not in COUNT_FORMATS:
        given = f"--format {asked!r}" if asked is not None else f"file {str(path)!r}"
        raise InputError(f"{given} given for --counts, expected ldac or mm: give --format or such an ending")
    return found


def export_writers(run: Run, top: int) -> dict[str, Callable[[Path, str, bool], None]]:
    """For each table a run has, what writes it to a file in a format."""
    words = run.vocabulary

    def of_documents(unit: str, shares: NDArray[np.float32]) -> Callable[[Path, str, bool], None]:
        return lambda path, file_format, overwrite: write_doc_table(
            path, run.ids, run.status, shares, file_format, unit=unit, kept=run.kept, overwrite=overwrite
        )

    def of_words(unit: str, beta: NDArray[np.float32]) -> Callable[[Path, str, bool], None]:
        return lambda path, file_format, overwrite: write_word_table(
            path, beta, words, top, file_format, unit=unit, overwrite=overwrite
        )

    writers = {"doc-topic": of_documents("topic", run.theta), "topic-word": of_words("topic", run.model.components_)}
    if run.components is not None and isinstance(run.model, GMNTM):
        writers["doc-component"] = of_documents("component", run.components)
        writers["component-word"] = of_words("component", run.model.component_word_)
    return writers
