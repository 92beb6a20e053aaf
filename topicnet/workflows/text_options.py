"""Text options of a configuration: language, tokenizer, stop words, vocabulary and pruning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.text.phrases import JOINT
from topicnet.text.readers.documents import ReadingOptions
from topicnet.text.readers.missing import missing_markers
from topicnet.text.readers.read import octis_vocabulary
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.word_lists import read_words
from topicnet.text.vocabulary import Pruning
from topicnet.workflows.config import FitConfig

# Options on which words are counted, and on how text is tokenised; they have no meaning for counts.
VOCABULARY_OPTIONS = ("phrases", "stop_words", "add_stop_words", "min_df", "max_df", "max_vocab")
COUNTING_OPTIONS = (
    "lang", "tokenizer", "lemmatize", *VOCABULARY_OPTIONS, "drop_urls", "drop_emails", "strip_html", "keep_numbers",
)  # fmt: skip
READER_OPTIONS = tuple(one.name for one in fields(ReadingOptions) if one.name in FitConfig.model_fields)
DOCUMENT_OPTIONS = ("drop_duplicates", "min_tokens")  # options on which documents are counted

Words = str | tuple[str, ...] | None  # the path of a file of words, the words themselves, or none


@dataclass(frozen=True)
class TextPlan:
    """Text options of a corpus, before its language is known.

    Attributes
    ----------
    lang : str, optional
        Language of the text; "auto" to detect it, None for that of the corpus.
    tokenizer : str, optional
        See `TextOptions`, as for `lemmatize`, `phrases`, `min_tokens`, `drop_duplicates` and `missing`.
    stop_words, add_stop_words, vocabulary : str or tuple of str, optional
        A file of words, or the words.
    pruning : Pruning
        Bounds on document frequencies.
    cleaning : Cleaning
        What to remove from the texts first.
    octis : Path, optional
        OCTIS folder whose vocabulary is used, which overrides all other options.
    """

    lang: str | None = None
    tokenizer: str | None = None
    lemmatize: bool = False
    phrases: bool = False
    stop_words: Words = None
    add_stop_words: Words = None
    vocabulary: Words = None
    min_tokens: int = 0
    drop_duplicates: bool = False
    missing: str | list[str] | None = None
    pruning: Pruning = field(default_factory=Pruning)
    cleaning: Cleaning = field(default_factory=Cleaning)
    octis: Path | None = None

    def options(self, lang: str) -> TextOptions:
        """Read the files of words and return the text options for a language.

        Raises
        ------
        InputError
            A file of words cannot be read, or an option does not suit the language.
        """
        options = TextOptions(
            lang=lang,
            stop_words=_stop_words(self.stop_words),
            more_stop_words=_stop_words(self.add_stop_words) or (),
            pruning=self.pruning,
            tokenizer=self.tokenizer,
            lemmatize=self.lemmatize,
            cleaning=self.cleaning,
            phrases=self.phrases,
            min_tokens=self.min_tokens,
            drop_duplicates=self.drop_duplicates,
            missing=self.missing if isinstance(self.missing, str | None) else tuple(self.missing),
        )
        if isinstance(self.vocabulary, str):
            words = read_words(Path(self.vocabulary), "vocabulary", options.segmenter, one_a_line=True)
            return _counting_only(options, words)
        if self.vocabulary is not None:
            return with_vocabulary(options, self.vocabulary)
        octis = None if self.octis is None else octis_vocabulary(self.octis)
        return options if octis is None else with_vocabulary(replace(options, lang="none", tokenizer="spaces"), octis)


def resolve_text(config: FitConfig) -> TextPlan:
    """Resolve the text options of a configuration.

    Raises
    ------
    InputError
        Two of the options exclude each other.
    """
    octis = Path(config.corpus) if isinstance(config.corpus, str) else None
    if octis is not None and octis_vocabulary(octis) is None:
        octis = None
    if config.vocabulary is not None:
        refuse_options(config, VOCABULARY_OPTIONS, config.vocabulary, "--vocabulary names the words to count")
    elif octis is not None:
        refuse_options(config, COUNTING_OPTIONS, str(octis), f"the vocabulary of {str(octis)!r} is fixed")
    pruning, cleaning = Pruning(**_shared_values(Pruning, config)), Cleaning(**_shared_values(Cleaning, config))
    return TextPlan(**_shared_values(TextPlan, config), pruning=pruning, cleaning=cleaning, octis=octis)


def reading_options(config: FitConfig) -> ReadingOptions:
    """Return the options for reading the corpus of a configuration."""
    named = {"missing": missing_markers(config.missing), "kept": kept_columns(config)}
    return ReadingOptions(**_shared_values(ReadingOptions, config) | named)


def kept_columns(config: FitConfig) -> tuple[str, ...]:
    """Return the columns of the source to copy to doc_topic.csv, in the order they were named."""
    named = [config.label_column, config.time_column, *config.keep_columns]
    return tuple(dict.fromkeys(column for column in named if column is not None))


def _shared_values(kind: type, config: FitConfig) -> dict[str, Any]:
    """Return the values of a configuration that have the names of a dataclass's fields."""
    return config.model_dump(include={one.name for one in fields(kind)})


def with_vocabulary(options: TextOptions, words: Iterable[str]) -> TextOptions:
    """Return options that count only these words, tokenised like the text.

    An entry of several words is a phrase.
    """
    split = [word if options.tokenizer == "spaces" else word.replace(JOINT, " ") for word in words]
    tokens = options.segmenter(pl.Series(split, dtype=pl.String)).to_list()
    return _counting_only(options, [JOINT.join(parts) for parts in tokens if parts])


def refuse_options(config: FitConfig, names: Iterable[str], where: str, why: str = "") -> None:
    """Raise InputError if an option was given that has no effect on this corpus."""
    fields = FitConfig.model_fields
    given = [name for name in names if getattr(config, name) != fields[name].default]
    if given:
        option = "--format" if given[0] == "file_format" else "--" + given[0].replace("_", "-")
        reason = why or f"{where!r} holds counts, not text"
        raise InputError(f"{option} given, but {reason}: leave it out, or give the text itself")


def _counting_only(options: TextOptions, words: list[str]) -> TextOptions:
    phrases = tuple(tuple(word.split(JOINT)) for word in words if JOINT in word and options.tokenizer != "spaces")
    return replace(options, vocabulary=tuple(dict.fromkeys(words)), phrases=phrases or False)


def _stop_words(words: Words) -> tuple[str, ...] | None:
    return tuple(read_words(words, "stop words", may_be_empty=True)) if isinstance(words, str) else words
