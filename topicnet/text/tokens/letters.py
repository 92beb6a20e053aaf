"""Normalisation of letters before tokenising: ligatures, full-width forms, invisible characters, the Turkish i.

This applies only a part of Unicode's compatibility normalisation (NFKC), to letters and digits that are the same in
another shape: ligatures, full and half width, Arabic presentation forms, mathematical alphabets, digraphs.
Superscripts, fractions, encircled and squared signs stay: "10²" is not 102, and "Windows™" is not "windowstm".
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, starmap

import polars as pl

# Appended to the names of tokenizers whose own name does not change when letters are folded; saved with models.
FOLDED = "+folded-1"
DOTLESS = ("tr", "az")  # languages with a dotless i
JOINERS = r"\x{200c}\x{200d}"
# Scripts in which joiners have no meaning; in Arabic, Indic and other scripts they distinguish words and letters.
_PLAIN_SCRIPTS = (
    r"\s\p{P}\p{N}\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Han}\p{Hiragana}\p{Katakana}"
    r"\p{Hangul}\x{300}-\x{36f}"
)
_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"  # zero-width spaces separate their words
# Soft hyphen, word joiner, byte order mark; joiners; zero-width space.
_INVISIBLE = (
    (r"[\x{ad}\x{2060}\x{feff}]", ""),
    (rf"(^|[{_PLAIN_SCRIPTS}])[{JOINERS}]+", "${1}"),
    (rf"(^|[^{_UNSPACED}])\x{{200b}}+", "${1}"),
)
# Any character except those of Western European texts that are never folded: a faster first test than `_pattern`.
_PLAUSIBLE = r"[^\x00-\x{ac}\x{ae}-\x{b4}\x{b6}-\x{ff}\x{2010}-\x{2027}\x{20ac}]"
_INVISIBLE_CHARACTERS = "\xad\u200b\u200c\u200d\u2060\ufeff"
_WIDTHS = ("<wide>", "<narrow>")  # these are folded in punctuation too
# "<compat>" covers the rest, including ligatures and digraphs ("ﬁ", "ǆ", "ĳ") and other shapes ("ſ").
_SHAPES = ("<font>", "<initial>", "<medial>", "<final>", "<isolated>", "<compat>")
# Unicode blocks with such characters, without Thai, Lao and Tibetan, whose two-part vowels are ordinary spelling.
_BLOCKS = (
    (0xA0, 0xE00), (0x1000, 0x3400), (0xF900, 0x10000), (0x1D400, 0x1D800), (0x1EE00, 0x1EF00), (0x1FBF0, 0x1FBFA),
)  # fmt: skip
_RADICALS = frozenset(map(chr, range(0x2E80, 0x2FE0)))  # PDFs often contain these in place of Chinese characters


def beyond_ascii(texts: pl.Series) -> pl.Series:
    """Return the indices of the texts with non-ASCII characters; far faster than a search for letters."""
    return (texts.str.len_bytes() != texts.str.len_chars()).fill_null(False).arg_true()


def fold_letters(texts: pl.Series, rows: pl.Series | None = None) -> pl.Series:
    """Fold the letters of texts; a text without such letters, such as any ASCII text, stays unchanged.

    Parameters
    ----------
    texts : polars Series of str
        None stays None.
    rows : polars Series of int, optional
        The result of `beyond_ascii`, if it is known.
    """
    rows = beyond_ascii(texts) if rows is None else rows
    if len(rows) == 0:
        return texts
    some = texts.gather(rows) if len(rows) < len(texts) else texts
    found = _contains(some, _PLAUSIBLE)
    if not found.any():
        return texts
    rows, some = rows.filter(found), some.filter(found)
    found = _contains(some, _pattern())
    if not found.any():
        return texts
    folded = _folded(some.filter(found))
    return texts.clone().scatter(rows.filter(found), folded)


def lower_turkish(texts: pl.Series) -> pl.Series:
    """Lower-case the two capital letters I of Turkish, which Unicode's default rule gets wrong.

    An "i" followed by a combining dot, which that rule makes of the dotted capital, becomes a plain "i".
    """
    return texts.str.replace_many(["I\u0307", "i\u0307", "İ", "I"], ["i", "i", "i", "ı"], leftmost=True)


def _folded(texts: pl.Series) -> pl.Series:
    forms = _forms()
    texts = texts.str.replace_many(list(forms), list(forms.values()))
    for pattern, instead in _INVISIBLE:
        texts = texts.str.replace_all(pattern, instead)
    return texts


def _contains(texts: pl.Series, pattern: str) -> pl.Series:
    """Return whether each text matches a pattern, searching in all threads."""
    query = texts.rename("text").to_frame().lazy().select(pl.col("text").str.contains(pattern))
    return query.collect(engine="streaming").to_series()


@functools.cache
def _forms() -> dict[str, str]:
    """Return the folded form of each letter and digit that is folded."""
    return {letter: unicodedata.normalize("NFKC", letter) for letter in _foldable()}


def _foldable() -> Iterator[str]:
    for letter in map(chr, chain.from_iterable(starmap(range, _BLOCKS))):
        shape = unicodedata.decomposition(letter).partition(" ")[0]
        is_letter = _is_plain(letter) or letter in _RADICALS
        if shape in _WIDTHS or (shape in _SHAPES and is_letter and _is_plain(unicodedata.normalize("NFKC", letter))):
            yield letter


def _is_plain(text: str) -> bool:
    """Return whether a text consists only of letters with their marks, digits and spaces."""
    kinds = [unicodedata.category(character) for character in text.replace(" ", "")]
    return kinds[:1] != ["Mn"] and all(kind[0] in "LM" or kind == "Nd" for kind in kinds)


@functools.cache
def _pattern() -> str:
    """Return a character class of all characters that are folded or removed."""
    codes = sorted(map(ord, (*_forms(), *_INVISIBLE_CHARACTERS)))
    return f"[{''.join(_ranges(codes))}]"


def _ranges(codes: Iterable[int]) -> Iterator[str]:
    """Yield the ranges of a character class from ascending code points."""
    listed = list(codes)
    begin = listed[0]
    for code, following in pairwise([*listed, -1]):
        if following != code + 1:
            yield rf"\x{{{begin:x}}}-\x{{{code:x}}}"
            begin = following
