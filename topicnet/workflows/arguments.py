"""Checks of the arguments of Python functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from topicnet.errors import InputError
from topicnet.text.tokens.cleaning import Cleaning


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
