"""Tokenizers, chosen by language and name; each splits texts into lower-cased words."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.runtime.extras import check_installed
from topicnet.runtime.forking import check_can_use_polars
from topicnet.text.tokens.cleaning import tokenize_with_numbers
from topicnet.text.tokens.languages import SEGMENTED, TOKEN_PATTERN, TOKENIZER, check_language, stop_words, tokenize
from topicnet.text.tokens.lemmas import LEMMA_LANGUAGES, load_lemmas
from topicnet.text.tokens.letters import DOTLESS, FOLDED, JOINERS, beyond_ascii, fold_letters, lower_turkish
from topicnet.text.tokens.segmenters import SEGMENTERS, load_segmenter, quiet_import

KINDS = ("letters", "spacy", "spaces", *SEGMENTERS)
# Languages whose spaCy rules were evaluated on topic words. "letters" is the default instead: it also splits elisions
# (l'homme: homme), keeps the parts of "U-Bahn-Linie", which spaCy makes one token that is not a word of letters, and is
# 100 times as fast. spaCy is for those who want its contractions and lemmas.
SPACY_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt", "ru")
_WORD = f"^{TOKEN_PATTERN}$"
_SEGMENTER_OF = {lang: kind for kind, (lang, _) in SEGMENTERS.items()}


@dataclass(frozen=True)
class Tokenizer:
    """Function that splits texts into words, with a name that identifies it in saved models.

    Attributes
    ----------
    name : str
        Includes the version of each part whose results can change between versions: "unicode-letters-2",
        "jieba-0.42.1+folded-1", "unicode-letters-2+lemmas-de-1.0.5".
    function : callable
        Maps a polars Series of texts to a Series of lists of words.
    """

    name: str
    function: Callable[[pl.Series], pl.Series]

    def __call__(self, texts: pl.Series) -> pl.Series:
        """Split texts into words.

        Parameters
        ----------
        texts : polars Series of str, length n

        Returns
        -------
        polars Series of list of str, length n
            The words of each text, lower-cased and in Unicode's composed form (NFC). None stays None.
        """
        return self.function(texts)


def choose_tokenizer(
    lang: str, kind: str | None = None, lemmatize: bool = False, numbers: bool = False, fold: bool = True
) -> Tokenizer:
    """Choose the tokenizer for a language.

    Parameters
    ----------
    lang : str
        Two-letter code, or "none".
    kind : {"letters", "spacy", "spaces", "jieba", "sudachi", "kiwi"}, optional
        By default "letters" for languages with spaces between words, and the segmenter of zh, ja and ko. "spaces" is
        for text that is already tokenised: it splits at white space only.
    lemmatize : bool
        Return lemmas: from tables, or with "spacy" from an installed pipeline of the language (en_core_web_sm,
        de_core_news_sm, ...). For ja this also unifies spelling variants; ko always gives lemmas.
    numbers : bool
        Let words contain digits; only with "letters" ("spaces" always does).
    fold : bool
        Fold letters first, as `topicnet.text.tokens.letters` does. False reproduces the words of version 0.1.0.

    Returns
    -------
    Tokenizer

    Raises
    ------
    InputError
        The language is unknown, the kind does not support it, or a package is not installed.
    """
    check_can_use_polars()
    code, kind = check_tokenizer(lang, kind)
    if numbers and kind not in ("letters", "spaces"):
        raise InputError(
            f"--keep-numbers given with the tokenizer {kind}, which counts words of letters: omit it, or give"
            " --tokenizer spaces for text that is already tokenised"
        )
    wrapped = _folded if fold else lambda tokenizer, _: tokenizer
    if kind in SEGMENTERS:
        return wrapped(_segmented(code, kind, lemmatize), code)
    model = _spacy_model(code) if kind == "spacy" and lemmatize else None
    if model is not None:
        return wrapped(_spacy_lemmas(model), code)
    plain = _spacy_rules(code) if kind == "spacy" else _PLAIN["digits" if numbers and kind == "letters" else kind]
    plain = wrapped(plain, code)
    if not lemmatize:
        return plain
    if code == "none" or code in SEGMENTED:
        raise InputError(
            f"--lemmatize given with --lang {code} and the tokenizer {kind}: omit it, or give one of the languages"
            f" {', '.join(LEMMA_LANGUAGES)}"
        )
    return _lemmatized(plain, code)


def check_tokenizer(lang: str, kind: str | None) -> tuple[str, str]:
    """Return the code of a language and the kind of its tokenizer; raise InputError if they do not fit together."""
    code = check_language(lang)
    kind = kind or _SEGMENTER_OF.get(code, "letters")
    _check_kind(code, kind)
    return code, kind


def check_libraries(lang: str, kind: str | None, lemmatize: bool) -> None:
    """Raise InputError, with the pip extra to install, if a tokenizer or its lemma tables are missing."""
    code, kind = check_tokenizer(lang, kind)
    if kind in SEGMENTERS:
        check_installed(f"--lang {code}", SEGMENTERS[kind][1])
    elif lemmatize and code in LEMMA_LANGUAGES and (kind != "spacy" or _spacy_model(code) is None):
        check_installed("--lemmatize", ["spacy_lookups_data"])


def _check_kind(code: str, kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"--tokenizer {kind!r} given, expected one of: {', '.join(KINDS)}")
    if kind in SEGMENTERS and SEGMENTERS[kind][0] != code:
        raise InputError(f"--tokenizer {kind} given with --lang {code}: it supports {SEGMENTERS[kind][0]} only")
    if kind == "spacy" and code not in SPACY_LANGUAGES:
        raise InputError(
            f"--tokenizer spacy given with --lang {code}, expected one of: {', '.join(SPACY_LANGUAGES)};"
            " omit it to use the default tokenizer of the language"
        )
    if kind == "letters" and code in SEGMENTED:
        raise InputError(
            f"--tokenizer letters given with --lang {code}: runs of letters are not words in {SEGMENTED[code]}; give"
            f" {_SEGMENTER_OF[code]}, or spaces for text that is already tokenised"
        )


def _at_spaces(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase().str.normalize("NFC").str.extract_all(r"\S+")


_PLAIN = {
    "letters": Tokenizer(TOKENIZER, tokenize),
    "digits": Tokenizer("unicode-letters-digits-1", tokenize_with_numbers),
    "spaces": Tokenizer("spaces-1", _at_spaces),
}
_FOLDED_NAMES = {one.name: one.name.removesuffix("1") + "2" for one in _PLAIN.values()}
_WORDS_WITH_JOINERS = rf"\p{{L}}\p{{M}}*(?:[{JOINERS}]*\p{{L}}\p{{M}}*)+"


def folds_letters(name: str) -> bool:
    """Return whether a tokenizer folds letters, judging by its name in a saved model."""
    base = name.partition("+")[0]
    return FOLDED in name or (base not in _FOLDED_NAMES and base.startswith(("unicode-letters", "spaces")))


def _folded(plain: Tokenizer, code: str) -> Tokenizer:
    """Return a tokenizer that folds letters and then runs another tokenizer."""

    def folded(texts: pl.Series) -> pl.Series:
        rows = beyond_ascii(texts)
        texts = fold_letters(texts, rows)
        texts = lower_turkish(texts) if code in DOTLESS else texts
        return _with_joiners(texts, rows) if plain is _PLAIN["letters"] else plain.function(texts)

    return Tokenizer(_FOLDED_NAMES.get(plain.name, plain.name + FOLDED), folded)


def _with_joiners(texts: pl.Series, rows: pl.Series) -> pl.Series:
    """Split texts into words of letters and zero-width joiners or non-joiners.

    In Arabic script these characters separate an affix from its word, so that they end a word there.

    `rows` are the indices of texts that may contain non-ASCII characters.
    """
    words = tokenize(texts, rows)
    rows = rows.filter(texts.gather(rows).str.contains(f"[{JOINERS}]"))
    if len(rows) == 0:
        return words
    some = texts.gather(rows).str.replace_all(rf"(\p{{Arabic}}\p{{M}}*)[{JOINERS}]+", "${1} ")
    other = some.str.to_lowercase().str.normalize("NFC").str.extract_all(_WORDS_WITH_JOINERS)
    order = pl.Series(range(len(texts)), dtype=pl.UInt32).scatter(rows, pl.Series(range(len(rows))) + len(texts))
    return pl.concat([words, other.rename(words.name)]).gather(order)


def _spacy_rules(lang: str) -> Tokenizer:
    """Return the tokenizer of a blank spaCy pipeline, with tokens of two or more letters as words."""
    nlp = _spacy().blank(lang)

    def tokens_of(texts: pl.Series) -> pl.Series:
        with nlp.memory_zone():
            tokens = [[token.text for token in document] for document in nlp.tokenizer.pipe(texts.drop_nulls())]
        return _normalized(texts, tokens, _WORD)

    return Tokenizer(f"spacy-{lang}-{version('spacy')}", tokens_of)


def _spacy_lemmas(model: str) -> Tokenizer:
    """Return a tokenizer that gives the lemmas of a trained spaCy pipeline, which the user has installed."""
    nlp = _spacy().load(model, exclude=["parser", "ner"])

    def lemmas_of(texts: pl.Series) -> pl.Series:
        given = texts.drop_nulls()
        # spaCy limits the length of texts because of the memory of its parser and entity recogniser, unused here.
        nlp.max_length = max(nlp.max_length, int(given.str.len_chars().max() or 0) + 1)  # type: ignore[arg-type]
        with nlp.memory_zone():
            # A lemma of several words, or with characters other than letters, is not used.
            tokens = [[t.lemma_ if t.lemma_.isalpha() else t.text for t in document] for document in nlp.pipe(given)]
        return _normalized(texts, tokens, _WORD)

    return Tokenizer(f"spacy-{model}-{version(model)}-{version('spacy')}", lemmas_of)


def _segmented(code: str, kind: str, lemmatize: bool) -> Tokenizer:
    """Return a tokenizer that gives the content words that a segmenter finds."""
    if lemmatize and code == "zh":
        raise InputError("--lemmatize given with --lang zh: Chinese words have one form; omit it")
    segmenter = load_segmenter(kind, True) if lemmatize and code == "ja" else load_segmenter(kind)
    return Tokenizer(
        segmenter.name, lambda texts: _normalized(texts, list(segmenter.words(texts.drop_nulls().to_list())))
    )


def _lemmatized(plain: Tokenizer, code: str) -> Tokenizer:
    """Return a tokenizer that lemmatises the words of another one, except stop words.

    Otherwise the stop word "como" (Spanish: as) would become "comer" (to eat), which is not a stop word.
    """
    table, kept = load_lemmas(code), pl.Series(stop_words(code), dtype=pl.String)

    def lemmas_of(texts: pl.Series) -> pl.Series:
        words = plain(texts)
        distinct = words.explode().drop_nulls().unique()
        distinct = distinct.filter(~distinct.is_in(kept.implode()))
        lemmas = table(distinct)
        other = lemmas != distinct
        return words.list.eval(pl.element().replace(distinct.filter(other), lemmas.filter(other)))

    return Tokenizer(f"{plain.name}+{table.name}", lemmas_of)


def _spacy() -> Any:
    if importlib.util.find_spec("spacy") is None:
        raise InputError("--tokenizer spacy needs spaCy: pip install spacy")
    return quiet_import("spacy")


def _spacy_model(code: str) -> str | None:
    """Return the smallest installed spaCy pipeline of a language, or None."""
    source = "web" if code == "en" else "news"
    for size in ("sm", "md", "lg"):
        model = f"{code}_core_{source}_{size}"
        if importlib.util.find_spec(model) is not None:
            try:
                version(model)
            except PackageNotFoundError:  # a folder that happens to have this name
                continue
            return model
    return None


def _normalized(texts: pl.Series, tokens: list[list[str]], pattern: str | None = None) -> pl.Series:
    """Turn the tokens of the texts that are not None into words: lower-cased, in NFC, and only matches of a pattern."""
    word = pl.element().str.to_lowercase().str.normalize("NFC")
    if pattern is not None:
        word = word.filter(word.str.contains(pattern))
    words = pl.Series(texts.name, tokens, dtype=pl.List(pl.String)).list.eval(word)
    if texts.null_count() == 0:
        return words
    rows = pl.when(texts.is_not_null()).then(texts.is_not_null().cum_sum() - 1)
    return words.gather(pl.select(rows).to_series())
