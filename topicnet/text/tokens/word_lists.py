"""Lists of words in text files: stop words, and the words to count."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl

from topicnet.errors import InputError
from topicnet.text.phrases import JOINT
from topicnet.text.readers.encodings import guess_encoding, marked_encoding
from topicnet.text.readers.folders import refuse_special

_MOST_BYTES = 1 << 28
_ADDRESS = re.compile(r"(?:https?|ftp):/", re.IGNORECASE)  # of which a path has lost a slash

Tokenizer = Callable[[pl.Series], pl.Series]


def read_words(
    path: str | Path,
    what: str,
    tokenizer: Tokenizer | None = None,
    *,
    one_a_line: bool = False,
    may_be_empty: bool = False,
) -> list[str]:
    """Read the words of a text file, in its order and each once; blank lines and lines that begin with # are skipped.

    Parameters
    ----------
    path : path
        A text file, one word a line or several parted by spaces; in UTF-8, or in what its byte order mark names.
    what : str
        What the words are, for messages: "stop words".
    tokenizer : callable, optional
        Cuts a series of texts into lists of words; the words come back as it cuts them, and what it finds no word in
        is refused. By default words come back as they stand in the file.
    one_a_line : bool
        Whether a line is one entry, and one of several words a phrase: "New York" and "new_york" are "new_york".
    may_be_empty : bool
        Whether a file without words is a list without words.

    Raises
    ------
    InputError
        The file cannot be read, is not text in UTF-8, or holds no word, or a line in it is no word.
    """
    if _ADDRESS.match(str(path)):
        raise InputError(f"the {what} {str(path)!r} are a web address: expected a file; fetch it and name the copy")
    lines = [line.strip() for line in _text(Path(path), what).splitlines()]
    entries = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not one_a_line:
        entries = [(number, word) for number, line in entries for word in line.split()]
    if not entries and not may_be_empty:
        raise InputError(f"the {what} {str(path)!r} hold no word: expected a text file of words, one a line")
    split = [entry.replace(JOINT, " ") if one_a_line else entry for _, entry in entries]
    if tokenizer is None:
        cut = [entry.split() for entry in split]
    else:
        cut = tokenizer(pl.Series(split, dtype=pl.String)).to_list()
    for (number, entry), words in zip(entries, cut, strict=True):
        if not words:
            raise InputError(
                f"line {number} of the {what} {str(path)!r} is {entry[:40]!r}, which is no word as the text is cut:"
                " take it out, or begin the line with #"
            )
    return list(dict.fromkeys(word for words in cut for word in ([JOINT.join(words)] if one_a_line else words)))


def _text(path: Path, what: str) -> str:
    try:
        refuse_special(path)
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        is_list = re.search(r"[./\\]", str(path)) is None or "," in str(path) or " " in str(path)
        hint = f": the {what} are read from a file; write the words into one, one a line" if is_list else ""
        raise InputError(f"cannot read the {what} {str(path)!r}: {error.strerror}{hint}") from error
    except OSError as error:
        raise InputError(f"cannot read the {what} {str(path)!r}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise InputError(f"the {what} {str(path)!r} have more than {_MOST_BYTES:,} bytes: expected a list of words")
    encoding = marked_encoding(content) or "utf-8"
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        guess = guess_encoding(content)
        looks = "" if guess is None or guess.encoding == encoding else f" but look like {guess.encoding} ({guess.what})"
        raise InputError(
            f"the {what} {str(path)!r} are not {encoding.upper()}{looks}: expected a text file of words;"
            " save it as UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(f"the {what} {str(path)!r} hold NUL bytes: expected a text file of words; save it as UTF-8")
    return text
