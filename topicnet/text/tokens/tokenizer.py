"""Tokenizers: from texts to lower-cased words, each with the name by which a saved model remembers it."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import polars as pl

from topicnet.errors import InputError
from topicnet.text.tokens.cleaning import tokenize_with_numbers
from topicnet.text.tokens.languages import SEGMENTED, TOKEN_PATTERN, TOKENIZER, check_language, stop_words, tokenize
from topicnet.text.tokens.lemmas import LEMMA_LANGUAGES, Lemmas, load_lemmas
from topicnet.text.tokens.segmenters import SEGMENTERS, Segmenter, load_segmenter, quiet_import

__all__ = ["KINDS", "Tokenizer", "choose_tokenizer", "stop_words"]

KINDS = ("letters", "spacy", "spaces", *SEGMENTERS)
# Languages whose spaCy rules were tried on topic words. They are no default: "letters" takes an elision apart as well
# (l'homme: homme), keeps both parts of "U-Bahn-Linie", where spaCy's one token is no word of letters, and is 100 times
# as fast; spaCy's are for those who want its contractions and lemmas.
SPACY_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt", "ru")
_WORD = f"^{TOKEN_PATTERN}$"
_SEGMENTER_OF = {lang: kind for kind, (lang, _, _) in SEGMENTERS.items()}


class Tokenizer(Protocol):
    """Splits texts into words.

    Attributes
    ----------
    name : str
        What a saved model remembers, with the versions of what may cut otherwise in another version:
        "unicode-letters-1", "jieba-0.42.1", "spacy-de-3.8.18+lemmas-de-1.0.5".
    """

    @property
    def name(self) -> str:
        """What a saved model remembers."""
        ...

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text.

        Parameters
        ----------
        texts : polars Series of str

        Returns
        -------
        polars Series of list of str
            One list a text, in order; words in lower case and in Unicode's composed form (NFC). None for None.
        """
        ...


def choose_tokenizer(
    lang: str, kind: str | None = None, lemmatize: bool = False, *, numbers: bool = False
) -> Tokenizer:
    """Choose what cuts the text of a language into words.

    Parameters
    ----------
    lang : str
        Two-letter code, or "none".
    kind : {"letters", "spacy", "spaces", "jieba", "sudachi", "kiwi"}, optional
        By default "letters" for languages written with spaces between words, and the segmenter of zh, ja and ko.
        "spaces" is for text that is parted already: a word is whatever stands between spaces.
    lemmatize : bool
        Words in dictionary form: by tables, or with "spacy" by a pipeline of the language that is installed
        (en_core_web_sm, de_core_news_sm, ...). For ja also one spelling of a word; ko is in dictionary form anyhow.
    numbers : bool
        Words may hold digits; only with "letters" ("spaces" keeps them anyhow).

    Raises
    ------
    InputError
        The language is not known, the kind does not cut it, or something has to be installed.
    """
    code = check_language(lang)
    kind = kind or _SEGMENTER_OF.get(code, "letters")
    _check_kind(code, kind)
    if numbers and kind not in ("letters", "spaces"):
        raise InputError(
            f"--keep-numbers given with the tokenizer {kind}, which counts words of letters: leave it away, or give"
            " --tokenizer spaces for text that is parted already"
        )
    if kind in SEGMENTERS:
        return _segmented(code, kind, lemmatize)
    if kind == "spacy":
        model = _spacy_model(code) if lemmatize else None
        if model is not None:
            return SpacyPipeline(model)
    plain: Tokenizer
    match kind:
        case "spacy":
            plain = SpacyRules(code)
        case "spaces":
            plain = Spaces()
        case _:
            plain = LettersAndDigits() if numbers else Letters()
    if not lemmatize:
        return plain
    if code == "none" or code in SEGMENTED:
        raise InputError(
            f"--lemmatize given with --lang {code} and the tokenizer {kind}: leave it away, or give one"
            f" of the languages {', '.join(LEMMA_LANGUAGES)}"
        )
    return Lemmatized(plain, load_lemmas(code), frozenset(stop_words(code)))


def _check_kind(code: str, kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"--tokenizer {kind!r} given, expected one of: {', '.join(KINDS)}")
    if kind in SEGMENTERS and SEGMENTERS[kind][0] != code:
        raise InputError(f"--tokenizer {kind} given with --lang {code}: it cuts {SEGMENTERS[kind][0]} only")
    if kind == "spacy" and code not in SPACY_LANGUAGES:
        raise InputError(
            f"--tokenizer spacy given with --lang {code}, expected one of: {', '.join(SPACY_LANGUAGES)};"
            " leave it away for the language's own tokenizer"
        )
    if kind == "letters" and code in SEGMENTED:
        raise InputError(
            f"--tokenizer letters given with --lang {code}: letters in a row are no words in {SEGMENTED[code]}; give"
            f" {_SEGMENTER_OF[code]}, or spaces for text that is parted already"
        )


class Letters:
    """Two or more letters in a row; see `topicnet.text.tokens.languages.tokenize`."""

    name = TOKENIZER

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        return tokenize(texts)


class LettersAndDigits:
    """Letters and digits in a row; see `topicnet.text.tokens.cleaning.tokenize_with_numbers`."""

    name = "unicode-letters-digits-1"

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        return tokenize_with_numbers(texts)


class Spaces:
    """Text that is parted already: a word is whatever stands between white space."""

    name = "spaces-1"

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        return texts.str.to_lowercase().str.normalize("NFC").str.extract_all(r"\S+")


class SpacyRules:
    """The tokenizer of a blank spaCy pipeline; tokens of two or more letters are words."""

    def __init__(self, lang: str) -> None:
        spacy = _spacy()
        self.name = f"spacy-{lang}-{version('spacy')}"
        self._nlp = spacy.blank(lang)

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        with self._nlp.memory_zone():
            documents = self._nlp.tokenizer.pipe(texts.drop_nulls())
            tokens = [[token.text for token in document] for document in documents]
        return _words(texts, tokens, _WORD)


class SpacyPipeline:
    """The lemmas of a trained spaCy pipeline that the user has installed."""

    def __init__(self, model: str) -> None:
        spacy = _spacy()
        self.name = f"spacy-{model}-{version(model)}-{version('spacy')}"
        self._nlp = spacy.load(model, exclude=["parser", "ner"])

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        given = texts.drop_nulls()
        # The limit guards the memory of the parser and of entity recognition, which are left out.
        self._nlp.max_length = max(self._nlp.max_length, int(given.str.len_chars().max() or 0) + 1)  # type: ignore[arg-type]
        with self._nlp.memory_zone():
            tokens = [[_lemma(token) for token in document] for document in self._nlp.pipe(given)]
        return _words(texts, tokens, _WORD)


class Segmented:
    """The content words that a segmenter finds."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.name = segmenter.name
        self._segmenter = segmenter

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        return _words(texts, list(self._segmenter.words(texts.drop_nulls().to_list())))


class Lemmatized:
    """The words of another tokenizer in dictionary form; stop words stay, so that each is known for one.

    Spanish "como" (as) would else become "comer" (to eat).
    """

    def __init__(self, plain: Tokenizer, lemmas: Lemmas, kept: frozenset[str]) -> None:
        self.name = f"{plain.name}+{lemmas.name}"
        self._plain = plain
        self._lemmas = lemmas
        self._kept = pl.Series(sorted(kept), dtype=pl.String)

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The words of each text."""
        words = self._plain(texts)
        distinct = words.explode().drop_nulls().unique()
        distinct = distinct.filter(~distinct.is_in(self._kept.implode()))
        lemmas = self._lemmas(distinct)
        other = lemmas != distinct
        return words.list.eval(pl.element().replace(distinct.filter(other), lemmas.filter(other)))


def _segmented(code: str, kind: str, lemmatize: bool) -> Tokenizer:
    if lemmatize and code == "zh":
        raise InputError("--lemmatize given with --lang zh: Chinese words have one form; leave it away")
    return Segmented(load_segmenter(kind, True) if lemmatize and code == "ja" else load_segmenter(kind))


def _spacy() -> Any:
    if importlib.util.find_spec("spacy") is None:
        raise InputError("--tokenizer spacy needs spaCy: pip install spacy")
    return quiet_import("spacy")


def _spacy_model(code: str) -> str | None:
    """The smallest trained pipeline of a language that is installed."""
    source = "web" if code == "en" else "news"
    for size in ("sm", "md", "lg"):
        model = f"{code}_core_{source}_{size}"
        if importlib.util.find_spec(model) is not None:
            try:
                version(model)
            except PackageNotFoundError:  # a folder that happens to have the name
                continue
            return model
    return None


def _lemma(token: Any) -> str:
    """A token's lemma where it is one word, else the token."""
    lemma: str = token.lemma_
    return lemma if lemma.isalpha() else token.text


def _words(texts: pl.Series, tokens: list[list[str]], pattern: str | None = None) -> pl.Series:
    """Tokens of the texts that are not None, as words: in lower case, composed, and those a pattern fits."""
    word = pl.element().str.to_lowercase().str.normalize("NFC")
    if pattern is not None:
        word = word.filter(word.str.contains(pattern))
    words = pl.Series(texts.name, tokens, dtype=pl.List(pl.String)).list.eval(word)
    if texts.null_count() == 0:
        return words
    rows = pl.when(texts.is_not_null()).then(texts.is_not_null().cum_sum() - 1)
    return words.gather(pl.select(rows).to_series())
