"""Download of a named corpus: fetched once, cached, and verified by checksum on every use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING

from topicnet.errors import CorpusError
from topicnet.runtime.extras import import_extra
from topicnet.storage import atomic

if TYPE_CHECKING:
    from requests import RequestException

TIMEOUT_SECONDS = 30.0  # for a response, and between two chunks of it
MAX_BYTES = 64 * 2**20  # well above the largest file of a recipe


def cache_folder() -> Path:
    """Return the cache folder: TOPICNET_CACHE, else topicnet in XDG_CACHE_HOME, else ~/.cache/topicnet.

    Raises
    ------
    CorpusError
        Neither variable is set, and there is no home folder.
    """
    try:
        if chosen := os.environ.get("TOPICNET_CACHE"):
            return Path(chosen).expanduser().absolute()
        shared = os.environ.get("XDG_CACHE_HOME", "")
        # As the XDG specification requires, relative paths are ignored.
        return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "topicnet"
    except RuntimeError as error:
        raise CorpusError(
            "no home folder was found, expected one to cache downloads in: set TOPICNET_CACHE to a folder"
        ) from error


@dataclass(frozen=True)
class CachedDownload:
    """A file that is downloaded on first use and cached.

    Attributes
    ----------
    corpus : str
        Name of the corpus, for messages.
    url : str
        Address of the file.
    sha256 : str
        Checksum of the whole file, in hexadecimal.
    path : Path
        Location in the cache; the user may also put the file there by hand.
    """

    corpus: str
    url: str
    sha256: str
    path: Path

    def content(self) -> bytes:
        """Return the verified content, from the cache or else from the network.

        Raises
        ------
        CorpusError
            The network or the cache cannot be used, or the file at `url` has another checksum. The cache is left
            unchanged, without partial files.
        """
        pooch = import_extra(f"downloading the corpus {self.corpus!r}", "pooch", CorpusError)
        import_extra(f"downloading the corpus {self.corpus!r}", "requests", CorpusError)
        missing = [folder for folder in self.path.parents if not folder.exists()]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            pooch.get_logger().setLevel("WARNING")  # by default pooch prints each download
            pooch.retrieve(self.url, self.sha256, self.path.name, self.path.parent, downloader=self._download)
            return self.path.read_bytes()
        except OSError as error:
            raise CorpusError(
                f"the corpus {self.corpus!r} cannot be cached in {str(self.path)!r} ({_reason(error)}): make that path"
                " writable, or set TOPICNET_CACHE to a writable folder"
            ) from error
        finally:
            atomic.remove_empty(missing)

    def _download(self, url: str, output_file: str, pooch: object) -> None:
        """Download up to MAX_BYTES and verify the checksum (pooch downloader)."""
        import requests
        from pooch import file_hash

        os.chmod(output_file, 0o666 & ~atomic.umask())
        headers = {"Accept-Encoding": "identity"}  # no compression in transit
        try:
            with (
                requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response,
                open(output_file, "wb") as handle,
            ):
                response.raise_for_status()
                for chunk in response.iter_content(1 << 16):
                    handle.write(chunk)
                    if handle.tell() > MAX_BYTES:
                        raise self._another(f"over {MAX_BYTES:,} bytes")
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        if (found := file_hash(output_file)) != self.sha256:
            raise self._another(f"sha256 {found}")

    def _unreachable(self, error: RequestException) -> CorpusError:
        reason = _reason(error)
        if error.response is not None:
            reason = _printable(f"HTTP Error {error.response.status_code}: {error.response.reason}")
        place = f"{str(self.path)!r}{', replacing the file there' if self.path.exists() else ''}"
        return CorpusError(
            f"the corpus {self.corpus!r} could not be downloaded from {self.url} ({reason}): check the network, or"
            f" fetch the file elsewhere (sha256 {self.sha256}) and put it at {place}"
        )

    def _another(self, found: str) -> CorpusError:
        return CorpusError(
            f"{self.url} is not the corpus {self.corpus!r} of the recipe ({found}, expected sha256 {self.sha256}):"
            f" try again, update topicnet, or put the expected file at {str(self.path)!r}"
        )


def _reason(error: BaseException) -> str:
    """Describe the root cause of an error in one printable line, without exception names and error numbers."""
    from urllib3.exceptions import HTTPError

    while isinstance(cause := error.__cause__ or error.__context__, OSError | HTTPError):
        error = cause
    if isinstance(error, IncompleteRead):
        return "the connection was interrupted"
    return _printable((error.strerror if isinstance(error, OSError) else None) or str(error)) or type(error).__name__


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
