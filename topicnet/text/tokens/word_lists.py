"""Word lists read from text files: stop words, and the words to count."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl

from topicnet.errors import InputError
from topicnet.text.phrases import JOINT
from topicnet.text.readers.encodings import guess_encoding, marked_encoding
from topicnet.text.readers.folders import refuse_special

_MAX_BYTES = 1 << 28
_URL = re.compile(r"(?:https?|ftp):/", re.IGNORECASE)  # Path() reduces "//" to "/"

Tokenizer = Callable[[pl.Series], pl.Series]


def read_words(
    path: str | Path,
    what: str,
    tokenizer: Tokenizer | None = None,
    *,
    one_a_line: bool = False,
    may_be_empty: bool = False,
) -> list[str]:
    """Read the words of a text file, each once and in order, skipping blank lines and lines that begin with #.

    Parameters
    ----------
    path : str or Path
        A text file with one word per line, or several separated by spaces; in UTF-8, or in the encoding of its byte
        order mark.
    what : str
        Name of the words for messages, such as "stop words".
    tokenizer : callable, optional
        Maps a series of texts to lists of words. The words are returned in the form that it gives them, and an entry in
        which it finds no word is an error. By default words are returned as in the file.
    one_a_line : bool
        Treat each line as one entry, and an entry of several words as a phrase: "New York" and "new_york" both give
        "new_york".
    may_be_empty : bool
        Return an empty list for a file without words, instead of raising an error.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        The file cannot be read, is not text in UTF-8, or has no words, or an entry is not a word.
    """
    if _URL.match(str(path)):
        raise InputError(f"the file of {what} {str(path)!r} is a URL: expected a local file; download it first")
    lines = [line.strip() for line in _text(Path(path), what).splitlines()]
    entries = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not one_a_line:
        entries = [(number, word) for number, line in entries for word in line.split()]
    if not entries and not may_be_empty:
        raise InputError(
            f"the file of {what} {str(path)!r} contains no words: expected a text file with one word per line"
        )
    split = [entry.replace(JOINT, " ") if one_a_line else entry for _, entry in entries]
    if tokenizer is None:
        tokenized = [entry.split() for entry in split]
    else:
        tokenized = tokenizer(pl.Series(split, dtype=pl.String)).to_list()
    for (number, entry), words in zip(entries, tokenized, strict=True):
        if not words:
            raise InputError(
                f"line {number} of the file of {what} {str(path)!r} is {entry[:40]!r}, in which the tokenizer finds no"
                " word: remove it, or begin the line with #"
            )
    return list(dict.fromkeys(word for words in tokenized for word in ([JOINT.join(words)] if one_a_line else words)))


def _text(path: Path, what: str) -> str:
    try:
        refuse_special(path)
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        is_list = re.search(r"[./\\]", str(path)) is None or "," in str(path) or " " in str(path)
        hint = f": the {what} are read from a file; write the words to one, one word per line" if is_list else ""
        raise InputError(f"cannot read the {what} {str(path)!r}: {error.strerror}{hint}") from error
    except OSError as error:
        raise InputError(f"cannot read the {what} {str(path)!r}: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise InputError(
            f"the file of {what} {str(path)!r} has more than {_MAX_BYTES:,} bytes: expected a list of words"
        )
    encoding = marked_encoding(content) or "utf-8"
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        guess = guess_encoding(content)
        hint = "" if guess is None or guess.encoding == encoding else f" but looks like {guess.encoding} ({guess.what})"
        raise InputError(
            f"the file of {what} {str(path)!r} is not {encoding.upper()}{hint}: expected a text file of words;"
            " save it as UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(
            f"the file of {what} {str(path)!r} contains NUL bytes: expected a text file of words; save it as UTF-8"
        )
    return text
