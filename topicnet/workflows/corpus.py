"""The corpus a configuration names: a recipe, files, counts or standard input, read and counted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from topicnet.errors import CorpusError, InputError
from topicnet.runtime.memory import available_memory, readable_bytes, readable_seconds, resident_memory
from topicnet.runtime.prefetch import prefetch
from topicnet.text.corpus import Corpus
from topicnet.text.cost_estimate import CountForecast, forecast_counting
from topicnet.text.interchange.bags import bag_format, bag_name, read_bag
from topicnet.text.readers.documents import Documents, SkippedRows
from topicnet.text.readers.folders import named_sources
from topicnet.text.readers.in_memory import documents_in_batches, documents_of_texts
from topicnet.text.readers.named_corpora import Recipe, recipes
from topicnet.text.readers.read import check_there, read_documents, source_name
from topicnet.text.tokens.language_detection import LOOKED_AT, detect_language, needs_segmenter
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.tokenize import Tokenization, tokenize_locally
from topicnet.workflows.config import FitConfig
from topicnet.workflows.text_options import (
    OF_COUNTING,
    OF_READING,
    refuse_options,
    resolve_octis_vocabulary,
    text_options,
)

Notice = Callable[[str], None]
MakeOptions = Callable[[str], TextOptions]  # for a language
WORTH_SAYING = 2.0  # seconds that counting must take for a forecast to be of use
MOST_AHEAD = 5  # batches read before the first is counted
SLACK = 1.5  # forecasts are rough


def silent(line: str) -> None:
    """Take a notice and say nothing."""


def corpus_name(config: FitConfig) -> str:
    """What the corpus of a configuration is called."""
    if not config.corpus:
        raise InputError("no corpus was given, expected a file, a folder, - or one of `topicnet corpora`")
    if isinstance(config.corpus, list):
        return source_name(config.corpus[0])
    recipe = named_recipe(config.corpus)
    if recipe:
        return recipe.name
    return bag_name(config.corpus) if holds_counts(config) else source_name(config.corpus)


def check_corpus_there(config: FitConfig) -> None:
    """Raise InputError if no corpus is named, or one that is not there: what can be told at once."""
    corpus_name(config)
    given = config.corpus
    if given is None or given == "-" or holds_counts(config) or (isinstance(given, str) and named_recipe(given)):
        return
    for source in named_sources(given):
        check_there(Path(source))


def counted_folder(config: FitConfig) -> Path | None:
    """The folder of counts that a configuration names as its corpus, if it is one."""
    if not isinstance(config.corpus, str):
        return None
    folder = Path(config.corpus)
    return folder if (folder / "counts.json").is_file() else None


def holds_counts(config: FitConfig) -> bool:
    """Whether a configuration names a corpus that is counted already, by us or by another tool."""
    if not isinstance(config.corpus, str) or config.corpus == "-":
        return False
    return counted_folder(config) is not None or bag_format(config.corpus, config.file_format) is not None


def documents_of(config: FitConfig, skipped: SkippedRows | None = None) -> Iterator[Documents]:
    """The documents of the corpus a configuration names, in batches."""
    assert config.corpus is not None
    recipe = named_recipe(config.corpus) if isinstance(config.corpus, str) else None
    if recipe is not None:
        return recipe.read()
    documents = read_documents(
        config.corpus,
        text_column=config.text_column,
        id_column=config.id_column,
        encoding=config.encoding,
        file_format=config.file_format,
        skipped=skipped,
    )
    # A thread that waits for standard input would outlive Ctrl-C.
    return documents if config.corpus == "-" else prefetch(documents)


def read_corpus(
    config: FitConfig,
    folder: Path | None = None,
    on_notice: Notice = silent,
    *,
    excerpts: bool = True,
    columns: list[str] | None = None,
    tokenization: Tokenization = tokenize_locally,
) -> Corpus:
    """Read and count the corpus a configuration names, into a staged folder where one is given.

    Without `excerpts` nothing of the texts is kept, not even for showing; of the other columns all, or just `columns`.

    Raises
    ------
    InputError
        What was given cannot be read or counted so.
    """
    corpus_name(config)
    counted = counted_corpus(config)
    if counted is not None:
        _note_duplicates(counted, on_notice)
        check_columns(config, counted.metadata.columns, "the corpus has")
        return counted
    recipe = named_recipe(config.corpus) if isinstance(config.corpus, str) else None
    if recipe is not None:
        refuse_options(config, OF_READING, recipe.name, "a named corpus is read as its recipe says")
    lang = config.lang or (recipe.language if recipe else "en")
    if lang == "auto":
        resolve_octis_vocabulary(config)
    else:
        text_options(config, lang)  # what cannot be is refused before anything is read
    skipped = SkippedRows() if config.skip_bad_rows else None
    documents = documents_of(config, skipped)
    corpus = _count(
        documents,
        config,
        lang,
        lambda lang: text_options(config, lang),
        folder,
        on_notice,
        excerpts=excerpts,
        columns=columns,
        tokenization=tokenization,
    )
    note_skipped(skipped, corpus, on_notice)
    _note_duplicates(corpus, on_notice)
    return corpus


def note_skipped(skipped: SkippedRows | None, corpus: Corpus, on_notice: Notice) -> None:
    """Say which rows were left out, and keep the list with the corpus."""
    if skipped is None or not skipped.count:
        return
    corpus.source["skipped"] = {"rows": skipped.count, "listed": skipped.listed}
    more = f" and {skipped.count - len(skipped.listed):,} more" if skipped.count > len(skipped.listed) else ""
    rows = "1 row" if skipped.count == 1 else f"{skipped.count:,} rows"
    on_notice(f"left out {rows} that could not be read: {'; '.join(skipped.listed)}{more}")


def corpus_in_memory(texts: Any, config: FitConfig, make: MakeOptions, ids: Sequence[str] | None) -> Corpus:
    """Count texts, or one column of a table, with the options for their language, detected if the config says so."""
    if _is_table(texts):
        if ids is not None:
            raise InputError("ids were given beside a table: name its column of ids with id_column")
        batches = documents_in_batches(texts, config.text_column, config.id_column)
    else:
        batches = iter([documents_of_texts(texts, ids)])
    return _count(batches, config, config.lang or "en", make, None, silent)


def _first_batches(batches: Iterator[Documents]) -> list[Documents]:
    """As many batches as hold documents enough to tell a language by, a few at most."""
    found: list[Documents] = []
    for documents in islice(batches, MOST_AHEAD):
        found.append(documents)
        if sum(len(one.ids) for one in found) >= LOOKED_AT:
            break
    return found


def _count(
    batches: Iterator[Documents],
    config: FitConfig,
    lang: str,
    make: MakeOptions,
    folder: Path | None,
    on_notice: Notice,
    *,
    every_word: bool = False,
    excerpts: bool = True,
    columns: list[str] | None = None,
    tokenization: Tokenization = tokenize_locally,
) -> Corpus:
    ahead = _first_batches(batches)
    batches = chain(ahead, batches)
    first = ahead[0] if ahead else None
    if first is not None and str(config.corpus).endswith((".csv", ".tsv", ".parquet", ".xlsx")):
        found = dict.fromkeys(column for row in first.metadata for column in row)  # which no later row adds to
        check_columns(config, list(found), f"the first {len(first.ids):,} documents have")
    texts = [text for documents in ahead for text in documents.texts]
    detected = None
    if lang == "auto":
        detection = detect_language(texts)
        lang, detected = detection.lang, detection.line()
        detected += f", of the first {len(texts):,}" if len(texts) >= LOOKED_AT else ""
        on_notice(detected)
    options = make(lang)
    if options.segmenter.name.startswith("unicode-letters") and needs_segmenter(texts):
        on_notice(
            f"much of this text is written without spaces between words, which --lang {lang} does not cut: give --lang"
            " zh, ja, ko or auto"
        )
    if first is not None and folder is not None and config.corpus is not None:
        expected = forecast_counting(first, config.corpus, options)
        if expected is not None:
            _check_resources(expected, folder, on_notice)
    name = corpus_name(config) if config.corpus is not None else "texts"
    corpus = Corpus.from_documents(
        batches,
        options=options,
        every_word=every_word,
        keep_texts=config.keep_texts,
        name=name,
        folder=folder,
        excerpts=excerpts,
        columns=columns,
        tokenization=tokenization,
    )
    check_columns(config, corpus.metadata.columns, "the documents have")
    if detected:
        corpus.source["language"] = detected
    return corpus


def count_every_word(
    config: FitConfig, make: MakeOptions, folder: Path | None = None, on_notice: Notice = silent
) -> Corpus:
    """Count all words of the corpus a configuration names but the stop words of the options; counts keep their own."""
    counted = counted_corpus(config)
    if counted is not None:
        return counted
    skipped = SkippedRows() if config.skip_bad_rows else None
    lang = config.lang or "none"
    corpus = _count(documents_of(config, skipped), config, lang, make, folder, on_notice, every_word=True)
    note_skipped(skipped, corpus, on_notice)
    return corpus


def counts_of(folder: Path) -> Corpus:
    """The counts of a run, or of a folder that `prepare` wrote."""
    if (folder / "counts.json").is_file():
        return Corpus.load(folder)
    if (folder / "corpus").is_dir():
        return Corpus.load(folder / "corpus")
    if (folder / "run.json").is_file():
        raise InputError(f"{str(folder)!r} was saved without its corpus (--no-keep-corpus): there are no counts in it")
    raise InputError(f"{str(folder)!r} holds no counts: expected a folder of `topicnet prepare` or `topicnet fit`")


def named_recipe(corpus: str) -> Recipe | None:
    """The recipe of a named corpus, or None for a path.

    Raises
    ------
    InputError
        The name stands for a recipe and for something in this folder.
    """
    recipe = recipes().get(corpus)
    if recipe is not None and os.path.exists(corpus):
        raise InputError(
            f"{corpus!r} is a named corpus and also something in this folder: write ./{corpus} for what is here, or"
            " work in another folder for the named corpus"
        )
    return recipe


def kept_columns(config: FitConfig) -> list[str]:
    """Columns of the source that stand in doc_topic.csv, in the order they were named."""
    named = [config.label_column, config.time_column, *config.keep_columns]
    return list(dict.fromkeys(column for column in named if column is not None))


def counted_corpus(config: FitConfig) -> Corpus | None:
    """The corpus of a configuration that names counts, ours or another tool's."""
    if not holds_counts(config):
        _refuse_counts_among_others(config)
        return None
    corpus = str(config.corpus)
    folder = counted_folder(config)
    if folder is not None:
        refuse_options(config, (*OF_COUNTING, *OF_READING, "vocabulary"), corpus)
        return Corpus.load(folder)
    refuse_options(config, (*OF_COUNTING, "text_column", "id_column", "skip_bad_rows"), corpus)
    kind = str(bag_format(corpus, config.file_format))
    vocabulary = None if config.vocabulary is None else Path(config.vocabulary)
    bag = read_bag(corpus, file_format=kind, vocabulary=vocabulary, encoding=config.encoding)
    return Corpus.from_counts(bag.counts, bag.vocabulary, bag.ids, name=bag.name)


def _refuse_counts_among_others(config: FitConfig) -> None:
    """Raise InputError if counts are among several sources, or in a folder that is no corpus of ours."""
    if config.corpus is None or config.corpus == "-" or named_recipe(str(config.corpus)):
        return
    sources = named_sources(config.corpus)
    if len(sources) == 1 and Path(sources[0]).is_dir():
        bags = [path.name for path in sorted(Path(sources[0]).iterdir()) if path.is_file() and bag_format(path, None)]
        if bags:
            raise InputError(f"{str(sources[0])!r} holds counts, such as {bags[0]}: name the file")
        return
    if len(sources) < 2 and not isinstance(config.corpus, list):
        return
    counted = [one for one in sources if bag_format(one, None) or (Path(one) / "counts.json").is_file()]
    if counted:
        raise InputError(
            f"{str(counted[0])!r} given with others, but it holds counts, which make a corpus alone: give it by itself"
        )


def _is_table(texts: Any) -> bool:
    """Whether this is a table of pandas, polars or Hugging Face, told by name: none of them need be installed."""
    return type(texts).__name__ in ("DataFrame", "LazyFrame", "Dataset", "DatasetDict")


def _check_resources(expected: CountForecast, folder: Path, on_notice: Notice) -> None:
    """Say what counting will take if it is much, and refuse what cannot fit: half as much again as there is."""
    seconds, memory, disk = expected.seconds, expected.memory_bytes, expected.disk_bytes
    if seconds > WORTH_SAYING:
        on_notice(
            f"counting about {expected.n_docs:,} documents: {readable_seconds(seconds)}, {readable_bytes(memory)} of"
            f" memory and {readable_bytes(disk)} on disk"
        )
    free, space = available_memory(), shutil.disk_usage(folder).free
    more = memory - resident_memory()
    if free is not None and more > SLACK * free:
        raise InputError(
            f"counting this corpus needs about {readable_bytes(more)} more memory, and {readable_bytes(free)} are free:"
            " count a part of it, or use a larger machine"
        )
    if disk > SLACK * space:
        raise InputError(
            f"the counts of this corpus need about {readable_bytes(disk)}, and {readable_bytes(space)} are free on the"
            " disk of --out: name a place on another with --out"
        )


def check_columns(config: FitConfig, found: list[str], where: str) -> None:
    """Raise CorpusError if a column that shall be kept is not there."""
    for column in kept_columns(config):
        if column not in found:
            has = ", ".join(found) or "none beside the text"
            raise CorpusError(f"no column {column!r} to keep: {where}: {has}; name one of them, or leave it out")


def _note_duplicates(corpus: Corpus, on_notice: Notice) -> None:
    """Say so if ids do not tell documents apart; the rows still stand in input order."""
    if len(set(corpus.ids)) == corpus.n_docs:
        return
    seen: set[str] = set()
    twice = next(i for i in corpus.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
    n_more = corpus.n_docs - len(set(corpus.ids))
    on_notice(f"{n_more:,} documents have an id that another has too (such as {twice!r}): all are kept, in input order")
