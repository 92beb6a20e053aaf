"""Decompression of input files: detection of gzip, bzip2, xz and Zstandard, and reading chunk by chunk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from topicnet.errors import CorpusError
from topicnet.runtime.extras import import_extra

COMPRESSIONS = {".gz": "gzip", ".zst": "Zstandard", ".bz2": "bzip2", ".xz": "xz"}
_PACKED = (
    (b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"),
)  # fmt: skip
_BZIP2_BLOCK = b"1AY&SY"  # follows the digit of the compression level
_CONTAINERS = (
    (b"PK\x03\x04", "a zip archive, a workbook or a Word document", ".zip, .xlsx or .docx"),
    (b"%PDF-", "a PDF file", ".pdf"),
    (b"PAR1", "a Parquet file", ".parquet"),
    (b"SQLite format 3\0", "an SQLite database", ".db"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Word or Excel file", ""),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", ""),
    (b"Rar!\x1a\x07", "a RAR archive", ""),
    (b"\x89PNG\r\n", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
)
MAGIC_BYTES = 16
_ZSTD_BYTES = 1 << 8  # read at a time; they may expand up to 30,000 times
_ZSTD_WINDOW_BYTES = 1 << 31  # the largest window, which large public archives use
_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class DamagedError(Exception):
    """A compressed file that is damaged, truncated or in another format.

    Attributes
    ----------
    kind : str
        Name of the compression, for messages.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def compression_of(head: bytes) -> str | None:
    """Detect the compression from the first bytes of a file; None if it is not compressed.

    Examples
    --------
    >>> compression_of(gzip.compress(b"text")), compression_of(b"text")
    ('gzip', None)
    """
    kind = next((kind for magic, kind in _PACKED if head.startswith(magic)), None)
    return None if kind == "bzip2" and head[4:10] != _BZIP2_BLOCK else kind


def peeked(stream: Any) -> bytes:
    """Return the first bytes of a stream without consuming them.

    Raises
    ------
    DamagedError
        The stream is an archive member that cannot be decompressed.
    """
    try:
        head: bytes = stream.peek(MAGIC_BYTES)
    except _DAMAGE as error:
        raise DamagedError("zip", str(error)) from error
    return head


def refuse_container(name: str, head: bytes) -> None:
    """Raise CorpusError if the first bytes are those of a well-known binary format."""
    for magic, what, endings in _CONTAINERS:
        if head.startswith(magic):
            remedy = f"Give it the right extension ({endings})" if endings else "Save it as text, CSV or .xlsx"
            raise CorpusError(f"{name} is {what}, expected text. {remedy}")


def unpacked(stream: IO[bytes], kind: str | None, name: str, chunk_bytes: int) -> Iterator[bytes]:
    """Decompress a stream, yielding about `chunk_bytes` bytes at a time.

    Parameters
    ----------
    stream : binary file
    kind : str, optional
        A value of `COMPRESSIONS`; None for uncompressed bytes.
    name : str
        Name of the file in messages.
    chunk_bytes : int

    Raises
    ------
    DamagedError
        The bytes are not in this format, or end too early.
    """
    if kind == "Zstandard":
        yield from _zstandard_chunks(stream, name, chunk_bytes)
        return
    file: Any = stream
    match kind:
        case "gzip":
            file = gzip.GzipFile(fileobj=stream)
        case "bzip2":
            file = bz2.BZ2File(stream)
        case "xz":
            file = lzma.LZMAFile(stream)  # noqa: SIM115
    try:
        yield from iter(lambda: file.read(chunk_bytes), b"")
    except _DAMAGE as error:
        raise DamagedError("zip" if isinstance(error, zipfile.BadZipFile) else kind or "zip", str(error)) from error
    except OSError as error:
        if kind == "bzip2" and error.errno is None:  # raised by the library about the data
            raise DamagedError(kind, str(error)) from error
        raise


class Rejoined(io.RawIOBase):
    """Stream whose first bytes, already read, are pushed back in front.

    Examples
    --------
    >>> Rejoined(b"ab", io.BytesIO(b"cd")).readall()
    b'abcd'
    """

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with the next bytes and return their number."""
        data = self._first[: len(buffer)] or self._rest.read(len(buffer))
        self._first = self._first[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _zstandard_chunks(stream: IO[bytes], name: str, chunk_bytes: int) -> Iterator[bytes]:
    """Decompress Zstandard frames and reject a truncated one, which the library's own reader would accept."""
    library = installed("zstandard", name)
    frames = library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame, left = None, b""  # left: bytes read beyond the end of the last frame
    parts: list[bytes] = []
    n_bytes = 0
    while data := left or stream.read(_ZSTD_BYTES):
        frame = frame or frames.decompressobj()
        try:
            parts.append(frame.decompress(data))
        except library.ZstdError as error:
            raise DamagedError("Zstandard", str(error)) from error
        frame, left = (None, frame.unused_data) if frame.eof else (frame, b"")
        n_bytes += len(parts[-1])
        if n_bytes >= chunk_bytes:
            yield b"".join(parts)
            parts, n_bytes = [], 0
    if frame is not None:
        raise DamagedError("Zstandard", "it ends too early")
    yield b"".join(parts)


def installed(module: str, name: str) -> Any:
    """Import an optional library that only some formats need.

    Parameters
    ----------
    module : str
    name : str
        Name of the file in messages.


    Raises
    ------
    CorpusError
        The library is not installed; the message names the extra that installs it.
    """
    return import_extra(f"reading {name}", module, CorpusError)
