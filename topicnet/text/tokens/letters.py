"""Letters brought to one form before text is cut: ligatures, full-width forms, invisible characters, Turkish i.

Of Unicode's compatibility decomposition (NFKC) only letters and digits are folded that are the same letters in another
shape: ligatures, full and half width, Arabic presentation forms, mathematical alphabets, digraphs. Superscripts,
fractions, encircled and squared signs stay: "10²" is not 102, and "Windows™" not windowstm.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, starmap

import polars as pl

# In a bundle, behind the name of a tokenizer that has no version of its own.
FOLDED = "+folded-1"
DOTLESS = ("tr", "az")  # languages with an i without a dot
JOINERS = r"\x{200c}\x{200d}"
# Scripts in which joiners mean nothing; in Arabic, Indic and other scripts they tell words and letters apart.
_PLAIN_SCRIPTS = (
    r"\s\p{P}\p{N}\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Han}\p{Hiragana}\p{Katakana}"
    r"\p{Hangul}\x{300}-\x{36f}"
)
_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"  # a space of no width parts their words
# Soft hyphen, word joiner, byte order mark; joiners; space of no width.
_INVISIBLE = (
    (r"[\x{ad}\x{2060}\x{feff}]", ""),
    (rf"(^|[{_PLAIN_SCRIPTS}])[{JOINERS}]+", "${1}"),
    (rf"(^|[^{_UNSPACED}])\x{{200b}}+", "${1}"),
)
# Any character but those of Western European texts that are never folded: quicker to look for than all that are.
_PLAUSIBLE = r"[^\x00-\x{ac}\x{ae}-\x{b4}\x{b6}-\x{ff}\x{2010}-\x{2027}\x{20ac}]"
_INVISIBLE_CHARACTERS = "\xad\u200b\u200c\u200d\u2060\ufeff"
_WIDTHS = ("<wide>", "<narrow>")  # punctuation too
# "<compat>" is the rest: of its letters, ligatures and digraphs ("ﬁ", "ǆ", "ĳ") and other shapes ("ſ").
_SHAPES = ("<font>", "<initial>", "<medial>", "<final>", "<isolated>", "<compat>")
# Where Unicode has such characters, without the Thai, Lao and Tibetan vowels of two parts, which are written so.
_BLOCKS = (
    (0xA0, 0xE00), (0x1000, 0x3400), (0xF900, 0x10000), (0x1D400, 0x1D800), (0x1EE00, 0x1EF00), (0x1FBF0, 0x1FBFA),
)  # fmt: skip
_RADICALS = frozenset(map(chr, range(0x2E80, 0x2FE0)))  # signs that PDFs hold for Chinese characters


def beyond_ascii(texts: pl.Series) -> pl.Series:
    """Rows of the texts that are not all ASCII: found far more quickly than any letter."""
    return (texts.str.len_bytes() != texts.str.len_chars()).fill_null(False).arg_true()


def fold_letters(texts: pl.Series, rows: pl.Series | None = None) -> pl.Series:
    """Fold the letters of texts; a text without such letters, as any text in ASCII, comes back as it is.

    Parameters
    ----------
    texts : polars Series of str
        None stays None.
    rows : polars Series of int, optional
        Those `beyond_ascii`, where they are known.
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
    """Replace the two capital letters i of Turkish by their small ones, which the common rule mistakes.

    A small i with a second dot, which that rule makes of the capital one, is an i too.
    """
    return texts.str.replace_many(["I\u0307", "i\u0307", "İ", "I"], ["i", "i", "i", "ı"], leftmost=True)


def _folded(texts: pl.Series) -> pl.Series:
    forms = _forms()
    texts = texts.str.replace_many(list(forms), list(forms.values()))
    for pattern, instead in _INVISIBLE:
        texts = texts.str.replace_all(pattern, instead)
    return texts


def _contains(texts: pl.Series, pattern: str) -> pl.Series:
    """Whether each text holds a pattern, looked for in every thread."""
    query = texts.rename("text").to_frame().lazy().select(pl.col("text").str.contains(pattern))
    return query.collect(engine="streaming").to_series()


@functools.cache
def _forms() -> dict[str, str]:
    """Return the folded form of each letter and digit that is folded."""
    return {letter: unicodedata.normalize("NFKC", letter) for letter in _foldable()}


def _foldable() -> Iterator[str]:
    for letter in map(chr, chain.from_iterable(starmap(range, _BLOCKS))):
        shape = unicodedata.decomposition(letter).partition(" ")[0]
        is_letter = _is_word(letter) or letter in _RADICALS
        if shape in _WIDTHS or (shape in _SHAPES and is_letter and _is_word(unicodedata.normalize("NFKC", letter))):
            yield letter


def _is_word(text: str) -> bool:
    """Whether a text is nothing but letters with their marks, digits, and spaces between."""
    kinds = [unicodedata.category(character) for character in text.replace(" ", "")]
    return kinds[:1] != ["Mn"] and all(kind[0] in "LM" or kind == "Nd" for kind in kinds)


@functools.cache
def _pattern() -> str:
    """A character class of all that is folded or joined."""
    codes = sorted(map(ord, (*_forms(), *_INVISIBLE_CHARACTERS)))
    return f"[{''.join(_ranges(codes))}]"


def _ranges(codes: Iterable[int]) -> Iterator[str]:
    """Ranges of a character class; `codes` ascend."""
    listed = list(codes)
    begin = listed[0]
    for code, following in pairwise([*listed, -1]):
        if following != code + 1:
            yield rf"\x{{{begin:x}}}-\x{{{code:x}}}"
            begin = following
