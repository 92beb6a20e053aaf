"""Thread-safe suppression of warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from topicnet.runtime.shared_setting import SharedSetting


@contextmanager
def ignored(category: type[Warning]) -> Iterator[None]:
    """Context manager: ignore warnings of a category.

    `warnings.catch_warnings` can leave its filter behind when two threads use it at once; this does not.
    """
    with _filters.held(category):
        yield


@contextmanager
def _ignoring(category: type[Warning]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


_filters = SharedSetting(_ignoring)
