"""Reader of JSON files: one object per line, an array of objects, or strings or lists of words without keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import (
    LONE_SURROGATE,
    Columns,
    Row,
    Value,
    folded,
    no_column,
    shown,
)
from topicnet.text.readers.open_text import File

_KINDS = {
    dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number",
    bool: "a boolean", type(None): "null",
}  # fmt: skip
_BLANKS = " \t\r\n"
_MAX_CHARACTERS = 1 << 28  # of an object in an array
_NEAR_THE_END = 16  # characters; a JSON error this close to the end may be due to truncation
_ABSENT = object()
_TEXT = "a string or a list of words"
_TEXTS = re.compile(r'(\[\s*){0,2}"')
_decode = json.JSONDecoder().raw_decode  # twice as fast as json.loads


def json_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a JSON file of bare texts or of objects: one per line, across lines, or in an array.

    Examples
    --------
    >>> import io, pathlib
    >>> data = b'[{"text": "a b", "n": 1}]'
    >>> file = File(pathlib.Path("a.json"), opener=lambda: io.BufferedReader(io.BytesIO(data)))
    >>> list(json_rows(file, Columns()))
    [('', 'a b', {'n': 1})]
    """
    chunks = file.decoded(universal=True)
    read: list[str] = []
    start = ""
    for chunk in chunks:
        read.append(chunk)
        start = (start + chunk).lstrip(_BLANKS)
        if len(start) > 1 and start[1:].strip(_BLANKS):
            break
    peeked = _PeekedFile(file.path, file.options, file.log, file.opener, chain(read, chunks))
    peeked.encoding = file.encoding  # from a byte order mark
    if start.startswith("[") and start[1:].lstrip(_BLANKS)[:1] in ("{", "]", ""):
        yield from _rows_of_values(peeked, columns, is_array=True)
    elif _are_texts(start, columns):
        yield from _rows_of_texts(peeked, columns, is_array=_is_array(peeked, start, read, chunks))
    elif start.partition("\n")[0].strip(_BLANKS) == "{":
        yield from _rows_of_values(peeked, columns, is_array=False)
    else:
        yield from _rows_of_lines(peeked, columns)


def _are_texts(start: str, columns: Columns) -> bool:
    """Return whether a file starts with a string or list of words, no object follows and no column was requested."""
    return columns == Columns() and _TEXTS.match(start) is not None and "\n{" not in start


def _is_array(file: File, start: str, read: list[str], chunks: Iterator[str]) -> bool:
    """Return whether texts are in one array, not one per line; chunks read to find out are added to `read`."""
    while "\n" not in start and len(start) < _MAX_CHARACTERS and (chunk := next(chunks, None)) is not None:
        read.append(chunk)
        start += chunk
    file.decoded_text = chain(read, chunks)  # type: ignore[attr-defined]
    first, _, rest = start.partition("\n")
    try:
        is_line = type(json.loads(first)) is str or rest.lstrip(_BLANKS)[:1] in ("[", '"')
    except (ValueError, RecursionError):
        return first[:1] == "["
    is_line |= file.path is not None and not {".jsonl", ".ndjson"}.isdisjoint(file.path.suffixes)
    return not is_line


@dataclass
class _PeekedFile(File):
    """A file whose beginning was read already to detect its layout."""

    decoded_text: Iterator[str] = field(default_factory=lambda: iter(()))

    def decoded(self, *, universal: bool) -> Iterator[str]:
        """Yield the whole decoded text, including the part read already, with newlines as line ends."""
        return self.decoded_text


def _rows_of_lines(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of objects, one per line, skipping blank lines."""
    text_column, key_column, needs_key = columns.text, columns.key, columns.id is not None
    is_simple = not columns.more and not any("." in name for name in columns.kept)
    for number, line in file.numbered():
        try:
            record, end = _decode(line)
        except (ValueError, RecursionError):
            end = -1
        if end != len(line):  # surrounded by white space, or not an object
            record = _loaded(file, number, line, "an object")
            if record is _ABSENT:
                continue
        if type(record) is dict and "\\" in line and ("\\ud" in line or "\\uD" in line):
            record = _sound(record)  # lone surrogates only occur as escapes
        if (
            not is_simple
            or type(record) is not dict
            or type(record.get(text_column)) is not str
            or (needs_key and key_column not in record)
        ):
            yield from _row(file, number, record, columns)
        else:
            key = record.get(key_column)
            text = record.pop(text_column)
            record.pop(key_column, None)
            yield "" if key is None else str(key), text, _scalars(record)


def _loaded(file: File, number: int, line: str, expected: str) -> Any:
    """Parse a line; `_ABSENT` if it is blank, or malformed and rows may be skipped."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        if line and not line.isspace():
            why = f"not JSON ({shown(str(error))})"
            file.refuse(number, why, f"{file.at(number)} is {why}, expected {expected}. Fix or remove it")
        return _ABSENT


def _rows_of_texts(file: File, columns: Columns, *, is_array: bool) -> Iterator[Row]:
    """Yield the rows of strings or lists of words, one per line or in an array."""
    if is_array:
        values = ((number, value) for number, _, value in _Values(file).read(is_array=True))
    else:
        values = ((number, _loaded(file, number, line, _TEXT)) for number, line in file.numbered())
    for number, value in values:
        if value is _ABSENT:
            continue
        if type(value) in (dict, bool):
            found = f"{_KINDS[type(value)]}, expected {_TEXT}"
            file.refuse(number, found, f"{file.at(number)} holds {found}. Fix or remove it")
            continue
        text = _text(file, number, columns.text, _sound(value))
        if text is not None:
            yield "", text, {}


def _row(file: File, number: int, record: Any, columns: Columns) -> Iterator[Row]:
    """Yield the row of a JSON value; nothing if it is malformed and rows may be skipped."""
    if type(record) is not dict:
        found = _KINDS[type(record)]
        message = f"{file.at(number)} holds {found}, expected an object. Fix or remove it"
        file.refuse(number, f"{found}, expected an object", message)
        return
    values = {name: _value(record, name) for name in (*columns.texts, columns.key, *columns.kept)}
    needed = (*columns.texts, *([columns.key] if columns.id is not None else []))
    missing = next((name for name in needed if values[name] is _ABSENT), None)
    if missing is not None:
        present = {name for name, value in values.items() if value is not _ABSENT}
        error = no_column(file.at(number), dict.fromkeys((*present, *record)), columns, _remedy(record, missing))
        file.refuse(number, f"no column {missing!r}", error)
        return
    texts = {}
    for name in columns.texts:
        text = _text(file, number, name, values[name])
        if text is None:
            return
        texts[name] = text
    key = None if values[columns.key] is _ABSENT else values[columns.key]
    others = {name: value for name, value in record.items() if name not in (*columns.texts, columns.key)}
    others |= {name: values[name] for name in columns.kept if values[name] is not _ABSENT and name not in texts}
    yield "" if key is None else str(key), texts.pop(columns.text), {**_scalars(others), **texts}


def _value(record: dict[str, Any], name: str) -> Any:
    """Look up a key, or a path of nested keys separated by dots; `_ABSENT` if there is none."""
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        if type(value) is not dict or part not in value:
            break
        value = value[part]
    else:
        return value
    alike = [key for key in record if folded(key) == folded(name)]
    return record[alike[0]] if len(alike) == 1 else _ABSENT


def _text(file: File, number: int, column: str, value: Any) -> str | None:
    """Convert a value to text; None if it is malformed and rows may be skipped.

    Numbers are written as in JSON, and the words of a list are joined by spaces. White space within a word becomes
    "_", as in a phrase, which every tokenizer except "spaces" splits.
    """
    kind = type(value)
    if value is None or kind is str:
        return value or ""
    if kind in (int, float):
        return json.dumps(value)
    if kind is list and all(type(word) in (str, int, float) for word in value):
        file.log.notice(
            f"the texts of {file.name} are lists of words, joined by spaces: give --tokenizer spaces to count each word"
            " as it is"
        )
        return " ".join("_".join(str(word).split()) for word in value)
    found = f"{_KINDS[kind]} in the column {column!r}"
    remedy = "Convert it, or name another column with --text-column"
    if kind is dict and value and all(map(str.isdigit, value)):
        remedy = "pandas wrote this table by columns: write it with to_json(orient='records')"
    file.refuse(
        number,
        f"{found}, expected a string or null",
        f"{file.at(number)} has {found}, expected a string, a number, a list of words or null. {remedy}",
    )
    return None


def _remedy(record: dict[str, Any], missing: str) -> str:
    """Suggest where a missing key may be: in an object or in an array of objects in the record; "" if nowhere."""
    for key, value in record.items():
        if type(value) is dict and missing in value:
            return f"It is within {key!r}: give {key}.{missing}"
        if type(value) is list and value and type(value[0]) is dict:
            return (
                f"Its key {key!r} holds an array of {len(value):,} object(s): save that array alone, as in"
                f" jq '.{key}' FILE > NEW.json"
            )
    return ""


def _sound(value: Any) -> Any:
    """Replace lone surrogates in a value, as they cannot be encoded."""
    if isinstance(value, dict):
        return {_sound(key): _sound(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sound(inner) for inner in value]
    return LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _scalars(record: dict[str, Any]) -> dict[str, Value]:
    """Keep the values that a table can hold: drop nested ones, and convert integers beyond 64 bits to text."""
    return {
        key: str(value) if type(value) is int and not -(2**63) <= value < 2**63 else value
        for key, value in record.items()
        if type(value) is not dict and type(value) is not list
    }


# --- values over several lines ---


def _rows_of_values(file: File, columns: Columns, *, is_array: bool) -> Iterator[Row]:
    """Yield the rows of the objects of an array, or of consecutive objects, regardless of line breaks."""
    for number, text, record in _Values(file).read(is_array=is_array):
        if file.skips and not file.is_sound(number, text):
            continue
        escaped = "\\" in text and ("\\ud" in text or "\\uD" in text)
        yield from _row(file, number, _sound(record) if escaped else record, columns)


class _Values:
    """Incremental decoder of consecutive JSON values, with only a chunk of text and the current value in memory."""

    def __init__(self, file: File) -> None:
        self.file, self.chunks = file, file.chunks()
        self.text, self.at, self.line = "", 0, 1  # text read, current position in it, line of that position

    def read(self, *, is_array: bool) -> Iterator[tuple[int, str, Any]]:
        """Yield the line number, the JSON text and the decoded value of each item.

        Raises
        ------
        CorpusError
            The text is not JSON, or ends before the array does.
        """
        if is_array:
            self._take("[")
        first = True
        while True:
            following = self._following()
            if following == ("]" if is_array else ""):
                break
            if is_array and not first:
                self._take(",")
            first = False
            self._following()
            value, end = self._decoded()
            line, text = self.line, self.text[self.at : end]
            self._move(end)
            yield line, text, value
        if is_array:
            self._take("]")
            if self._following():
                raise self._damage("something after its array")

    def _following(self) -> str:
        """Move to the next character that is not white space and return it; "" at the end."""
        while True:
            rest = len(self.text)
            end = self.at
            while end < rest and self.text[end] in _BLANKS:
                end += 1
            self._move(end)
            if end < rest or not self._more():
                return self.text[end : end + 1]

    def _take(self, expected: str) -> None:
        found = self._following()
        if found != expected:
            what = repr(found) if found else "its end"
            raise self._damage(f"{what} where {expected!r} is expected")
        self._move(self.at + 1)

    def _move(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _more(self, n_characters: int = 1) -> bool:
        """Read at least `n_characters` more and drop the text already decoded; return False at the end of the file."""
        parts: list[str] = []
        while n_characters > 0 and (chunk := next(self.chunks, None)) is not None:
            parts.append(chunk)
            n_characters -= len(chunk)
        if parts:
            self.text, self.at = "".join((self.text[self.at :], *parts)), 0
        return bool(parts)

    def _decoded(self) -> tuple[Any, int]:
        """Decode the value at the current position, reading more text until it is complete; also return its end."""
        while True:
            try:
                value, end = _decode(self.text, self.at)
                if end < len(self.text) or not self._more():  # a number may continue
                    return value, end
                continue
            except RecursionError:
                raise self._damage("arrays nested too deep") from None
            except json.JSONDecodeError as error:
                truncated = error.msg.startswith("Unterminated string") or error.pos > len(self.text) - _NEAR_THE_END
                size = len(self.text) - self.at
                if size > _MAX_CHARACTERS:
                    raise self._damage(f"an object of more than {_MAX_CHARACTERS:,} characters") from None
                if not truncated or not self._more(size):  # double the text, so that long values need few attempts
                    self._move(min(error.pos, len(self.text)))
                    raise self._damage(error.msg) from None

    def _damage(self, found: str) -> CorpusError:
        return CorpusError(
            f"{self.file.at(self.line)} is not JSON ({shown(found)}). Fix it, or write one object per line (.jsonl) and"
            " skip malformed ones with --skip-bad-rows"
        )
