"""How text becomes tokens, and which tokens are counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.text.readers.missing import NONE, missing_markers
from topicnet.text.tokens.cleaning import Cleaning
from topicnet.text.tokens.languages import check_language, stop_words
from topicnet.text.tokens.tokenizer import Tokenizer, choose_tokenizer, folds_letters
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
    min_tokens : int
        Documents with fewer counted words count as if they had none (status "short").
    drop_duplicates : bool
        Documents that repeat the text of an earlier one count as if they had no words (status "duplicate").
    missing : str or sequence of str, optional
        Markers of a missing value in addition to the usual ones: see `missing_markers`. A text that is only a
        marker is empty.
    fold_letters : bool
        Fold ligatures and full-width letters and join soft hyphens: see `topicnet.text.tokens.letters`. Off for models
        of version 0.1.0.
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
    min_tokens: int = 0
    drop_duplicates: bool = False
    missing: str | tuple[str, ...] | None = None
    fold_letters: bool = True
    cutter: Tokenizer | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_language(self.lang)
        for name in ("stop_words", "more_stop_words", "vocabulary"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{name}={getattr(self, name)!r} given, expected a list of words: put it in brackets")
        if isinstance(self.min_tokens, bool) or not isinstance(self.min_tokens, int) or self.min_tokens < 0:
            raise InputError(f"min_tokens={self.min_tokens!r} given, expected a whole number from 0, such as 5")
        object.__setattr__(self, "missing", (NONE, *missing_markers(self.missing)))

    @property
    def markers(self) -> tuple[str, ...]:
        """All markers of a missing value, folded to one case."""
        return missing_markers(self.missing)

    @cached_property
    def segmenter(self) -> Tokenizer:
        """What splits texts into words."""
        if self.cutter is not None:
            return self.cutter
        return choose_tokenizer(
            self.lang, self.tokenizer, self.lemmatize, numbers=self.cleaning.keep_numbers, fold=self.fold_letters
        )

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
            "min_tokens": self.min_tokens,
            "missing": list(self.markers),
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
        min_tokens=described.get("min_tokens", 0),
        missing=(NONE, *described.get("missing", ())),
        fold_letters=folds_letters(described["tokenizer"]),
    )
    needed, found = described["tokenizer"], options.segmenter.name
    if needed != found:
        raise InputError(
            f"the model's text was cut by {needed}, but here is {found}: the same text would give other words;"
            f" install {needed} or fit anew"
        )
    return options
