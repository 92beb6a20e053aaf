"""Tokenizers: from texts to lower-cased words, each with the name by which a saved model remembers it."""

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
# Languages whose spaCy rules were tried on topic words. They are no default: "letters" takes an elision apart as well
# (l'homme: homme), keeps both parts of "U-Bahn-Linie", where spaCy's one token is no word of letters, and is 100 times
# as fast; spaCy's are for those who want its contractions and lemmas.
SPACY_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt", "ru")
_WORD = f"^{TOKEN_PATTERN}$"
_SEGMENTER_OF = {lang: kind for kind, (lang, _) in SEGMENTERS.items()}


@dataclass(frozen=True)
class Tokenizer:
    """Splits texts into words.

    Attributes
    ----------
    name : str
        What a saved model remembers, with the versions of what may cut otherwise in another version:
        "unicode-letters-2", "jieba-0.42.1+folded-1", "unicode-letters-2+lemmas-de-1.0.5".
    function : callable
        From texts to lists of words.
    """

    name: str
    function: Callable[[pl.Series], pl.Series]

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
        return self.function(texts)


def choose_tokenizer(
    lang: str, kind: str | None = None, lemmatize: bool = False, numbers: bool = False, fold: bool = True
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
    fold : bool
        Fold letters first, as `topicnet.text.tokens.letters` does; without it, words are those of version 0.1.0.

    Raises
    ------
    InputError
        The language is not known, the kind does not cut it, or something has to be installed.
    """
    check_can_use_polars()
    code, kind = check_tokenizer(lang, kind)
    if numbers and kind not in ("letters", "spaces"):
        raise InputError(
            f"--keep-numbers given with the tokenizer {kind}, which counts words of letters: leave it away, or give"
            " --tokenizer spaces for text that is parted already"
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
            f"--lemmatize given with --lang {code} and the tokenizer {kind}: leave it away, or give one"
            f" of the languages {', '.join(LEMMA_LANGUAGES)}"
        )
    return _lemmatized(plain, code)


def check_tokenizer(lang: str, kind: str | None) -> tuple[str, str]:
    """Return the code of a language and its tokenizer, or raise InputError where one does not cut the other."""
    code = check_language(lang)
    kind = kind or _SEGMENTER_OF.get(code, "letters")
    _check_kind(code, kind)
    return code, kind


def check_libraries(lang: str, kind: str | None, lemmatize: bool) -> None:
    """Raise InputError, naming the extra, if a tokenizer or its tables of lemmas are not installed."""
    code, kind = check_tokenizer(lang, kind)
    if kind in SEGMENTERS:
        check_installed(f"--lang {code}", SEGMENTERS[kind][1])
    elif lemmatize and code in LEMMA_LANGUAGES and (kind != "spacy" or _spacy_model(code) is None):
        check_installed("--lemmatize", ["spacy_lookups_data"])


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
    """Return whether a tokenizer, by the name in a saved model, folds letters first."""
    base = name.partition("+")[0]
    return FOLDED in name or (base not in _FOLDED_NAMES and base.startswith(("unicode-letters", "spaces")))


def _folded(plain: Tokenizer, code: str) -> Tokenizer:
    """The words of another tokenizer after letters were folded."""

    def folded(texts: pl.Series) -> pl.Series:
        rows = beyond_ascii(texts)
        texts = fold_letters(texts, rows)
        texts = lower_turkish(texts) if code in DOTLESS else texts
        return _with_joiners(texts, rows) if plain is _PLAIN["letters"] else plain.function(texts)

    return Tokenizer(_FOLDED_NAMES.get(plain.name, plain.name + FOLDED), folded)


def _with_joiners(texts: pl.Series, rows: pl.Series) -> pl.Series:
    """Words of letters; a joiner within a word of an Indic script is part of it. In Arabic script it parts affixes.

    `rows` are those of texts that may be more than ASCII.
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
    """The tokenizer of a blank spaCy pipeline; tokens of two or more letters are words."""
    nlp = _spacy().blank(lang)

    def cut(texts: pl.Series) -> pl.Series:
        with nlp.memory_zone():
            tokens = [[token.text for token in document] for document in nlp.tokenizer.pipe(texts.drop_nulls())]
        return _words(texts, tokens, _WORD)

    return Tokenizer(f"spacy-{lang}-{version('spacy')}", cut)


def _spacy_lemmas(model: str) -> Tokenizer:
    """The lemmas of a trained spaCy pipeline that the user has installed."""
    nlp = _spacy().load(model, exclude=["parser", "ner"])

    def cut(texts: pl.Series) -> pl.Series:
        given = texts.drop_nulls()
        # The limit guards the memory of the parser and of entity recognition, which are left out.
        nlp.max_length = max(nlp.max_length, int(given.str.len_chars().max() or 0) + 1)  # type: ignore[arg-type]
        with nlp.memory_zone():
            # A lemma of several words, or with other signs, is none.
            tokens = [[t.lemma_ if t.lemma_.isalpha() else t.text for t in document] for document in nlp.pipe(given)]
        return _words(texts, tokens, _WORD)

    return Tokenizer(f"spacy-{model}-{version(model)}-{version('spacy')}", cut)


def _segmented(code: str, kind: str, lemmatize: bool) -> Tokenizer:
    """The content words that a segmenter finds."""
    if lemmatize and code == "zh":
        raise InputError("--lemmatize given with --lang zh: Chinese words have one form; leave it away")
    segmenter = load_segmenter(kind, True) if lemmatize and code == "ja" else load_segmenter(kind)
    return Tokenizer(segmenter.name, lambda texts: _words(texts, list(segmenter.words(texts.drop_nulls().to_list()))))


def _lemmatized(plain: Tokenizer, code: str) -> Tokenizer:
    """The words of another tokenizer in dictionary form; stop words stay, so that each is known for one.

    Spanish "como" (as) would else become "comer" (to eat).
    """
    table, kept = load_lemmas(code), pl.Series(stop_words(code), dtype=pl.String)

    def cut(texts: pl.Series) -> pl.Series:
        words = plain(texts)
        distinct = words.explode().drop_nulls().unique()
        distinct = distinct.filter(~distinct.is_in(kept.implode()))
        lemmas = table(distinct)
        other = lemmas != distinct
        return words.list.eval(pl.element().replace(distinct.filter(other), lemmas.filter(other)))

    return Tokenizer(f"{plain.name}+{table.name}", cut)


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
