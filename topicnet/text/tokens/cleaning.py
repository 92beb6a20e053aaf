"""Texts without their web addresses, e-mail addresses and HTML; and words that may hold digits."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

# What ends an address when it stands last, as in "(see www.a.org)." or "www.a.org, and"; inside it is part of it.
_CLOSING = r"""\s<>"'`)\]}“”‘’«»„‚"""
_URL = rf"""(?i)(?:\b(?:https?|ftp)://|\bwww\.)[^{_CLOSING}]*[^{_CLOSING}.,;:!?…]"""
_EMAIL = r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)+"

# Content that is no text, then comments, declarations and tags. A tag's name is followed by a space, a slash or its
# end: "a < b", "x <- 3" and "<me@home.org>" are text.
_NAME = r"[a-z][a-z0-9]*(?:[:\-][a-z0-9]+)*"
_HTML = (
    r"(?is)<script\b[^<>]*>.*?</script\s*>|<style\b[^<>]*>.*?</style\s*>|<!--.*?-->|<![a-z][^<>]*>|<\?[a-z][^<>]*>"
    rf"|</?{_NAME}(?:[\s/](?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)?>|</?{_NAME}(?:[\s/][^<>]*)?>"
)
_CDATA = r"(?is)<!\[CDATA\[(.*?)\]\]>"
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ESCAPED_AMPERSANDS = r"&(?:(?:amp|AMP|#38|#x26);)+"  # "&amp;amp;lt;": escaped again and again, undone in one go
ROUNDS = 20  # deeper than this nobody escapes

# With digits: a number with its points and commas and what it counts ("3.5", "1,000km"), else two or more letters (each
# with its marks) or digits in a row ("1990", "covid19", "b2b"). A digit alone is no word, as a letter alone is none.
_UNIT = r"(?:\p{L}\p{M}*)*\b"
TOKEN_PATTERN_WITH_NUMBERS = (
    rf"\b\p{{Nd}}{{1,3}}(?:,\p{{Nd}}{{3}})+(?:\.\p{{Nd}}+)?{_UNIT}|\b\p{{Nd}}+(?:\.\p{{Nd}}+)+{_UNIT}"
    r"|(?:\p{L}\p{M}*|\p{Nd}){2,}"
)


@dataclass(frozen=True)
class Cleaning:
    """What is left out of texts before they are cut into words.

    Attributes
    ----------
    drop_urls : bool
        Leave out http, https and ftp addresses and those that begin with "www.", up to a space, a quote or a bracket.
    drop_emails : bool
        Leave out e-mail addresses.
    strip_html : bool
        Leave out tags, comments, scripts and styles, and decode entities ("&eacute;"); text that was escaped, and so
        shows tags once decoded, is stripped of them too.
    keep_numbers : bool
        Count words that hold digits. This concerns the tokenizer, not the text: see `tokenize_with_numbers`.
    """

    drop_urls: bool = False
    drop_emails: bool = False
    strip_html: bool = False
    keep_numbers: bool = False

    def __call__(self, texts: pl.Series) -> pl.Series:
        """Clean texts; a space takes the place of what is left out, so that words do not run together.

        Parameters
        ----------
        texts : polars Series of str
            None stays None.
        """
        if self.strip_html:
            texts = _without_html(texts)
        # An address in a text often holds an "@" ("https://user@host"): the web address is the whole.
        for pattern, asked in ((_URL, self.drop_urls), (_EMAIL, self.drop_emails)):
            if asked:
                texts = texts.str.replace_all(pattern, " ")
        return texts

    def describe(self) -> dict[str, Any]:
        """What a saved model remembers of its cleaning, as JSON values."""
        return asdict(self)


def tokenize_with_numbers(texts: pl.Series) -> pl.Series:
    """Split texts into lower-cased words of letters and digits, in Unicode's composed form (NFC).

    "1,000" becomes "1000"; "3.5", "1990" and "covid19" stay. A text without digits is cut as `tokenize` cuts it.

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
    """Strip tags and decode entities until nothing is left to do."""
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
    # A soft hyphen is a place to break a word, no part of it.
    meant = {entity: html.unescape(entity).replace("\xad", "") for entity in found}
    meant = {entity: text for entity, text in meant.items() if text != entity}
    return texts.str.replace_many(list(meant), list(meant.values())) if meant else texts
