"""Parser of the sizes in the footer of a Parquet file, to check them before a library reads the file.

The footer is in Thrift's compact protocol. Each field of a structure is a byte, which holds the type and the difference
to the previous field number, followed by the value. Integers are zigzag-encoded with variable length.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"PAR1"
_MAX_FOOTER_BYTES = 1 << 21  # larger ones belong to files with many columns and take long to parse here
_MAX_DEPTH = 32
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_N_ROWS, _GROUPS, _GROUP_BYTES = 3, 4, 2  # field numbers


@dataclass(frozen=True)
class Footer:
    """Sizes stated in a Parquet footer.

    Attributes
    ----------
    n_rows : int
    largest_group : int
        Uncompressed bytes of the largest row group.
    """

    n_rows: int
    largest_group: int


def read_footer(path: Path) -> Footer | None:
    """Read the sizes in the footer; None if it is larger than 2 MiB.

    Raises
    ------
    ValueError
        The file has no footer, or the footer is malformed.
    """
    size = os.stat(path).st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, size - 8))
        end = file.read(8)
        length = int.from_bytes(end[:4], "little")
        if start != _MAGIC or end[4:] != _MAGIC or size < 12:
            raise ValueError("it does not begin and end as a Parquet file")
        if not 0 < length <= size - 12:
            raise ValueError("its footer is longer than the file")
        if length > _MAX_FOOTER_BYTES:
            return None
        file.seek(size - 8 - length)
        data = file.read(length)
    try:
        return _Parser(data).footer()
    except IndexError as error:
        raise ValueError("its footer ends too early") from error


class _Parser:
    """Parser of the bytes of a footer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def footer(self) -> Footer:
        """Parse the outermost structure."""
        n_rows = largest = 0
        number = 0
        while field := self._field(number):
            number, kind = field
            if number == _N_ROWS and kind == _I64:
                n_rows = self._signed()
            elif number == _GROUPS and kind == _LIST:
                n_groups, item = self._list()
                for _ in range(n_groups):
                    largest = max(largest, self._group() if item == _STRUCT else self._skip(item))
            else:
                self._skip(kind)
        if n_rows < 0 or largest < 0:
            raise ValueError("its footer states a negative size")
        return Footer(n_rows, largest)

    def _group(self) -> int:
        """Parse a row group and return its uncompressed bytes."""
        n_bytes = number = 0
        while field := self._field(number):
            number, kind = field
            if number == _GROUP_BYTES and kind == _I64:
                n_bytes = self._signed()
                if n_bytes < 0:
                    raise ValueError("its footer states a negative size")
            else:
                self._skip(kind)
        return n_bytes

    def _field(self, last: int) -> tuple[int, int] | None:
        """Return number and type of the next field; None at the end of the structure."""
        head = self._byte()
        if head == 0:
            return None
        distance, kind = head >> 4, head & 15
        return (last + distance if distance else self._signed()), kind

    def _list(self) -> tuple[int, int]:
        """Return number and type of the items of a list; each takes at least one byte."""
        head = self._byte()
        n_items = head >> 4 if head >> 4 < 15 else self._unsigned()
        if n_items > len(self._data) - self._at:
            raise ValueError("its footer states more items than it holds")
        return n_items, head & 15

    def _skip(self, kind: int, depth: int = 0) -> int:
        """Skip a value and return 0."""
        if depth > _MAX_DEPTH:
            raise ValueError("its footer is nested too deeply")
        if kind == _BYTE:
            self._move(1)
        elif kind in (_I16, _I32, _I64):
            self._unsigned()
        elif kind == _DOUBLE:
            self._move(8)
        elif kind == _BINARY:
            self._move(self._unsigned())
        elif kind in (_LIST, _SET):
            n_items, item = self._list()
            for _ in range(n_items):
                self._skip(_BYTE if item in (_TRUE, _FALSE) else item, depth + 1)
        elif kind == _STRUCT:
            number = 0
            while field := self._field(number):
                number, inner = field
                self._skip(inner, depth + 1)
        elif kind not in (_TRUE, _FALSE):
            raise ValueError("its footer holds a value of an unknown kind")
        return 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _move(self, n_bytes: int) -> None:
        self._at += n_bytes
        if self._at > len(self._data):
            raise IndexError(self._at)

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("its footer holds a number that is too long")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
