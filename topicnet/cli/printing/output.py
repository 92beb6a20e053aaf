"""Print text that holds data: on a terminal nothing in it can act as a command, in a file it is unchanged."""

from __future__ import annotations

import re
import sys
from typing import TextIO

# Controls (escape sequences begin with one, a carriage return overwrites a line), what turns the direction of text,
# line and paragraph separators, marks that nobody sees, and halves of characters that cannot be written. Zero-width
# spaces and joiners are left, which Thai, Persian and emoji need, and so are letters of every script.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Escape the characters of a text that a terminal would act on or hide; newlines and tabs stay."""
    return _UNSAFE.sub(lambda found: _escaped(found.group()), text)


def echo(text: str = "", *, err: bool = False, block: bool = False) -> None:
    """Print a line, which may begin and end with empty ones, on standard output.

    Parameters
    ----------
    text : str
    err : bool
        Print on standard error.
    block : bool
        The text has several lines. Otherwise a newline inside of it is one of the data: escaped on a terminal.
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
    """The text, with escapes where the encoding of the stream lacks a character: names of files need not be Unicode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
