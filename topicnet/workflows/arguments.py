"""Checks of the arguments of Python functions, and errors that name these instead of options of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from topicnet.errors import InputError, TopicnetError
from topicnet.text.tokens.cleaning import Cleaning

NAMES = {"topics": "n_topics", "k": "n_topics", "seed": "random_state", "epochs": "max_epochs", "out": "path"}
_OPTION = re.compile(r"(?<![\w-])--?([a-z]+(?:-[a-z]+)*)(?: (?=(?:'[^']*'|\d+) given))?")
_FIELD = re.compile(r"^(topics|seed)(?==)")


@contextmanager
def python_names() -> Iterator[None]:
    """Context manager: replace options of the command line in the messages of errors by names of arguments.

    Examples
    --------
    >>> with python_names():
    ...     raise InputError("--model 'lda' given, expected etm: see --min-df")
    Traceback (most recent call last):
    topicnet.errors.InputError: model='lda' given, expected etm: see min_df
    """
    try:
        yield
    except TopicnetError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (with_python_names(error.args[0]), *error.args[1:])
        raise


def with_python_names(message: str) -> str:
    """Replace options such as --min-df in a message by the names of arguments.

    Examples
    --------
    >>> with_python_names("-k 3 given, or split long ones with --passages: pip install 'topicnet[a-b]' -- now")
    "n_topics=3 given, or split long ones with passages: pip install 'topicnet[a-b]' -- now"
    >>> with_python_names("choose another folder with --out, or replace it with --overwrite")
    'choose another path, or replace it with overwrite=True'
    """

    def named(found: re.Match[str]) -> str:
        if not found[0].startswith("--") and found[1] != "k":
            return found[0]
        name = found[1].replace("-", "_")
        return NAMES.get(name, name) + ("=" if found[0].endswith(" ") else "")

    message = message.replace("folder with --out", "path").replace("--overwrite", "overwrite=True")
    return _FIELD.sub(lambda found: NAMES[found[1]], _OPTION.sub(named, message))


def as_list(name: str, given: Any) -> str | list[str] | None:
    """Convert several names to a list, as a configuration stores them, and leave one name as it is.

    Raises
    ------
    InputError
        Anything else was given.
    """
    if isinstance(given, str | None):
        return given
    if not isinstance(given, Iterable):
        raise InputError(f"{name}={given!r} given, expected text or a list of texts")
    return list(given)


def words_in(name: str, words: Iterable[str] | None) -> tuple[str, ...] | None:
    """Convert a list of words to a tuple.

    Raises
    ------
    InputError
        It is one string, or contains anything but strings.
    """
    if words is None:
        return None
    if isinstance(words, str):
        raise InputError(f"{name}={words!r} given, expected a list of words: put it in brackets")
    if not isinstance(words, Iterable):
        raise InputError(f"{name}={words!r} given, expected a list of words")
    listed = tuple(words)
    if (odd := next((word for word in listed if not isinstance(word, str)), None)) is not None:
        raise InputError(f"{name} holds {odd!r}, expected words")
    return listed


def check_arguments(keep_columns: Sequence[str], cleaning: Any, **called: Any) -> None:
    """Raise InputError for arguments of `topicnet.fit` of another type, before any work."""
    if isinstance(keep_columns, str):
        raise InputError(f"keep_columns={keep_columns!r} given, expected a list of names: put it in brackets")
    if not isinstance(keep_columns, Iterable):
        raise InputError(f"keep_columns={keep_columns!r} given, expected a list of names")
    if not isinstance(cleaning, Cleaning | None):
        raise InputError(
            f"cleaning={cleaning!r} given, expected a topicnet.Cleaning, such as topicnet.Cleaning(drop_urls=True)"
        )
    for name, function in called.items():
        if function is not None and not callable(function):
            raise InputError(f"{name}={function!r} given, expected a function that takes one argument")
