"""From a file to its text: gzip, Zstandard or plain bytes, decoded chunk by chunk and cut into lines.

Memory holds one chunk and the line at hand, whatever the size of the file. Only ``\\n`` and ``\\r\\n`` end a line.
"""

from __future__ import annotations

import codecs
import gzip
import importlib
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import ReadingLog, ReadingOptions, shown

COMPRESSIONS = (".gz", ".zst")
_CHUNK_BYTES = 1 << 18
_ZSTD_BYTES = 1 << 8  # read at a time: at worst they stand for 30,000 times as many
_ZSTD_WINDOW_BYTES = 1 << 31  # the most there is: large public archives are packed with it
_MARKED = "topicnet.marked"
_MARK = 0xD800  # a byte that is no text becomes this surrogate plus the byte, which no sound text holds


class _DamagedError(Exception):
    """A compressed file that is not what its ending says, or that ends too early."""


def check_encoding(encoding: str) -> None:
    """Raise CorpusError for what is no text encoding."""
    try:
        "\n".encode(encoding)  # bytes-to-bytes codecs such as hex fail here too
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise CorpusError(
            f"unknown encoding {encoding!r}, expected one such as utf-8, latin-1 or utf-16. Use --encoding"
        ) from error


@dataclass(frozen=True)
class File:
    """One file to read; standard input where `path` is None.

    Where malformed rows are skipped, bytes that are not text do not end the reading: they stay marked in the line they
    are in, and the reader of the line must ask `fault` about it.
    """

    path: Path | None
    options: ReadingOptions = field(default_factory=ReadingOptions)
    log: ReadingLog = field(default_factory=ReadingLog)

    @property
    def encoding(self) -> str:
        """The encoding of its text."""
        return self.options.encoding

    @property
    def skips(self) -> bool:
        """Whether malformed rows are skipped rather than refused."""
        return self.options.skip_bad_rows

    @property
    def name(self) -> str:
        """How messages call it."""
        return "standard input" if self.path is None else shown(str(self.path))

    def at(self, line: int) -> str:
        """How messages call one of its lines."""
        return f"line {line} of {self.name}"

    def refuse(self, line: int, why: str, message: str | CorpusError) -> None:
        """Record a malformed row where rows may be skipped; else raise the message.

        Raises
        ------
        CorpusError
            Rows may not be skipped.
        """
        if not self.skips:
            raise CorpusError(message) if isinstance(message, str) else message
        self.log.skipped.add(self.at(line), why)

    def fault(self, text: str) -> str | None:
        """What is wrong with the bytes of a line, or None: asked only where rows may be skipped."""
        if "\0" in text:
            return "a NUL byte"
        if text.isascii():
            return None
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"the byte 0x{ord(text[error.start]) - _MARK:02x}, expected text in {self.encoding!r}"
        return None

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Lines without their endings, from 1; where rows may be skipped, without those whose bytes are not text."""
        lines = enumerate(self.lines(), 1)
        return (pair for pair in lines if self.is_sound(*pair)) if self.skips else lines

    def is_sound(self, line: int, text: str) -> bool:
        """Whether a line is text; one that is not is recorded."""
        why = self.fault(text)
        if why is not None and self.skips:
            self.log.skipped.add(self.at(line), why)
        return why is None

    def lines(self, *, ends: bool = False) -> Iterator[str]:
        """Lines in order, without their endings or with them; only a newline ends one."""
        pending: list[str] = []  # the unfinished last line in parts, joined once however long it grows
        for text in self.chunks():
            ended = text.split("\n")
            rest = ended.pop()
            if ended and pending:
                ended[0] = "".join((*pending, ended[0]))
                pending.clear()
            if ends:
                yield from (line + "\n" for line in ended)
            elif "\r" in text or (ended and ended[0].endswith("\r")):
                yield from (line.removesuffix("\r") for line in ended)
            else:
                yield from ended
            if rest:
                pending.append(rest)
        if pending:
            yield "".join(pending)

    def chunks(self) -> Iterator[str]:
        """Decoded text in order, without a byte order mark."""
        strict = not self.skips
        decoder = codecs.getincrementaldecoder(self.encoding)("strict" if strict else _MARKED)
        line, at_start = 1, True
        with reading(self.name):
            for data in chain(self._unpacked(), [b""]):
                self.log.n_bytes += len(data)
                text = self._decode(decoder, data, line)
                if strict and (nul := text.find("\0")) >= 0:
                    line += text.count("\n", 0, nul)
                    raise CorpusError(
                        f"{self.name} looks like a binary file (a NUL byte on line {line}), expected text in "
                        f"{self.encoding!r}. If it is text, name its encoding, such as --encoding utf-16"
                    )
                line += text.count("\n")
                if text:
                    yield text.removeprefix("\ufeff") if at_start else text
                    at_start = False

    def _unpacked(self) -> Iterator[bytes]:
        """The bytes of the file, about a chunk at a time."""
        if self.path is None:
            if sys.stdin is None:
                raise CorpusError("standard input is closed, expected documents. Pipe some in or name a file")
            _let_ctrl_c_through()
            yield from iter(lambda: sys.stdin.buffer.read(_CHUNK_BYTES), b"")
            return
        ending = self.path.suffix.lower()
        if ending == ".zst":
            yield from _zstandard_chunks(self.path)
            return
        with gzip.open(self.path, "rb") if ending == ".gz" else self.path.open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK_BYTES), b"")

    def _decode(self, decoder: codecs.IncrementalDecoder, data: bytes, line: int) -> str:
        flags = decoder.getstate()[1]
        try:
            return decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            decoder.setstate((b"", flags))  # to count lines in what comes before the bad byte
            line += self._decode(decoder, error.object[: error.start], line).count("\n")
            raise CorpusError(
                f"{self.at(line)} has the byte 0x{error.object[error.start]:02x}, expected text in "
                f"{self.encoding!r}. Name its encoding, such as --encoding latin-1"
            ) from error
        except UnicodeError as error:  # what a codec says of a whole stream: no byte order mark
            raise CorpusError(
                f"{self.name} is not text in {self.encoding!r} ({shown(str(error))}). "
                "Name its encoding, such as --encoding utf-8 or utf-16-le"
            ) from error


def _zstandard_chunks(path: Path) -> Iterator[bytes]:
    """Unpack Zstandard frames, which may not end within one: the reader of the library takes that for the end."""
    library = installed("zstandard", shown(str(path)), "zstandard")
    frames = library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame, left = None, b""  # left: read, and beyond the end of the last frame
    parts: list[bytes] = []
    n_bytes = 0
    with path.open("rb") as file:
        while data := left or file.read(_ZSTD_BYTES):
            frame = frame or frames.decompressobj()
            try:
                parts.append(frame.decompress(data))
            except library.ZstdError as error:
                raise _DamagedError(str(error)) from error
            frame, left = (None, frame.unused_data) if frame.eof else (frame, b"")
            n_bytes += len(parts[-1])
            if n_bytes >= _CHUNK_BYTES:
                yield b"".join(parts)
                parts, n_bytes = [], 0
    if frame is not None:
        raise _DamagedError("it ends too early")
    yield b"".join(parts)


@contextmanager
def reading(name: str, expected: str = "") -> Iterator[None]:
    """Turn what the operating system and the decompressors raise into a CorpusError."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, _DamagedError) as error:
        kind = "Zstandard" if isinstance(error, _DamagedError) else "gzip"
        raise CorpusError(
            f"{name} is a damaged or cut-off {kind} file ({shown(str(error))}). Fetch or compress it again"
        ) from error
    except OSError as error:
        reason = error.strerror or shown(str(error))
        raise CorpusError(f"cannot read {name}: {reason}{expected}. Check the path and its permissions") from error


def installed(module: str, name: str, what: str) -> Any:
    """Import a library that only some formats need.

    Raises
    ------
    CorpusError
        It is not installed; the message names what is to be installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CorpusError(f"cannot read {name} without {module}: install {what}") from error


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Leave a mark for each byte that is no text: a codec's error handler."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_MARK + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARKED, _mark)


def _let_ctrl_c_through() -> None:
    """Make a blocking read end at Ctrl-C: polars, once imported, leaves system calls to be restarted instead."""
    if threading.current_thread() is threading.main_thread():
        signal.siginterrupt(signal.SIGINT, True)
