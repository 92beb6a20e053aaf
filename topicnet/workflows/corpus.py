"""Corpus of a configuration: its source (files, counts, a named corpus, ...), and how it is read and counted."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

from topicnet.errors import CorpusError, InputError
from topicnet.runtime.memory import available_memory, readable_bytes, readable_seconds, resident_memory
from topicnet.runtime.prefetch import prefetch
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic
from topicnet.storage.run_folder import check_unchanged, read_record
from topicnet.text.corpus import Corpus
from topicnet.text.cost_estimate import CountForecast, forecast_counting
from topicnet.text.interchange.bag_files import find_vocabulary
from topicnet.text.interchange.bags import bag_format, bag_name, check_bag, read_bag
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions, shown
from topicnet.text.readers.folders import named_sources
from topicnet.text.readers.in_memory import documents_in_batches, documents_of_texts, is_table, table_of
from topicnet.text.readers.libraries import check_libraries
from topicnet.text.readers.mallet import OCTIS_COLUMNS, OCTIS_CORPUS
from topicnet.text.readers.missing import MissingValues
from topicnet.text.readers.named_corpora import Recipe, recipes
from topicnet.text.readers.read import check_lines, check_options, check_there, read_documents, source_name
from topicnet.text.tokens.language_detection import LOOKED_AT, detect_language, needs_segmenter
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.workflows.config import FitConfig
from topicnet.workflows.text_options import (
    COUNTING_OPTIONS,
    DOCUMENT_OPTIONS,
    READER_OPTIONS,
    TextPlan,
    kept_columns,
    reading_options,
    refuse_options,
    resolve_text,
)

MakeOptions = Callable[[str], TextOptions]  # from a language to its options
MIN_REPORTED_SECONDS = 2.0  # estimates of counting below this are not reported
MAX_FIRST_BATCHES = 5  # batches read before the first is counted
CHECKED_BYTES = 64 << 20  # files of counts up to this size have their checksum verified, which takes 0.1 s
SLACK = 1.5  # a job is refused if its estimated need exceeds the free memory or disk by this factor
SHOWN_ROWS, SHOWN_CHARACTERS = 3, 40  # size of the excerpt of an unusable corpus in a message


class _Source:
    """Base class of corpus sources, with the default language and an empty check."""

    language = "en"

    def check_there(self) -> None:
        """Raise CorpusError if the source does not exist, without reading it."""


@dataclass(frozen=True)
class NamedCorpus(_Source):
    """Corpus with a built-in recipe, by its name in `topicnet corpora`.

    Attributes
    ----------
    recipe : Recipe
        How to download and read it.
    """

    recipe: Recipe

    @property
    def name(self) -> str:
        """Name in `topicnet corpora`."""
        return self.recipe.name

    @property
    def language(self) -> str:  # type: ignore[override]
        """Language of the texts."""
        return self.recipe.language

    def check_there(self) -> None:
        """Raise CorpusError with the pip extra to install if a library for the download is missing."""
        self.recipe.check_libraries()

    def documents(self, log: ReadingLog) -> Iterator[Documents]:
        """Read the documents in batches."""
        return self.recipe.read()


@dataclass(frozen=True)
class TextFiles(_Source):
    """Text given as files, folders, patterns or standard input.

    Attributes
    ----------
    given : str or list of str
        The paths and patterns; "-" is standard input.
    options : ReadingOptions
        How to read them.
    """

    given: str | list[str]
    options: ReadingOptions = field(default_factory=ReadingOptions)

    @property
    def name(self) -> str:
        """Name of the first file, without its ending."""
        return source_name(self.given)

    def check_there(self) -> None:
        """Raise CorpusError if a path does not exist, or the options do not suit it."""
        check_options(self.options)
        check_lines(self.given, self.options)
        if self.given != "-":
            sources = named_sources(self.given)
            for source in sources:
                check_there(Path(source), sources)
            check_libraries(sources, self.options.file_format)

    def check_columns(self) -> None:
        """Raise CorpusError if a CSV, TSV or JSONL file lacks the columns given, by reading its first document."""
        if self.given == "-" or len(sources := named_sources(self.given)) != 1:
            return
        path = Path(sources[0])
        if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson") and path.is_file():
            next(read_documents(path, self.options, ReadingLog(), batch_docs=1), None)

    def documents(self, log: ReadingLog) -> Iterator[Documents]:
        """Read the documents in batches, and note skipped rows and the like in `log`.

        Raises
        ------
        InputError
            A file cannot be read, or contains counts.
        """
        if self.given != "-":
            _refuse_counts_among_texts(self.given)
        documents = read_documents(self.given, self.options, log)
        # Standard input is not prefetched: a thread that waits for it would outlive Ctrl-C.
        return documents if self.given == "-" else prefetch(documents)


@dataclass(frozen=True)
class InMemory(_Source):
    """Texts in memory, or a table of pandas, polars or Hugging Face.

    Attributes
    ----------
    texts : iterable of str or list of str, or table
        The documents.
    ids : sequence of str, optional
        Ids of the documents, which a table has in a column instead.
    options : ReadingOptions
        The columns of a table, and the markers of a missing value.
    """

    texts: Any
    ids: Sequence[str] | None = None
    options: ReadingOptions = field(default_factory=ReadingOptions)
    name: ClassVar[str] = "texts"

    def documents(self, log: ReadingLog) -> Iterator[Documents]:
        """Return the documents of the list or table, in batches."""
        missing = MissingValues(self.options.missing, log)
        if not is_table(self.texts):
            return iter([documents_of_texts(self.texts, self.ids, missing)])
        if self.ids is not None:
            raise InputError(
                "ids given with a table, expected id_column: name the column of the table that has the ids"
            )
        return documents_in_batches(self.texts, self.options.text_column, self.options.id_column, missing=missing)


@dataclass(frozen=True)
class SavedCounts(_Source):
    """Folder of counts, written by `topicnet prepare` or a fit.

    Attributes
    ----------
    folder : Path
        The folder.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return bag_name(self.folder)

    def load(self) -> Corpus:
        """Load the counts, memory-mapped."""
        return Corpus.load(self.folder)


@dataclass(frozen=True)
class ForeignCounts(_Source):
    """File of counts that another tool wrote.

    Attributes
    ----------
    path : str
        The file.
    file_format : str
        Its format, such as "ldac" or "mm".
    vocabulary : Path, optional
        File of the words of its columns; by default the one next to it.
    encoding : str
        Encoding of the words.
    """

    path: str
    file_format: str
    vocabulary: Path | None = None
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return bag_name(self.path)

    def check_there(self) -> None:
        """Raise CorpusError if the file, or the vocabulary next to it, does not exist."""
        check_bag(self.path)
        if self.vocabulary is None:
            find_vocabulary(Path(self.path))

    def load(self) -> Corpus:
        """Read the counts."""
        bag = read_bag(self.path, file_format=self.file_format, vocabulary=self.vocabulary, encoding=self.encoding)
        return Corpus.from_counts(bag.counts, bag.vocabulary, bag.ids, name=bag.name)


Texts = NamedCorpus | TextFiles | InMemory
Counts = SavedCounts | ForeignCounts


@dataclass(frozen=True)
class CorpusRequest:
    """Corpus to count: its source, its text options and the columns to keep.

    Attributes
    ----------
    source : NamedCorpus, TextFiles, InMemory, SavedCounts or ForeignCounts
        Where the documents come from.
    text : TextPlan
        The text options; unused for counts.
    columns : tuple of str
        Columns of the source to copy to doc_topic.csv, in the order they were named.
    keep_texts : bool
        Keep the texts with the counts.
    """

    source: Texts | Counts
    text: TextPlan = field(default_factory=TextPlan)
    columns: tuple[str, ...] = ()
    keep_texts: bool = False


def resolve_corpus(config: FitConfig) -> CorpusRequest:
    """Resolve the corpus that a configuration names, without reading it.

    Raises
    ------
    InputError
        No corpus is named, several of different kinds are, or an option has no effect on it.
    """
    source = resolve_source(config)
    text = TextPlan() if isinstance(source, Counts) else resolve_text(config)
    return CorpusRequest(source, text, kept_columns(config), config.keep_texts)


def resolve_source(config: FitConfig) -> NamedCorpus | TextFiles | Counts:
    """Resolve the source of the corpus that a configuration names.

    Raises
    ------
    InputError
        See `resolve_corpus`.
    """
    given = config.corpus
    if not given:
        raise InputError("no corpus was given, expected a file, a folder, - or one of `topicnet corpora`")
    if isinstance(given, str):
        recipe = _named_recipe(given)
        if recipe is not None:
            refuse_options(config, READER_OPTIONS, recipe.name, "a named corpus is read by its own recipe")
            return NamedCorpus(recipe)
        atomic.restore(Path(given))
        if (Path(given) / "counts.json").is_file():
            refuse_options(config, (*COUNTING_OPTIONS, *DOCUMENT_OPTIONS, *READER_OPTIONS, "vocabulary"), given)
            return SavedCounts(Path(given))
        kind = None if given == "-" else bag_format(given, config.file_format)
        if kind is not None:
            text_only = [name for name in READER_OPTIONS if name not in ("encoding", "file_format")]
            refuse_options(config, (*COUNTING_OPTIONS, *DOCUMENT_OPTIONS, *text_only), given)
            vocabulary = None if config.vocabulary is None else Path(config.vocabulary)
            return ForeignCounts(given, kind, vocabulary, config.encoding)
    return TextFiles(given, reading_options(config))


def _named_recipe(corpus: str) -> Recipe | None:
    recipe = recipes().get(corpus)
    if recipe is not None and os.path.exists(corpus):
        raise InputError(
            f"{corpus!r} is a named corpus and also a file or folder here: write ./{corpus} for the latter, or work in"
            " another folder for the named corpus"
        )
    return recipe


def _refuse_counts_among_texts(given: str | list[str]) -> None:
    """Raise InputError if one of several sources is counts, or a folder contains files of counts."""
    sources = named_sources(given)
    if len(sources) == 1 and Path(sources[0]).is_dir():
        bags = [path.name for path in sorted(Path(sources[0]).iterdir()) if path.is_file() and bag_format(path, None)]
        if bags:
            raise InputError(f"{str(sources[0])!r} contains counts, such as {bags[0]}: name the file")
        return
    if len(sources) < 2 and not isinstance(given, list):
        return
    counted = [one for one in sources if bag_format(one, None) or (Path(one) / "counts.json").is_file()]
    if counted:
        raise InputError(
            f"{str(counted[0])!r} given with others, but it holds counts, which cannot be combined: give it alone"
        )


@dataclass(frozen=True)
class Counting:
    """Settings of counting: where to store the arrays, which document data to keep, and how to tokenise.

    Attributes
    ----------
    folder : Path, optional
        Staged folder for the arrays, which are then memory-mapped; by default they stay in memory.
    excerpts : bool
        Keep the first characters of each text, for display.
    columns : tuple of str, optional
        Other columns to keep; by default all.
    every_word : bool
        Count every word, without pruning the vocabulary.
    tokenization : callable
        Tokenises the documents, in this process or on a cluster.
    """

    folder: Path | None = None
    excerpts: bool = True
    columns: tuple[str, ...] | None = None
    every_word: bool = False
    tokenization: Tokenization = tokenize_locally


def read_corpus(request: CorpusRequest, reporter: Reporter | None = None, counting: Counting | None = None) -> Corpus:
    """Read and count a corpus, or load its counts.

    Raises
    ------
    InputError
        The corpus cannot be read or counted with these options.
    """
    reporter, counting = reporter or Reporter(), counting or Counting()
    source, text = request.source, request.text
    if isinstance(source, Counts):
        corpus = source.load()
        check_columns(request.columns, corpus.metadata.columns, "the corpus has")
    else:
        lang = text.lang or source.language
        if lang != "auto":
            text.options(lang)  # raises for invalid options before anything is read
        corpus = _count(request, lang, text.options, reporter, counting)
        _report_repeated_texts(corpus, text.drop_duplicates, reporter)
        if isinstance(source, InMemory):
            corpus = replace(corpus, table=table_of(source.texts))
    _report_duplicates(corpus, reporter)
    return corpus


def count_every_word(
    request: CorpusRequest, make: MakeOptions, reporter: Reporter | None = None, folder: Path | None = None
) -> Corpus:
    """Count all words of a corpus except stop words, without pruning, or load existing counts as they are."""
    if isinstance(request.source, Counts):
        return request.source.load()
    counting = Counting(folder, every_word=True)
    return _count(request, request.text.lang or "none", make, reporter or Reporter(), counting)


def counts_of(folder: Path) -> Corpus:
    """Load the counts in a run folder, or in a folder of `topicnet prepare`."""
    if (folder / "counts.json").is_file():
        return Corpus.load(folder)
    if (folder / "corpus").is_dir():
        return corpus_of_run(folder, read_record(folder, {"files": dict}))
    if (folder / "run.json").is_file():
        raise InputError(
            f"{str(folder)!r} was saved without its corpus (--no-keep-corpus), expected a run with counts: fit again"
            " without --no-keep-corpus"
        )
    raise InputError(f"{str(folder)!r} holds no counts: expected a folder of `topicnet prepare` or `topicnet fit`")


def corpus_of_run(folder: Path, record: Mapping[str, Any]) -> Corpus:
    """Load the counts of a run and verify their checksums.

    Parameters
    ----------
    folder : Path
        The run folder.
    record : dict
        Contents of run.json.

    Raises
    ------
    BundleError
        A file is missing or was changed. Files above 64 MB, whose checksum would take seconds, are only checked as in
        `Corpus.load`.
    """
    for name in record["files"]:
        path = folder / name
        if name.startswith("corpus/") and not (path.is_file() and path.stat().st_size > CHECKED_BYTES):
            check_unchanged(folder, name, record)
    return Corpus.load(folder / "corpus")


def check_columns(columns: Sequence[str], found: list[str], where: str) -> None:
    """Raise CorpusError if a column to keep is missing."""
    for column in columns:
        if column not in found:
            has = ", ".join(found) or "none other than the text"
            raise CorpusError(f"no column {column!r} to keep: {where}: {has}; name one of them, or leave it out")


def report_reading(log: ReadingLog, corpus: Corpus, reporter: Reporter) -> None:
    """Report the findings of a reader, and keep the list of skipped rows with the corpus."""
    for line in log.notices:
        reporter.notice(line)
    if log.n_missing:
        documents = "1 document is" if log.n_missing == 1 else f"{log.n_missing:,} documents are"
        written = ", ".join(shown(marker) for marker in log.markers)
        reporter.notice(
            f"{documents} empty: the text is a marker of a missing value ({written}); --missing none reads it as text"
        )
    skipped = log.skipped
    if not skipped.count:
        return
    corpus.source["skipped"] = {"rows": skipped.count, "listed": skipped.listed}
    more = f" and {skipped.count - len(skipped.listed):,} more" if skipped.count > len(skipped.listed) else ""
    rows = "1 row" if skipped.count == 1 else f"{skipped.count:,} rows"
    reporter.notice(f"left out {rows} that could not be read: {'; '.join(skipped.listed)}{more}")


def _count(request: CorpusRequest, lang: str, make: MakeOptions, reporter: Reporter, counting: Counting) -> Corpus:
    """Count the texts of a request with the options for their language, detected if `lang` is "auto"."""
    source = request.source
    assert not isinstance(source, Counts)
    log = ReadingLog()
    batches = source.documents(log)
    first_batches = _first_batches(batches)
    check_any(log, len(first_batches))
    if not first_batches and isinstance(source, TextFiles) and not counting.every_word:
        raise CorpusError(_nothing_in(source.given))
    _check_first(request, first_batches)
    texts = [text for documents in first_batches for text in documents.texts]
    detected = None
    if lang == "auto":
        detection = detect_language(texts)
        lang, detected = detection.lang, detection.line()
        detected += f", of the first {len(texts):,}" if len(texts) >= LOOKED_AT else ""
        reporter.notice(detected)
    options = make(lang)
    if options.segmenter.name.startswith("unicode-letters") and needs_segmenter(texts):
        reporter.notice(
            f"much of this text is written without spaces between words, which --lang {lang} does not split: give"
            " --lang zh, ja, ko or auto"
        )
    if first_batches and counting.folder is not None and isinstance(source, TextFiles):
        expected = forecast_counting(first_batches[0], source.given, options)
        if expected is not None:
            _check_resources(expected, counting.folder, reporter)
    corpus = Corpus.from_documents(
        chain(first_batches, batches),
        options=options,
        every_word=counting.every_word,
        keep_texts=request.keep_texts,
        name=source.name,
        folder=counting.folder,
        excerpts=counting.excerpts,
        columns=None if counting.columns is None else list(counting.columns),
        tokenization=counting.tokenization,
    )
    check_columns(request.columns, corpus.metadata.columns, "the documents have")
    if options.vocabulary is not None and corpus.n_docs and not corpus.counts.nnz:
        raise CorpusError(_none_known(request, set(options.vocabulary), corpus.n_docs, first_batches))
    if detected:
        corpus.source["language"] = detected
    report_reading(log, corpus, reporter)
    return corpus


def _first_batches(batches: Iterator[Documents]) -> list[Documents]:
    """Read batches until there are enough documents to detect the language, 5 at most."""
    found: list[Documents] = []
    for documents in islice(batches, MAX_FIRST_BATCHES):
        found.append(documents)
        if sum(len(one.ids) for one in found) >= LOOKED_AT:
            break
    return found


def check_any(log: ReadingLog, n_documents: int) -> None:
    """Raise CorpusError if all rows of a source were skipped, with the reasons for the first ones."""
    skipped = log.skipped
    if n_documents or not skipped.count:
        return
    further = skipped.count - SHOWN_ROWS
    listed = "; ".join(skipped.listed[:SHOWN_ROWS]) + (f"; and {further:,} more" if further > 0 else "")
    rows = "the only row was" if skipped.count == 1 else f"all {skipped.count:,} rows were"
    raise CorpusError(f"no document is left: {rows} left out, as they could not be read: {listed}. Correct them")


def _nothing_in(given: str | list[str]) -> str:
    """Return the message for files without a document."""
    first, *more = [given] if isinstance(given, str) else given
    name = "standard input" if first == "-" else repr(first)
    others = f" and {len(more):,} more hold" if more else " holds"
    return f"{name}{others} no documents: expected one document per line, row or file. Check the file"


def _none_known(request: CorpusRequest, vocabulary: set[str], n_docs: int, first_batches: list[Documents]) -> str:
    """Return the message for documents without a word of the vocabulary, with the column that seems to be the text."""
    texts = [text for documents in first_batches for text in documents.texts if text.strip()]
    rows = [row for documents in first_batches for row in documents.metadata]
    known = Counter(
        name
        for row in rows[:LOOKED_AT]
        for name, value in row.items()
        if isinstance(value, str) and not vocabulary.isdisjoint(value.lower().split())
    )
    read = "the texts hold" if request.text.octis is None else f"column 1 of {OCTIS_CORPUS} holds"
    held = ", ".join(repr(shown(text[:SHOWN_CHARACTERS])) for text in texts[:SHOWN_ROWS]) or "nothing"
    example = f" (such as {min(vocabulary)!r})" if vocabulary else ""
    message = f"none of the {n_docs:,} documents holds a word of the vocabulary{example}: {read} {held}, ..."
    if not known:
        return f"{message} Check the vocabulary, --text-column and --lang"
    column = known.most_common(1)[0][0]
    if request.text.octis is None:
        return f"{message} The text seems to be the column {column!r}: name it with --text-column"
    place = OCTIS_COLUMNS.index(column) + 1
    return (
        f"{message} The text seems to be column {place}: make it the first, or give {OCTIS_CORPUS} with --format tsv"
        f" and --text-column {place}"
    )


def _check_first(request: CorpusRequest, first_batches: list[Documents]) -> None:
    """Raise CorpusError if a column to keep is missing from the first rows of a format with fixed columns."""
    source = request.source
    if not first_batches or not isinstance(source, TextFiles):
        return
    if str(source.given).endswith((".csv", ".tsv", ".parquet", ".xlsx", ".xls", ".xlsb", ".ods")):
        found = dict.fromkeys(column for row in first_batches[0].metadata for column in row)
        check_columns(request.columns, list(found), f"the first {len(first_batches[0].ids):,} documents have")


def check_memory(what: str, memory_bytes: float, advice: str) -> None:
    """Raise InputError if a job needs more than 1.5 times the free memory."""
    free, more = available_memory(), memory_bytes - resident_memory()
    if free is not None and more > SLACK * free:
        raise InputError(
            f"{what} needs about {readable_bytes(more)} more memory, and {readable_bytes(free)} are free: {advice}"
        )


def _check_resources(expected: CountForecast, folder: Path, reporter: Reporter) -> None:
    """Report the estimated cost of counting if it is large, and refuse it above 1.5 times the free memory or disk."""
    seconds, memory, disk = expected.seconds, expected.memory_bytes, expected.disk_bytes
    if seconds > MIN_REPORTED_SECONDS:
        reporter.notice(
            f"counting about {expected.n_docs:,} documents: {readable_seconds(seconds)}, {readable_bytes(memory)} of"
            f" memory and {readable_bytes(disk)} on disk"
        )
    check_memory("counting this corpus", memory, "count a part of it, or use a larger machine")
    space = shutil.disk_usage(folder).free
    if disk > SLACK * space:
        raise InputError(
            f"the counts of this corpus need about {readable_bytes(disk)}, and {readable_bytes(space)} are free on the"
            " disk of --out: choose a folder on another disk with --out"
        )


def _report_repeated_texts(corpus: Corpus, dropped: bool, reporter: Reporter) -> None:
    """Report documents that repeat the text of an earlier one."""
    found = corpus.source.get("duplicates")
    if found is None:
        return
    documents = "1 document repeats" if found["count"] == 1 else f"{found['count']:,} documents repeat"
    later, earlier = (corpus.ids[number - 1] for number in found["example"])
    such_as = f"{documents} the text of an earlier one (e.g. document {later!r} repeats {earlier!r})"
    what = "only the first of each is counted" if dropped else "--drop-duplicates counts only the first of each"
    reporter.notice(f"{such_as}: {what}")


def _report_duplicates(corpus: Corpus, reporter: Reporter) -> None:
    """Report ids that several documents share."""
    n_more = corpus.n_docs - len(set(corpus.ids))
    if n_more == 0:
        return
    seen: set[str] = set()
    twice = next(i for i in corpus.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
    documents = "1 document shares" if n_more == 1 else f"{n_more:,} documents share"
    reporter.notice(f"{documents} an id with another document (e.g. {twice!r}); all are kept, in input order")
