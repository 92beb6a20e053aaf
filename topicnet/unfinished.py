"""The folder beside a run in which a fit keeps what it needs to go on, until it is done.

::

    RUN.unfinished/fit.json       the configuration, and which documents and words it met
                   checkpoints/   what was learned (topicnet.core.checkpoint)
                   lock           held by the process that is at work
                   .RUN.*.part    the run as it is being written, which is nothing worth once that process has ended
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topicnet import files
from topicnet.config import FitConfig
from topicnet.core.checkpoint import checkpoint_seconds, exist
from topicnet.errors import BundleError, InputError, OutputError
from topicnet.results import read_record
from topicnet.text.counts import Corpus

RECORD, CHECKPOINTS = "fit.json", "checkpoints"


@dataclass(frozen=True)
class Unfinished:
    """A fit at work.

    Attributes
    ----------
    folder : Path
        Its own.
    target : Path
        The run it will write.
    """

    folder: Path
    target: Path

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.folder / CHECKPOINTS

    @property
    def saved(self) -> bool:
        """Whether there is anything to go on from."""
        return exist(self.checkpoints)

    def check_corpus(self, corpus: Corpus) -> None:
        """Note the corpus of the fit.

        Raises
        ------
        InputError
            The fit that this one goes on from had met another.
        """
        record = self._read()
        words = files.json_text([corpus.vocabulary, corpus.source["options"]])
        checksum = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()
        now = {"documents": corpus.source["sha256"], "words counted": checksum}
        before = record.get("corpus", now)
        for what, value in now.items():
            if value != before.get(what):
                raise InputError(
                    f"--resume given, but the {what} are not those of {str(self.target)!r}: fit anew with --overwrite"
                )
        self._write(record | {"corpus": now})

    def check_config(self, config: FitConfig) -> None:
        """Note the configuration of the fit.

        Raises
        ------
        InputError
            The fit that this one goes on from had another.
        """
        record, now = self._read(), json.loads(files.json_text(config.model_dump()))
        before = record.get("config", now)
        for name in now:
            if before.get(name) != now[name]:
                raise InputError(
                    f"--resume given with {name}={now[name]!r}, but {str(self.target)!r} has {before.get(name)!r}: give"
                    " the same options, or fit anew with --overwrite"
                )
        self._write(record | {"config": now})

    def clear(self, *names: str) -> None:
        """Remove all but the lock and what is named."""
        for path in self.folder.iterdir():
            if path.name not in (files.LOCK, *names):
                files.remove(path)

    def _read(self) -> dict[str, Any]:
        if not (self.folder / RECORD).exists():
            return {}
        try:
            return dict(json.loads((self.folder / RECORD).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(f"{str(self.folder / RECORD)!r} is damaged: fit anew with --overwrite") from error

    def _write(self, record: dict[str, Any]) -> None:
        with files.whole_file(self.folder / RECORD, overwrite=True) as part:
            files.write_json(part, record)


@contextmanager
def unfinished_fit(target: Path, config: FitConfig, *, overwrite: bool, resume: bool) -> Iterator[Unfinished]:
    """Hold the folder of a fit that will write a run; if the fit saved anything it stays until it is cleared.

    Raises
    ------
    InputError
        There is nothing to resume, or a fit of another configuration.
    OutputError
        An unfinished fit is there that is neither resumed nor overwritten; another process is at work; the disk
        refuses.
    """
    checkpoint_seconds()
    named = target.name not in ("", "..") and not target.is_symlink()
    real = target if named else Path(os.path.realpath(target))  # to be on the disk of what a link names
    fit = Unfinished(real.with_name(f"{real.name}.unfinished"), target)
    if resume:
        _check_resumable(fit)
    elif fit.folder.exists() and not _ours(fit.folder):
        raise OutputError(
            f"{str(fit.folder)!r} is nothing that topicnet wrote, and the fit needs that name for a while: name another"
            " place with --out"
        )
    with files.held(fit.folder):
        if not resume and not overwrite and fit.saved:
            raise OutputError(
                f"an unfinished fit of {str(target)!r} is there: go on with --resume, or begin anew with --overwrite"
            )
        fit.clear(*((RECORD, CHECKPOINTS) if resume else ()))
        try:
            with files.disk_errors(target):
                fit.check_config(config)
            yield fit
        except BaseException as error:
            if fit.saved and isinstance(error, OutputError):
                raise OutputError(f"{error}; what was learned by then is kept, and --resume goes on from it") from error
            if not resume and not fit.saved:
                fit.clear()
            raise


def _check_resumable(fit: Unfinished) -> None:
    if fit.target.exists():
        if read_record(fit.target)["status"] != "interrupted":
            if _ours(fit.folder):  # a process was killed while it cleared it away
                with files.held(fit.folder):
                    fit.clear()
            raise InputError(f"--resume given, but {str(fit.target)!r} is complete: nothing is left to do")
        if not _ours(fit.folder):
            raise InputError(
                f"--resume given, but {str(fit.folder)!r}, with the checkpoints of {str(fit.target)!r}, is not there:"
                " fit anew with --overwrite"
            )
    elif not _ours(fit.folder):
        raise InputError(f"--resume given, but there is no run in {str(fit.target)!r}: leave --resume out")


def _ours(folder: Path) -> bool:
    """Whether a folder is one that a fit has worked in, or empty."""
    return folder.is_dir() and ((folder / files.LOCK).exists() or not any(folder.iterdir()))
