"""How text becomes tokens, and which tokens are counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.languages import check_language, stop_words
from topicnet.text.tokens.tokenizer import Tokenizer, choose_tokenizer
from topicnet.text.vocabulary import Pruning

Phrases = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TextOptions:
    """How text becomes tokens and which tokens are counted.

    Attributes
    ----------
    lang : str
        Two-letter code, or "none" for no stop words.
    stop_words : tuple of str, optional
        Takes the place of the language's stop words.
    more_stop_words : tuple of str
        Dropped beside those.
    pruning : Pruning
        Bounds on document frequencies.
    tokenizer : str, optional
        "letters", "spacy", "spaces", "jieba", "sudachi" or "kiwi"; by default what suits the language.
    lemmatize : bool
        Count the dictionary form of words.
    cleaning : Cleaning
        What is taken out of texts first.
    phrases : bool or tuple
        Whether to look for phrases, and count each as one word; or the phrases, each a tuple of words.
    vocabulary : tuple of str, optional
        Count just these words.
    cutter : Tokenizer, optional
        Cuts in place of the tokenizer, into the same words; see `topicnet.text.tokens.multiprocess`.
    """

    lang: str = "en"
    stop_words: tuple[str, ...] | None = None
    pruning: Pruning = field(default_factory=Pruning)
    more_stop_words: tuple[str, ...] = ()
    tokenizer: str | None = None
    lemmatize: bool = False
    cleaning: Cleaning = field(default_factory=Cleaning)
    phrases: bool | Phrases = False
    vocabulary: tuple[str, ...] | None = None
    cutter: Tokenizer | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_language(self.lang)
        for name in ("stop_words", "more_stop_words", "vocabulary"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{name}={getattr(self, name)!r} given, expected a list of words: put it in brackets")

    @cached_property
    def segmenter(self) -> Tokenizer:
        """What splits texts into words."""
        if self.cutter is not None:
            return self.cutter
        return choose_tokenizer(self.lang, self.tokenizer, self.lemmatize, numbers=self.cleaning.keep_numbers)

    def tokens(self, texts: pl.Series) -> pl.Series:
        """The words of each text, a list of str."""
        return self.segmenter(self.cleaning(texts))

    def dropped(self) -> list[str]:
        """The stop words, cut as the tokenizer cuts."""
        own = stop_words(self.lang, self.segmenter) if self.stop_words is None else self._cut(self.stop_words)
        return sorted({*own, *self._cut(self.more_stop_words)})

    def _cut(self, words: tuple[str, ...]) -> list[str]:
        if not words:
            return []
        return self.segmenter(pl.Series(words, dtype=pl.String)).explode().drop_nulls().to_list()

    def describe(self) -> dict[str, Any]:
        """What a saved model remembers of its text pipeline, as JSON values."""
        pruning = self.pruning
        described = {
            "tokenizer": self.segmenter.name,
            "lang": self.lang,
            "stop_words": self.dropped(),
            "min_df": pruning.min_df,
            "max_df": pruning.max_df,
            "max_vocab": pruning.max_vocab,
        }
        # What is off is not written: models of earlier versions did not know of it.
        extra = {
            "tokenizer_kind": self.tokenizer,
            "lemmatize": self.lemmatize,
            "cleaning": {name: on for name, on in self.cleaning.describe().items() if on},
            "phrases": [list(words) for words in self.phrases] if isinstance(self.phrases, tuple) else self.phrases,
            "vocabulary": "given" if self.vocabulary is not None else None,
        }
        return described | {name: value for name, value in extra.items() if value}


def options_of(described: dict[str, Any]) -> TextOptions:
    """The options that read new text as a saved model's was read; nothing is pruned and no word dropped.

    Raises
    ------
    InputError
        The segmenter is another than the model's, or another version of it.
    """
    phrases = described.get("phrases", False)
    options = TextOptions(
        lang=described.get("lang", "none"),
        stop_words=(),
        tokenizer=described.get("tokenizer_kind"),
        lemmatize=bool(described.get("lemmatize", False)),
        cleaning=Cleaning(**described.get("cleaning", {})),
        phrases=tuple(tuple(words) for words in phrases) if phrases else False,
    )
    needed, found = described["tokenizer"], options.segmenter.name
    if needed != found:
        raise InputError(
            f"the model's text was cut by {needed}, but here is {found}: the same text would give other words;"
            f" install {needed} or fit anew"
        )
    return options
