"""TextOptions: options for tokenising text and choosing the words to count."""

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
    """Options for tokenising text and choosing the words to count.

    Each parameter is an attribute of the same name.

    Parameters
    ----------
    lang : str, default "en"
        Two-letter code of the language, which selects the stop words and the tokenizer; "none" for no stop words.
    stop_words : tuple of str, optional
        Use these instead of the stop words of the language.
    pruning : Pruning, optional
        Bounds on document frequencies. Default: `Pruning()`.
    more_stop_words : tuple of str, optional
        Drop these too. Default: none.
    tokenizer : {"letters", "spacy", "spaces", "jieba", "sudachi", "kiwi"}, optional
        The tokenizer. By default the one for the language.
    lemmatize : bool, default False
        Count words in their dictionary form.
    cleaning : Cleaning, optional
        What to remove from the texts first. Default: nothing.
    phrases : bool or tuple of tuple of str, default False
        Find phrases and count each as one word; or the phrases to count, each a tuple of words.
    vocabulary : tuple of str, optional
        Count only these words.
    min_tokens : int, default 0
        A document with fewer counted words than this is counted as if it had none (status "short").
    drop_duplicates : bool, default False
        A document that repeats the text of an earlier one is counted as if it had no words (status "duplicate").
    missing : str or tuple of str, optional
        Markers of a missing value in addition to the usual ones ("NA", "null", ...), separated by commas if a string;
        see `topicnet.text.readers.missing.missing_markers`. A text that is only a marker is empty. The attribute
        holds all markers.
    fold_letters : bool, default True
        Fold ligatures and full-width letters and remove soft hyphens; see `topicnet.text.tokens.letters`. False
        reproduces the words of version 0.1.0.
    cutter : Tokenizer, optional
        A faster tokenizer that returns the same words; see `topicnet.text.tokens.multiprocess`.

    Attributes
    ----------
    markers
    segmenter

    Raises
    ------
    InputError
        The language is unknown, a list of words is a string, `min_tokens` is not a whole number from 0, or a marker is
        not a string.

    Examples
    --------
    >>> import topicnet
    >>> options = topicnet.TextOptions(more_stop_words=("dogs",), min_tokens=2)
    >>> corpus = topicnet.Corpus.from_texts(["Cats chase the mice.", "Dogs bark."], options=options)
    >>> corpus.vocabulary
    ['cats', 'chase', 'mice']
    >>> corpus.status.tolist()
    ['ok', 'short']
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
        """All markers of a missing value, case-folded and sorted.

        Examples
        --------
        >>> TextOptions(missing="none,unknown").markers  # "none" first: without the usual markers
        ('unknown',)
        """
        return missing_markers(self.missing)

    @cached_property
    def segmenter(self) -> Tokenizer:
        """The tokenizer of these options: `cutter` if there is one, otherwise the choice of `choose_tokenizer`.

        Examples
        --------
        >>> TextOptions(lang="de").segmenter.name
        'unicode-letters-2'
        """
        if self.cutter is not None:
            return self.cutter
        return choose_tokenizer(
            self.lang, self.tokenizer, self.lemmatize, numbers=self.cleaning.keep_numbers, fold=self.fold_letters
        )

    def tokens(self, texts: pl.Series) -> pl.Series:
        """Clean texts and split them into words.

        Parameters
        ----------
        texts : polars Series of str, length n
            The texts; None stays None.

        Returns
        -------
        polars Series of list of str, length n
            The lower-cased words of each text, stop words included.

        Examples
        --------
        >>> import polars as pl
        >>> TextOptions().tokens(pl.Series(["The cats chase mice!"])).to_list()
        [['the', 'cats', 'chase', 'mice']]
        """
        return self.segmenter(self.cleaning(texts))

    def dropped(self) -> list[str]:
        """Return the stop words in the form that the tokenizer gives them.

        Returns
        -------
        list of str
            Sorted, each once.

        Examples
        --------
        >>> TextOptions(stop_words=("The",), more_stop_words=("don't",)).dropped()
        ['don', 'the']
        """
        own = stop_words(self.lang, self.segmenter) if self.stop_words is None else self._tokenized(self.stop_words)
        return sorted({*own, *self._tokenized(self.more_stop_words)})

    def _tokenized(self, words: tuple[str, ...]) -> list[str]:
        if not words:
            return []
        return self.segmenter(pl.Series(words, dtype=pl.String)).explode().drop_nulls().to_list()

    def describe(self) -> dict[str, Any]:
        """Describe the text pipeline as JSON values, for a saved model.

        Returns
        -------
        dict
            The tokenizer with its version, the language, the stop words and the pruning, and other options that
            differ from their default.

        Examples
        --------
        >>> described = TextOptions(lang="none").describe()
        >>> described["tokenizer"], described["stop_words"]
        ('unicode-letters-2', [])
        """
        pruning = self.pruning
        described = {
            "tokenizer": self.segmenter.name,
            "lang": self.lang,
            "stop_words": self.dropped(),
            "min_df": pruning.min_df,
            "max_df": pruning.max_df,
            "max_vocab": pruning.max_vocab,
        }
        # Options that are off are left out, as in models of earlier versions, which did not have them.
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
    """Rebuild the options of a saved model from `TextOptions.describe`, without pruning and stop words.

    Raises
    ------
    InputError
        The tokenizer that is installed differs from the model's, in kind or in version.
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
            f"the model's text was tokenised by {needed}, but {found} is installed, which can give other words for the"
            f" same text: install {needed} or fit again"
        )
    return options
