"""Removal of URLs, e-mail addresses and HTML from texts, and tokenisation of words that contain digits."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

# A URL ends before these. Sentence punctuation ends it only in last position, as in "www.a.org, and".
_CLOSING = r"""\s<>"'`)\]}“”‘’«»„‚"""
_URL = rf"""(?i)(?:\b(?:https?|ftp)://|\bwww\.)[^{_CLOSING}]*[^{_CLOSING}.,;:!?…]"""
_EMAIL = r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)+"

# Content that is not text, then comments, declarations and tags. A tag's name is followed by a space, a slash or the
# end of the tag, so "a < b", "x <- 3" and "<me@home.org>" are text.
_NAME = r"[a-z][a-z0-9]*(?:[:\-][a-z0-9]+)*"
_HTML = (
    r"(?is)<script\b[^<>]*>.*?</script\s*>|<style\b[^<>]*>.*?</style\s*>|<!--.*?-->|<![a-z][^<>]*>|<\?[a-z][^<>]*>"
    rf"|</?{_NAME}(?:[\s/](?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)?>|</?{_NAME}(?:[\s/][^<>]*)?>"
)
_CDATA = r"(?is)<!\[CDATA\[(.*?)\]\]>"
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ESCAPED_AMPERSANDS = r"&(?:(?:amp|AMP|#38|#x26);)+"  # text escaped several times, as "&amp;amp;lt;"
ROUNDS = 20  # most levels of escaping that are undone

# A number with its decimal points, commas and unit ("3.5", "1,000km"), or else two or more letters (with their marks)
# or digits in a row ("1990", "covid19", "b2b"). A single digit, like a single letter, is not a word.
_UNIT = r"(?:\p{L}\p{M}*)*\b"
TOKEN_PATTERN_WITH_NUMBERS = (
    rf"\b\p{{Nd}}{{1,3}}(?:,\p{{Nd}}{{3}})+(?:\.\p{{Nd}}+)?{_UNIT}|\b\p{{Nd}}+(?:\.\p{{Nd}}+)+{_UNIT}"
    r"|(?:\p{L}\p{M}*|\p{Nd}){2,}"
)


@dataclass(frozen=True)
class Cleaning:
    """Removal of URLs, e-mail addresses and HTML from texts before tokenisation.

    Each parameter is an attribute of the same name.

    Parameters
    ----------
    drop_urls : bool, default False
        Remove http, https and ftp URLs and those that begin with "www.", up to a space, a quote or a bracket.
    drop_emails : bool, default False
        Remove e-mail addresses.
    strip_html : bool, default False
        Remove tags, comments, scripts and styles, and decode entities ("&eacute;"). Tags that appear only once escaped
        text has been decoded are removed too.
    keep_numbers : bool, default False
        Count words that contain digits. This changes the tokenizer, not the text; see `tokenize_with_numbers`.

    Examples
    --------
    >>> import topicnet
    >>> options = topicnet.TextOptions(cleaning=topicnet.Cleaning(strip_html=True, keep_numbers=True))
    >>> topicnet.Corpus.from_texts(["<p>Caf&eacute; culture in 1990</p>"], options=options).vocabulary
    ['1990', 'café', 'culture']
    """

    drop_urls: bool = False
    drop_emails: bool = False
    strip_html: bool = False
    keep_numbers: bool = False

    def __call__(self, texts: pl.Series) -> pl.Series:
        """Clean texts, with a space in place of each removed part so that words do not run together.

        Parameters
        ----------
        texts : polars Series of str, length n
            The texts; None stays None.

        Returns
        -------
        polars Series of str, length n
            The cleaned texts.

        Examples
        --------
        >>> import polars as pl
        >>> Cleaning(drop_urls=True)(pl.Series(["See https://example.org for more", None])).to_list()
        ['See   for more', None]
        """
        if self.strip_html:
            texts = _without_html(texts)
        # URLs go first, since one may contain an "@" ("https://user@host").
        for pattern, drop in ((_URL, self.drop_urls), (_EMAIL, self.drop_emails)):
            if drop:
                texts = texts.str.replace_all(pattern, " ")
        return texts

    def describe(self) -> dict[str, Any]:
        """Describe the cleaning as JSON values, for a saved model.

        Returns
        -------
        dict of str to bool
            Each parameter by name.

        Examples
        --------
        >>> Cleaning(drop_urls=True).describe()["drop_urls"]
        True
        """
        return asdict(self)


def tokenize_with_numbers(texts: pl.Series) -> pl.Series:
    """Split texts into lower-cased words of letters and digits, in Unicode's composed form (NFC).

    "1,000" becomes "1000"; "3.5", "1990" and "covid19" stay. A text without digits gives the same words as `tokenize`.

    Parameters
    ----------
    texts : polars Series of str

    Returns
    -------
    polars Series of list of str
    """
    words = texts.str.to_lowercase().str.normalize("NFC").str.extract_all(TOKEN_PATTERN_WITH_NUMBERS)
    if not texts.str.contains(r"\p{Nd},\p{Nd}").any():
        return words
    return words.list.eval(pl.element().str.replace_all(",", "", literal=True))


def _without_html(texts: pl.Series) -> pl.Series:
    """Strip tags and decode entities until the texts no longer change."""
    texts = texts.clone()  # scatter writes in place
    rows = texts.str.contains("[<&]").fill_null(False).arg_true()
    for _ in range(ROUNDS):
        before = texts.gather(rows)
        after = _decoded(before.str.replace_all(_CDATA, " ${1} ").str.replace_all(_HTML, " "))
        changed = after != before
        rows = rows.filter(changed)
        if len(rows) == 0:
            break
        texts = texts.scatter(rows, after.filter(changed))
    return texts


def _decoded(texts: pl.Series) -> pl.Series:
    """Decode the HTML entities of texts."""
    texts = texts.str.replace_all(_ESCAPED_AMPERSANDS, "&amp;")
    found = texts.str.extract_all(_ENTITY).explode().drop_nulls().unique().to_list()
    # A soft hyphen marks where a word may be hyphenated; it is not part of the word.
    meant = {entity: html.unescape(entity).replace("\xad", "") for entity in found}
    meant = {entity: text for entity, text in meant.items() if text != entity}
    return texts.str.replace_many(list(meant), list(meant.values())) if meant else texts
