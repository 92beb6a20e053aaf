"""Optional libraries, and the error with the pip extra to install when one of them is missing."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from topicnet.errors import InputError

DISTRIBUTION = "topicnet-neural"  # the name on the package index, where `topicnet` is another project
# The library that users know and the extra of pyproject.toml that installs it, by the module that is imported.
EXTRAS = {
    "PIL": ("Pillow", "images"),
    "docx": ("python-docx", "documents"),
    "duckdb": ("duckdb", "duckdb"),
    "fastexcel": ("fastexcel", "excel"),
    "jieba": ("jieba", "zh"),
    "kiwipiepy": ("kiwipiepy", "ko"),
    "matplotlib": ("matplotlib", "plots"),
    "optuna": ("optuna", "tune"),
    "ot": ("POT", "transport"),
    "plotly": ("plotly", "plots"),
    "pooch": ("pooch", "corpora"),
    "pypdf": ("pypdf", "documents"),
    "ray": ("Ray", "ray"),
    "requests": ("requests", "corpora"),
    "spacy_lookups_data": ("spacy-lookups-data", "lemmas"),
    "sudachidict_core": ("sudachidict_core", "ja"),
    "sudachipy": ("SudachiPy", "ja"),
    "tomotopy": ("tomotopy", "lda"),
    "zstandard": ("zstandard", "zstd"),
}


def is_installed(module: str) -> bool:
    """Return whether a library is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def check_installed(feature: str, modules: Iterable[str], error: type[InputError] = InputError) -> None:
    """Raise an error for the first of some libraries that is missing.

    Parameters
    ----------
    feature : str
        What needs them: the message begins with it.
    modules : iterable of str
        Keys of `EXTRAS`.
    error : type
        The class of the error.

    Raises
    ------
    InputError
        A library is missing; the message names its extra and the command that installs it.
    """
    for module in modules:
        if not is_installed(module):
            raise error(message_of(feature, module))


def import_extra(feature: str, module: str, error: type[InputError] = InputError) -> Any:
    """Import an optional library, or raise the error of `check_installed`."""
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise error(message_of(feature, module)) from missing


def message_of(feature: str, module: str) -> str:
    """Describe which feature needs a missing library, and how to install it."""
    library, extra = EXTRAS[module]
    return f"{feature} needs {library}, which is not installed: pip install '{DISTRIBUTION}[{extra}]'"
