"""Printing of text from users' data, with control characters escaped on a terminal and unchanged in a file."""

from __future__ import annotations

import re
import sys
from typing import TextIO

# Control characters (escape sequences start with one, a carriage return overwrites a line), bidirectional controls,
# line and paragraph separators, invisible marks and lone surrogates, which cannot be encoded. Zero-width spaces and
# joiners, which Thai, Persian and emoji need, and the letters of every script are left.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Escape the characters that a terminal would act on or hide, except newlines and tabs."""
    return _UNSAFE.sub(lambda found: _escaped(found.group()), text)


def echo(text: str = "", *, err: bool = False, block: bool = False) -> None:
    """Print a line on standard output, with escapes on a terminal.

    Parameters
    ----------
    text : str
        The line; it may start and end with newlines.
    err : bool
        Print on standard error.
    block : bool
        The text has several lines. If false, a newline inside it comes from the data and is escaped on a terminal.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        inner = text.strip("\n")
        if not block and "\n" in inner:
            begin = text.index(inner)
            text = text[:begin] + inner.replace("\n", "\\n") + text[begin + len(inner) :]
        text = visible(text)
    print(_writable(text, stream), file=stream, flush=True)


def _writable(text: str, stream: TextIO) -> str:
    """Escape the characters that the encoding of a stream lacks, such as those of file names that are not Unicode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
