"""Inference of the topic proportions (theta) of new documents, written to a file."""

from __future__ import annotations

from pathlib import Path

from topicnet.errors import CorpusError, InputError
from topicnet.runtime.reporter import Reporter
from topicnet.storage.run_folder import read_record
from topicnet.text.corpus import Corpus
from topicnet.text.readers.documents import ReadingLog
from topicnet.text.readers.missing import NONE
from topicnet.text.readers.read import are_lines
from topicnet.text.tokens.multiprocess import check_workers, is_worth_multiprocessing
from topicnet.text.tokens.options import options_of
from topicnet.workflows.bundle import Bundle, load_bundle
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import (
    Counts,
    TextFiles,
    Texts,
    check_any,
    check_columns,
    report_reading,
    resolve_corpus,
    resolve_source,
)
from topicnet.workflows.inputs import inputs_of
from topicnet.workflows.preflight import check_corpus, check_files
from topicnet.workflows.tables import choose_format, passage_table, write_doc_table, write_table
from topicnet.workflows.topics import ENTRIES


def transform_to_file(
    run: Path,
    config: FitConfig,
    out: Path,
    *,
    refine: int,
    overwrite: bool,
    by_passage: Path | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> Corpus:
    """Infer theta of new documents and write it to a file.

    Parameters
    ----------
    run : Path
        A run folder.
    config : FitConfig
        Names the documents, and how to read them.
    out : Path
        File for theta: .csv, .parquet or .npz.
    refine : int
        EM steps on theta after the encoder.
    overwrite : bool
        Replace files that topicnet wrote.
    by_passage : Path, optional
        File for the table of passages: .csv or .parquet.
    workers : int, optional
        Number of processes that tokenise the text; by default all cores if it takes seconds.
    reporter : Reporter, optional
        Receives the notices of reading.

    Returns
    -------
    Corpus
        The counts of the documents.

    Raises
    ------
    TopicnetError
        The run or the documents cannot be used, or a file cannot be written.
    """
    file_format = choose_format(out, None)
    if workers is not None:
        check_workers(workers)
    passage_format = "" if by_passage is None else _format_of_passages(by_passage)
    check_corpus(config)
    check_files([out, by_passage], [("the run", run), *inputs_of(config, "the documents")], overwrite=overwrite)
    bundle = load_bundle(run)
    if by_passage is not None and "passages" not in bundle.text:
        raise InputError("--by-passage given, but the model was fitted to whole documents: fit with --passages first")
    request = resolve_corpus(with_columns_of(run, config))
    corpus = _count_new(bundle, request.source, workers, reporter or Reporter())
    if corpus.n_docs == 0:
        raise CorpusError(f"{config.corpus!r} holds no documents: expected one document per line, row or file")
    check_columns(request.columns, corpus.metadata.columns, "the documents have")
    kept = corpus.metadata.select(request.columns)
    theta = bundle.theta(corpus, refine)
    status = corpus.status.tolist()
    write_doc_table(out, corpus.ids, status, theta, file_format, kept=kept, overwrite=overwrite)
    if by_passage is not None:
        write_table(by_passage, passage_table(bundle, corpus, refine), passage_format, overwrite=overwrite)
    return corpus


def _in_words_of(bundle: Bundle, counted: Corpus, reporter: Reporter) -> Corpus:
    """Select the words of a model from counts; raise InputError if the text was tokenised differently."""
    mine, theirs = counted.source["options"], bundle.text
    elsewhere = mine.get("counted_elsewhere") or theirs.get("counted_elsewhere")
    if not elsewhere and mine["tokenizer"] != theirs["tokenizer"]:
        raise InputError(
            f"the model's text was tokenised by {theirs['tokenizer']}, these counts by {mine['tokenizer']}: give the"
            f" text, or counts made by {theirs['tokenizer']}"
        )
    missing = len(set(bundle.vocabulary) - set(counted.vocabulary))
    if missing:
        reporter.notice(
            f"{missing:,} of the model's {len(bundle.vocabulary):,} words are not in the vocabulary of these counts: if"
            " they were pruned from it, give the text"
        )
    return counted.over(bundle.vocabulary)


def _format_of_passages(path: Path) -> str:
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(
            f"--by-passage {str(path)!r} given, but {str(path.parent)!r} is not a folder: choose another folder"
        )
    found = choose_format(path, None)
    if found == "npz":
        raise InputError(f"--by-passage {str(path)!r} given, expected .csv or .parquet: give one of these endings")
    return found


def _count_new(bundle: Bundle, source: Texts | Counts, workers: int | None, reporter: Reporter) -> Corpus:
    """Count new documents, texts or counts of another corpus, in the vocabulary of a model."""
    if isinstance(source, Counts):
        if workers is not None and workers > 1:
            reporter.notice(f"--workers {workers} given, but these are counts: there is no text to tokenise")
        return _in_words_of(bundle, source.load(), reporter)
    tokenizer = bundle.text["tokenizer"]
    if bundle.text.get("counted_elsewhere"):
        reporter.notice(f"the model was fitted to counts of another tool: the text is tokenised by {tokenizer}")
    log = ReadingLog()
    if workers is not None and workers > 1 and not is_worth_multiprocessing(options_of(bundle.text)):
        reporter.notice(
            f"--workers {workers} given, but {tokenizer} uses all cores in one process: no other process is started"
        )
    documents = source.documents(log)
    from topicnet.runtime.threads import worker_count  # imports torch, so only after the checks

    corpus = bundle.count(documents, worker_count() if workers is None else workers, at_once=workers is not None)
    check_any(log, corpus.n_docs)
    report_reading(log, corpus, reporter)
    return corpus


def with_columns_of(run: Path, config: FitConfig) -> FitConfig:
    """Return the configuration with the columns and missing-value markers of the fit, unless it names its own."""
    source = resolve_source(config)
    if not isinstance(source, TextFiles) or not (run / "run.json").is_file():
        return config
    record = read_record(run, ENTRIES)
    before, update = record["config"], {}
    has_columns = not are_lines(source.given, config.file_format)
    if has_columns and not {"text_column", "id_column"} & config.model_fields_set:
        update = {name: before.get(name) or getattr(config, name) for name in ("text_column", "id_column")}
    if "missing" not in config.model_fields_set:
        update["missing"] = [NONE, *record["text"].get("missing", [])]
    return config.model_copy(update=update)
