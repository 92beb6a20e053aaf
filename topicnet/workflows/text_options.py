"""The text pipeline that a configuration asks for: its options, and which of them make sense together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from topicnet.errors import InputError
from topicnet.text.phrases import JOINT
from topicnet.text.readers.read import octis_vocabulary
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.options import TextOptions
from topicnet.text.tokens.word_lists import read_words
from topicnet.text.vocabulary import Pruning
from topicnet.workflows.config import FitConfig

# Options that say how text is cut and which words are counted: settled for a corpus that is counted already.
OF_CHOOSING = ("phrases", "stop_words", "add_stop_words", "min_df", "max_df", "max_vocab")
OF_COUNTING = (
    "lang", "tokenizer", "lemmatize", *OF_CHOOSING, "drop_urls", "drop_emails", "strip_html", "keep_numbers",
)  # fmt: skip
OF_READING = ("text_column", "id_column", "encoding", "file_format", "skip_bad_rows")


def text_options(config: FitConfig, lang: str) -> TextOptions:
    """How the text of a configuration's corpus becomes counted words."""
    options = TextOptions(
        lang=lang,
        stop_words=_stop_words(config.stop_words),
        more_stop_words=_stop_words(config.add_stop_words) or (),
        pruning=Pruning(config.min_df, config.max_df, config.max_vocab),
        tokenizer=config.tokenizer,
        lemmatize=config.lemmatize,
        cleaning=Cleaning(
            drop_urls=config.drop_urls,
            drop_emails=config.drop_emails,
            strip_html=config.strip_html,
            keep_numbers=config.keep_numbers,
        ),
        phrases=config.phrases,
    )
    if config.vocabulary is not None:
        refuse_options(config, OF_CHOOSING, config.vocabulary, "--vocabulary settles which words are counted")
        words = read_words(Path(config.vocabulary), "vocabulary", options.segmenter, one_a_line=True)
        return _counting_just(options, words)
    octis = resolve_octis_vocabulary(config)
    return options if octis is None else with_vocabulary(replace(options, lang="none", tokenizer="spaces"), octis)


def resolve_octis_vocabulary(config: FitConfig) -> list[str] | None:
    """The vocabulary of an OCTIS folder, which leaves no room for options; None for any other corpus."""
    octis = None if not isinstance(config.corpus, str) else octis_vocabulary(Path(config.corpus))
    if octis is not None:
        refuse_options(config, OF_COUNTING, str(config.corpus))
    return octis


def with_vocabulary(options: TextOptions, words: Iterable[str]) -> TextOptions:
    """Options that count just these words, cut as the text is; one of several words is a phrase."""
    split = [word if options.tokenizer == "spaces" else word.replace(JOINT, " ") for word in words]
    cut = options.segmenter(pl.Series(split, dtype=pl.String)).to_list()
    return _counting_just(options, [JOINT.join(parts) for parts in cut if parts])


def refuse_options(config: FitConfig, names: Iterable[str], where: str, why: str = "") -> None:
    """Raise InputError if an option was given that the corpus leaves no room for."""
    fields = FitConfig.model_fields
    given = [name for name in names if getattr(config, name) != fields[name].default]
    if given:
        option = "--format" if given[0] == "file_format" else "--" + given[0].replace("_", "-")
        reason = why or f"the words of {where!r} are settled"
        raise InputError(f"{option} given, but {reason}: leave it out, or give the text alone")


def _counting_just(options: TextOptions, words: list[str]) -> TextOptions:
    phrases = tuple(tuple(word.split(JOINT)) for word in words if JOINT in word and options.tokenizer != "spaces")
    return replace(options, vocabulary=tuple(dict.fromkeys(words)), phrases=phrases or False)


def _stop_words(path: str | None) -> tuple[str, ...] | None:
    return None if path is None else tuple(read_words(path, "stop words", may_be_empty=True))
