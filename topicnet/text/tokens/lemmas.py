"""Lemmatisation with the lookup tables of spacy-lookups-data; spaCy itself is not needed.

The tables ignore the part of speech: they map "saw" to "see", and Spanish "casa" (house) to "casar" (to marry) and
"agua" (water) to "aguar" (to dilute). Topics consist of nouns, so a word that can be a noun is treated as one: by the
package's noun lists where there are any (en, es, it, nl), otherwise by its ending or spelling (de, pt), or if it is
itself the lemma of other words (ru).
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from collections.abc import Callable, Collection
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from topicnet.errors import InputError
from topicnet.runtime.extras import message_of
from topicnet.text.tokens.languages import TOKEN_PATTERN

Lookup = Callable[[str], str]


class Lemmas:
    """Lemmatiser for one language.

    Parameters
    ----------
    lang : str
        Two-letter code.

    Attributes
    ----------
    name : str
        Language and version of the tables: "lemmas-de-1.0.5".

    Raises
    ------
    InputError
        The language has no tables, or spacy-lookups-data is not installed.
    """

    def __init__(self, lang: str) -> None:
        if lang not in _LOOKUPS:
            raise InputError(
                f"--lemmatize given with --lang {lang}, which has no table of dictionary forms: omit it, or give one"
                f" of: {', '.join(LEMMA_LANGUAGES)}"
            )
        self._lookup = _LOOKUPS[lang]()
        self.name = f"lemmas-{lang}-{version('spacy-lookups-data')}"
        self._known: dict[str, str] = {}

    def __call__(self, words: pl.Series) -> pl.Series:
        """Return the lemma of each word, or the word itself if its lemma is unknown or not a single word.

        Parameters
        ----------
        words : polars Series of str
            Lower-cased words; each is looked up separately, so pass distinct words of many texts.
        """
        new = [word for word in words if word not in self._known]
        if new:
            forms = pl.Series([self._lookup(word).lower() for word in new], dtype=pl.String).str.normalize("NFC")
            are_words = forms.str.contains(f"^{TOKEN_PATTERN}$")
            for word, form, is_word in zip(new, forms, are_words, strict=True):
                self._known[word] = form if is_word else word
        return pl.Series(words.name, [self._known[word] for word in words], dtype=pl.String)


def _table(name: str) -> Any:
    """Read a table of spacy-lookups-data."""
    package = importlib.util.find_spec("spacy_lookups_data")
    if package is None or not package.submodule_search_locations:
        raise InputError(message_of("--lemmatize", "spacy_lookups_data"))
    path = Path(package.submodule_search_locations[0]) / "data" / f"{name}.json.gz"
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"cannot read the table {str(path)!r}: reinstall spacy-lookups-data") from error


def _lower(table: dict[str, Any]) -> dict[str, str]:
    """Lower-case the words and forms of a lemma table, and use the first of several forms.

    If two words become equal, the one that was lower-case takes precedence: "donne" (women) over the name Donne.
    """
    first = {word: form[0] if isinstance(form, list) else form for word, form in table.items()}
    names = {word.lower(): form.lower() for word, form in first.items() if not word.islower()}
    return names | {word: form.lower() for word, form in first.items() if word.islower()}


def _singular(rules: list[list[str]], nouns: Collection[str], word: str) -> str | None:
    """Return the first known noun that a rule (old ending, new ending) derives from a word."""
    derived = (word[: len(word) - len(old)] + new for old, new in rules if word.endswith(old))
    return next((noun for noun in derived if noun in nouns), None)


def _first(*steps: Callable[[str], str | None]) -> Lookup:
    """Combine steps into a lookup: the result of the first step that finds a form, or else the word itself."""
    return lambda word: next(filter(None, (step(word) for step in steps)), word)


def _steps(lang: str, rules: str) -> tuple[Callable[[str], str | None], ...]:
    """Return three lookups: the word itself if it can be a noun, a noun that a rule derives from it, and its lemma."""
    nouns = {word: word for word in map(str.lower, _table(f"{lang}_lemma_index")["noun"])}
    singular = partial(_singular, _table(f"{lang}_lemma_rules")[rules], nouns)
    return nouns.get, singular, _lower(_table(f"{lang}_lemma_lookup")).get


def _english() -> Lookup:
    noun, singular, listed = _steps("en", "noun")
    return _first(noun, _lower(_table("en_lemma_exc")["noun"]).get, singular, listed)


def _spanish() -> Lookup:
    noun, singular, listed = _steps("es", "noun_plur")
    return _first(singular, noun, listed)


def _dutch() -> Lookup:
    _, singular, listed = _steps("nl", "noun")
    return _first(_lower(_table("nl_lemma_exc")["noun"]).get, listed, singular)


def _italian() -> Lookup:
    names = ("it_lemma_lookup_noun", "it_lemma_lookup_adj", "it_lemma_lookup", "it_lemma_lookup_verb")
    return _first(*(_lower(_table(name)).get for name in names))


def _french() -> Lookup:
    return _first(_lower(_table("fr_lemma_lookup")).get)


def _russian() -> Lookup:
    entries: dict[str, str] = _table("ru_lemma_lookup")
    names = {word: form for word, form in entries.items() if not word.islower()}
    table = _lower(entries) | _lower(names)  # names take precedence: "индии" is India, not indium
    return _first({lemma: lemma for lemma in table.values()}.get, table.get)


# Endings that nouns and adjectives share with verbs: casas, estado, nota, fale, animais.
_PORTUGUESE_NOMINAL = ("a", "o", "e", "as", "os", "es", "ais", "eis")
_PORTUGUESE_PLURALS = [["ões", "ão"], ["ais", "al"], ["éis", "el"], ["eis", "el"], ["óis", "ol"], ["ns", "m"]]
_PORTUGUESE_PLURALS += [["res", "r"], ["zes", "z"], ["s", ""]]


def _portuguese() -> Lookup:
    table = _lower(_table("pt_lemma_lookup"))
    known = {*table, *table.values()}

    def lookup(word: str) -> str:
        form = table.get(word, word)
        verbal = form.endswith(("ar", "er", "ir", "or", "ôr")) and not word.endswith("ndo")
        if form != word and not (verbal and word.endswith(_PORTUGUESE_NOMINAL)):
            return form
        return _singular(_PORTUGUESE_PLURALS, known, word) or word

    return lookup


def _german() -> Lookup:
    table: dict[str, str] = _table("de_lemma_lookup")
    verbs = {word: form for word, form in table.items() if word.islower()}  # and adjectives
    nouns = {word.lower(): form for word, form in table.items() if not word.islower()}
    singulars = {form.lower() for form in nouns.values() if not form.islower()}

    def adjective(word: str) -> str | None:
        stems = (word.removesuffix(ending) for ending in ("e", "er", "es", "em", "en") if word.endswith(ending))
        return next((stem for stem in stems if verbs.get(f"{stem}en") == stem), None)

    def lookup(word: str) -> str:
        inflected = adjective(word)
        if inflected is not None:
            return inflected
        noun, other = nouns.get(word), verbs.get(word)
        if noun is not None and not noun.islower() and (other is None or other.endswith("n")):
            return noun
        return word if other is None or word in singulars else other

    return lookup


_LOOKUPS: dict[str, Callable[[], Lookup]] = {
    "de": _german,
    "en": _english,
    "es": _spanish,
    "fr": _french,
    "it": _italian,
    "nl": _dutch,
    "pt": _portuguese,
    "ru": _russian,
}
LEMMA_LANGUAGES = sorted(_LOOKUPS)


load_lemmas = functools.cache(Lemmas)  # the tables are read once
