"""Rejection of a log file that would change an input or the output of the command, before it is opened."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from topicnet.errors import OutputError, TopicnetError

# Options whose values name no file. The value of any other option may be a path.
NAMES = frozenset({
    "-k", "-n", "--topics", "--text-column", "--id-column", "--label-column", "--time-column", "--keep-columns",
    "--sheet", "--table", "--query", "--lang", "--tokenizer", "--format", "--model", "--models", "--variant",
    "--variants", "--device", "--engine", "--param", "--init", "--unit", "--missing", "--delimiter", "--quote",
    "--escape", "--decoder", "--encoding", "--seed", "--seeds", "--epochs", "--top", "--budget", "--dims",
})  # fmt: skip
RECORDS: dict[str, dict[str, type]] = {  # entries of the record in each kind of folder that topicnet writes
    "run.json": {"status": str, "versions": dict},
    "counts.json": {"n_docs": int, "source": dict},
    "compare.json": {"status": str},
    "tune.json": {"status": str},
}


def check_place(log: Path, arguments: Sequence[str]) -> None:
    """Check that a log file is outside every input and output of a command, and outside folders of topicnet.

    Parameters
    ----------
    log : Path
        The log file, existing or not.
    arguments : sequence of str
        Arguments of the command, without the general options.

    Raises
    ------
    OutputError
        The log is a path of the command, matches one with wildcards or is inside one; or it is inside a run folder or
        another folder that topicnet wrote.
    """
    for given in _paths(arguments):
        if relation := _relation(log, given):
            raise OutputError(
                f"the log {str(log)!r} {relation} {given!r}, which the command reads or writes: name another --log-file"
            )
    if folder := _folder_of_ours(log):
        raise OutputError(
            f"the log {str(log)!r} is inside {folder!r}, a folder that topicnet wrote: name another --log-file"
        )


def _paths(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments that may be paths, and the texts in configuration files."""
    n_names = 2 if arguments[:1] == ["images"] else 1
    before = ""
    for one in arguments[n_names:]:
        name, equals, value = one.partition("=") if one.startswith("--") else ("", "", one)
        option = name if equals else before
        before = "" if equals or not one.startswith("-") else one
        if value and (equals or not one.startswith("-")) and option not in NAMES:
            yield value
            if option == "--config":
                yield from _configured(Path(value))


def _configured(path: Path) -> Iterator[str]:
    """Yield the texts of a configuration file; the command reports an error in it."""
    import yaml

    from topicnet.storage.formats import parse_yaml

    try:
        found = parse_yaml(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError, TopicnetError):
        return
    for name, value in found.items() if isinstance(found, dict) else ():
        if f"--{str(name).replace('_', '-')}" not in NAMES:
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one)


def _relation(log: Path, given: str) -> str:
    """Describe the relation of the log to a path of the command; "" if it is outside."""
    try:
        for path in _written_and_real(log):
            for other in _written_and_real(Path(given)):
                if path == other or (path.exists() and other.exists() and path.samefile(other)):
                    return "is"
                if other in path.parents or any(_same_folder(parent, other) for parent in path.parents):
                    return "is inside"
                if fnmatch.fnmatchcase(str(path), str(other)):
                    return "matches"
    except (OSError, ValueError):  # not a path
        return ""
    return ""


def _same_folder(one: Path, other: Path) -> bool:
    return one.is_dir() and other.is_dir() and one.samefile(other)


def _written_and_real(path: Path) -> tuple[Path, Path]:
    return Path(os.path.abspath(path)), Path(os.path.realpath(path))


def _folder_of_ours(log: Path) -> str:
    """Return the folder of topicnet that a log is inside; "" if there is none."""
    from topicnet.storage.ownership import read_own_record

    try:
        folders = dict.fromkeys(parent for path in _written_and_real(log) for parent in path.parents)
    except (OSError, ValueError):  # not a path
        return ""
    for folder in folders:
        for name, entries in RECORDS.items():
            if read_own_record(folder / name, entries) is not None:
                return str(folder)
    return ""
