"""Decoding of a file, compressed or not, chunk by chunk into lines of text.

Memory holds one chunk and the current line, whatever the size of the file. Only ``\\n`` and ``\\r\\n`` end a line. In a
file whose first chunk has no ``\\n``, a lone ``\\r`` also does, as on old Macs.
"""

from __future__ import annotations

import codecs
import gzip
import io
import signal
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO

from topicnet.errors import CorpusError
from topicnet.text.readers.compression import (
    COMPRESSIONS,
    DamagedError,
    Rejoined,
    compression_of,
    installed,
    peeked,
    refuse_container,
    unpacked,
)
from topicnet.text.readers.documents import ReadingLog, ReadingOptions, shown, too_long
from topicnet.text.readers.encodings import (
    C1_CONTROLS,
    guess_encoding,
    guess_shifted,
    is_utf8,
    marked_encoding,
    remedy_for,
)

__all__ = ["File", "check_encoding", "installed", "reading"]

_CHUNK_BYTES = 1 << 18
_HEAD_BYTES = 1 << 16  # examined before the first text is yielded
_MARKED = "topicnet.marked"
_MARK = 0xD800  # an undecodable byte becomes this surrogate plus the byte; valid text never contains it


def check_encoding(encoding: str) -> None:
    """Raise CorpusError unless `encoding` is a text encoding that Python supports."""
    try:
        "\n".encode(encoding)  # bytes-to-bytes codecs such as hex fail here too
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise CorpusError(
            f"unknown encoding {encoding!r}, expected one such as utf-8, cp1252 or utf-16. Use --encoding"
        ) from error


@dataclass
class File:
    """A file to read, an archive member or standard input.

    If malformed rows are skipped, undecodable bytes do not raise an error. They stay marked in their line, and the
    caller must check each line with `fault`.

    Attributes
    ----------
    path : Path or None
        None for standard input.
    options : ReadingOptions
    log : ReadingLog
    opener : callable, optional
        Opens the archive member.
    encoding : str
        The requested encoding; once reading has started, the encoding of the byte order mark if there is one.

    Examples
    --------
    >>> file = File(Path("a.txt"), opener=lambda: io.BufferedReader(io.BytesIO(b"one\\r\\ntwo")))
    >>> list(file.lines())
    ['one', 'two']
    """

    path: Path | None
    options: ReadingOptions = field(default_factory=ReadingOptions)
    log: ReadingLog = field(default_factory=ReadingLog)
    opener: Callable[[], IO[bytes]] | None = None

    def __post_init__(self) -> None:
        self.encoding = self.options.encoding

    @property
    def skips(self) -> bool:
        """True if malformed rows are skipped instead of raising an error."""
        return self.options.skip_bad_rows

    @property
    def name(self) -> str:
        """Name of the file in messages."""
        return "standard input" if self.path is None else shown(str(self.path))

    def at(self, line: int) -> str:
        """Return the name of a line in messages."""
        return f"line {line} of {self.name}"

    def refuse(self, line: int, why: str, message: str | CorpusError) -> None:
        """Record a malformed row if rows may be skipped, else raise `message`.

        Raises
        ------
        CorpusError
            Rows may not be skipped.
        """
        if not self.skips:
            raise CorpusError(message) if isinstance(message, str) else message
        self.log.skipped.add(self.at(line), why)

    def fault(self, text: str) -> str | None:
        """Describe the undecodable bytes of a line, or return None; used only if rows may be skipped."""
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
        """Number the lines from 1, without line ends, leaving out undecodable lines if rows may be skipped."""
        lines = enumerate(self.lines(), 1)
        return (pair for pair in lines if self.is_sound(*pair)) if self.skips else lines

    def is_sound(self, line: int, text: str) -> bool:
        """Return whether a line was decoded, and record it if not."""
        why = self.fault(text)
        if why is not None and self.skips:
            self.log.skipped.add(self.at(line), why)
        return why is None

    def lines(self, *, ends: bool = False) -> Iterator[str]:
        """Yield the lines in order; only a newline ends a line.

        Parameters
        ----------
        ends : bool
            Keep the line ends.

        Raises
        ------
        CorpusError
            A line is longer than `max_document_size`.
        """
        pending: list[str] = []  # parts of the unfinished last line; joined only once, for speed
        n_pending = n_lines = 0
        most = self.options.max_document_size
        for text in self.decoded(universal=True):
            ended = text.split("\n")
            rest = ended.pop()
            if n_pending + len(text) > most:
                self._check_lengths(ended, rest, n_pending, n_lines)
            n_lines += len(ended)
            if ended and pending:
                ended[0] = "".join((*pending, ended[0]))
                pending.clear()
                n_pending = 0
            if ends:
                yield from (line + "\n" for line in ended)
            elif "\r" in text or (ended and ended[0].endswith("\r")):
                yield from (line.removesuffix("\r") for line in ended)
            else:
                yield from ended
            if rest:
                pending.append(rest)
                n_pending += len(rest)
        if pending:
            yield "".join(pending)

    def _check_lengths(self, ended: list[str], rest: str, n_pending: int, n_lines: int) -> None:
        """Raise CorpusError if a line is too long; `n_pending` characters of the first were read before."""
        lengths = [len(line) for line in (*ended, rest)]
        lengths[0] += n_pending
        for line, length in enumerate(lengths, n_lines + 1):
            if length > self.options.max_document_size:
                raise self.too_long(self.at(line))

    def too_long(self, where: str) -> CorpusError:
        """Build the error about a line or document longer than `max_document_size`."""
        return too_long(where, self.options.max_document_size)

    def text(self) -> str:
        """Return the whole text.

        Raises
        ------
        CorpusError
            It is longer than `max_document_size`.
        """
        parts: list[str] = []
        n_characters = 0
        for part in self.chunks():
            n_characters += len(part)
            if n_characters > self.options.max_document_size:
                raise self.too_long(self.name)
            parts.append(part)
        return "".join(parts)

    def first_bytes(self, n_bytes: int) -> bytes:
        """Return the first bytes, decompressed."""
        with reading(self.name):
            return next(self._unpacked(), b"")[:n_bytes]

    def chunks(self) -> Iterator[str]:
        """Yield decoded text in order, without a byte order mark."""
        return self.decoded(universal=False)

    def decoded(self, *, universal: bool) -> Iterator[str]:
        """Yield decoded text; with `universal`, translate the line ends of a file that has only ``\\r`` to ``\\n``."""
        strict = not self.skips
        line, at_start = 1, True
        with reading(self.name):
            chunks = self._unpacked()
            head = _first_parts(chunks)
            self._look_at_head(b"".join(head)[:_HEAD_BYTES])
            end = self._line_end(b"".join(head))
            translate = io.IncrementalNewlineDecoder(None, translate=True) if universal and end == "\r" else None
            checks_controls = codecs.lookup(self.encoding).name.startswith("iso8859")
            decoder = codecs.getincrementaldecoder(self.encoding)("strict" if strict else _MARKED)
            chunks = chain(_drained(head), chunks)
            for data in chain(chunks, [b""]):
                self.log.n_bytes += len(data)
                text = self._decode(decoder, data, line, end, chunks)
                if strict and (nul := text.find("\0")) >= 0:
                    raise self._binary(line + text.count(end, 0, nul), data)
                if checks_controls and (control := C1_CONTROLS.search(text)):
                    checks_controls = False
                    self._notice_controls(control[0], data)
                line += text.count(end)
                if translate is not None:
                    text = translate.decode(text, final=not data)
                if text:
                    yield text.removeprefix("\ufeff") if at_start else text
                    at_start = False

    def _look_at_head(self, head: bytes) -> None:
        """Adopt the encoding of a byte order mark, and reject files whose first bytes are not text."""
        refuse_container(self.name, head)
        marked = marked_encoding(head)
        if is_utf8(self.encoding):
            if marked is None and (shifted := guess_shifted(head)) is not None:
                raise CorpusError(
                    f"{self.name} has escape sequences of {shifted.encoding} ({shifted.what}), expected text in"
                    f" {self.encoding!r}. Give --encoding {shifted.encoding}, or --encoding ascii to read it as it is"
                )
            self.encoding = marked if marked not in (None, "utf-8") else self.encoding
        elif marked == "utf-8" and not codecs.lookup(self.encoding).name.startswith("utf"):
            self.log.notice(
                f"{self.name} begins with the byte order mark of UTF-8 but is read in {self.encoding!r}, as requested:"
                " omit --encoding to read it as UTF-8"
            )

    def _line_end(self, head: bytes) -> str:
        """Return the character that ends lines: a carriage return if the head of the file has no newline."""
        if b"\r" not in head:
            return "\n"
        text = ""
        with suppress(UnicodeError):
            text = codecs.getincrementaldecoder(self.encoding)("replace").decode(head)
        return "\r" if "\r" in text and "\n" not in text else "\n"

    def _binary(self, line: int, data: bytes) -> CorpusError:
        guess = guess_encoding(data)
        remedy = "If it is text, name its encoding, such as --encoding utf-16" if guess is None else guess.remedy
        return CorpusError(
            f"{self.name} looks like a binary file (a NUL byte on line {line}), expected text in {self.encoding!r}."
            f" {remedy}"
        )

    def _notice_controls(self, control: str, data: bytes) -> None:
        remedy = remedy_for(data, self.encoding)
        self.log.notice(
            f"{self.name} has the byte 0x{ord(control):02x}, a control character in {self.encoding!r}. {remedy}"
        )

    def _unpacked(self) -> Iterator[bytes]:
        """Yield the decompressed bytes of the file, about one chunk at a time."""
        if self.path is None:
            if sys.stdin is None:
                raise CorpusError("standard input is closed, expected documents. Pipe some in or name a file")
            _let_ctrl_c_through()
            first = sys.stdin.buffer.read(_CHUNK_BYTES)
            if kind := compression_of(first):
                yield from unpacked(io.BufferedReader(Rejoined(first, sys.stdin.buffer)), kind, self.name, _CHUNK_BYTES)
            else:
                yield first
                yield from unpacked(sys.stdin.buffer, None, self.name, _CHUNK_BYTES)
            return
        with self.path.open("rb") if self.opener is None else self.opener() as stream:
            kind = COMPRESSIONS.get(self.path.suffix.lower())
            if kind is None and (kind := compression_of(peeked(stream))):
                self.log.notice(f"{self.name} is compressed ({kind}) despite its extension: read as such")
            yield from unpacked(stream, kind, self.name, _CHUNK_BYTES)

    def _decode(
        self, decoder: codecs.IncrementalDecoder, data: bytes, line: int, end: str, following: Iterator[bytes]
    ) -> str:
        flags = decoder.getstate()[1]
        try:
            return decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            bad = error.object[error.start]
            decoder.setstate((b"", flags))  # to count the lines before the bad byte
            line += self._decode(decoder, error.object[: error.start], line, end, following).count(end)
            before = max(0, error.start - _HEAD_BYTES // 2)
            is_wide = b"\0" in error.object  # UTF-16 and UTF-32: the byte after a newline may not start a character
            sample = error.object[0 if is_wide else error.object.rfind(b"\n", 0, before) + 1 :]
            with suppress(DamagedError):
                while len(sample) < _HEAD_BYTES and (more := next(following, b"")):
                    sample += more
            raise CorpusError(
                f"{self.at(line)} has the byte 0x{bad:02x}, expected text in {self.encoding!r}."
                f" {remedy_for(sample, self.encoding)}"
            ) from error
        except UnicodeError as error:  # raised by a codec about the whole stream, e.g. without a byte order mark
            raise CorpusError(
                f"{self.name} is not text in {self.encoding!r} ({shown(str(error))}). "
                "Name its encoding, such as --encoding utf-8 or utf-16-le"
            ) from error


def _first_parts(chunks: Iterator[bytes]) -> deque[bytes]:
    """Take the first chunks, up to `_HEAD_BYTES` in total."""
    parts: deque[bytes] = deque()
    n_bytes = 0
    while n_bytes < _HEAD_BYTES and (part := next(chunks, b"")):
        parts.append(part)
        n_bytes += len(part)
    return parts


def _drained(parts: deque[bytes]) -> Iterator[bytes]:
    while parts:
        yield parts.popleft()


@contextmanager
def reading(name: str, expected: str = "") -> Iterator[None]:
    """Raise errors of the operating system and the decompressors as CorpusError."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, DamagedError) as error:
        kind = error.kind if isinstance(error, DamagedError) else "gzip"
        raise CorpusError(
            f"{name} is a damaged or truncated {kind} file ({shown(str(error))}). Fetch or compress it again"
        ) from error
    except OSError as error:
        reason = error.strerror or shown(str(error))
        raise CorpusError(f"cannot read {name}: {reason}{expected}. Check the path and its permissions") from error


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Replace each undecodable byte by a surrogate (codec error handler)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_MARK + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARKED, _mark)


def _let_ctrl_c_through() -> None:
    """Let Ctrl-C interrupt a blocking read, since importing polars makes system calls restart instead."""
    if threading.current_thread() is threading.main_thread():
        signal.siginterrupt(signal.SIGINT, True)
