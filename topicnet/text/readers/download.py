"""A file of a named corpus from the network: fetched once, kept in the user's cache, checked at every use."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from topicnet.errors import CorpusError, OutputError
from topicnet.storage import atomic, formats

TIMEOUT_SECONDS = 30.0  # for an answer, and between two parts of it
MAX_BYTES = 64 * 2**20  # what no file of a recipe comes near


def cache_folder() -> Path:
    """Where downloads are kept: TOPICNET_CACHE, else topicnet in XDG_CACHE_HOME, else ~/.cache/topicnet.

    Raises
    ------
    CorpusError
        None of the three names a place: there is no home folder.
    """
    try:
        if chosen := os.environ.get("TOPICNET_CACHE"):
            return Path(chosen).expanduser().absolute()
        shared = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification has a path that is not absolute ignored.
        return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "topicnet"
    except RuntimeError as error:
        raise CorpusError(
            "no home folder was found, expected one to keep downloads in: set TOPICNET_CACHE to a folder"
        ) from error


@dataclass(frozen=True)
class CachedDownload:
    """A file that lies at `url` and, once it was used, at `path`.

    Attributes
    ----------
    corpus : str
        The named corpus it belongs to, for the messages.
    url : str
    sha256 : str
        Of the whole file, in hexadecimal.
    path : Path
        The user may put the file there by hand.
    """

    corpus: str
    url: str
    sha256: str
    path: Path

    def content(self) -> bytes:
        """Give the bytes with the expected checksum, from the cache or else from the network.

        Raises
        ------
        CorpusError
            The network or the cache cannot be used, or `url` has another file. Nothing is left half-written, and
            what was in the cache stays as it was.
        """
        kept = self._kept()
        if kept is not None and self._is_expected(kept):
            return kept
        try:
            with atomic.atomic_file(self.path, overwrite=True) as part:  # first, so that no download is in vain
                fetched = self._fetched()
                with atomic.disk_errors(self.path):
                    formats.write_bytes(part, fetched)
        except OutputError as error:
            raise self._unusable_cache(error.__cause__ or error) from error
        return fetched

    def _is_expected(self, content: bytes) -> bool:
        return hashlib.sha256(content).hexdigest() == self.sha256

    def _kept(self) -> bytes | None:
        try:
            with self.path.open("rb") as handle:
                return handle.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable_cache(error) from error

    def _fetched(self) -> bytes:
        try:
            with urllib.request.urlopen(self.url, timeout=TIMEOUT_SECONDS) as response:
                content: bytes = response.read(MAX_BYTES + 1)
                missing = response.length  # bytes still to come, where the server said how many there are
        except (OSError, HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise self._unreachable(_reason(error)) from error
        if missing and len(content) <= MAX_BYTES:
            raise self._unreachable("the connection was cut off")
        if not self._is_expected(content):
            raise self._another(content)
        return content

    def _unreachable(self, reason: str) -> CorpusError:
        place = f"{str(self.path)!r}{', where another one is now' if self.path.exists() else ''}"
        return CorpusError(
            f"the corpus {self.corpus!r} could not be downloaded from {self.url} ({reason}): check the network, or"
            f" fetch the file elsewhere (sha256 {self.sha256}) and put it at {place}"
        )

    def _another(self, content: bytes) -> CorpusError:
        size = len(content)
        given = f"sha256 {hashlib.sha256(content).hexdigest()}" if size <= MAX_BYTES else f"over {MAX_BYTES:,} bytes"
        return CorpusError(
            f"{self.url} is not the corpus {self.corpus!r} the recipe knows ({given}, expected sha256 {self.sha256}):"
            f" try again, update topicnet, or put the expected file at {str(self.path)!r}"
        )

    def _unusable_cache(self, error: BaseException) -> CorpusError:
        return CorpusError(
            f"the corpus {self.corpus!r} cannot be kept in {str(self.path)!r} ({_reason(error)}): mend that place, or"
            " set TOPICNET_CACHE to a folder that can be written to"
        )


def _reason(error: BaseException) -> str:
    """What went wrong, in one printable line, without the names of Python's exceptions and error numbers."""
    cause = error
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        cause = error.reason
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or type(cause).__name__
