"""JSON Lines: an object a line, the text under one of its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from topicnet.text.readers.documents import LONE_SURROGATE, Columns, Row, Value, no_column, shown
from topicnet.text.readers.open_text import File

_KINDS = {
    dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number",
    bool: "a boolean", type(None): "null",
}  # fmt: skip


def json_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Rows of a file of JSON objects; blank lines are skipped, nested values dropped."""
    text_column, key_column, needs_key = columns.text, columns.key, columns.id is not None
    decode = json.JSONDecoder().raw_decode  # twice as fast as json.loads
    for number, line in file.numbered():
        try:
            record, end = decode(line)
        except (ValueError, RecursionError):
            end = -1
        if end != len(line):  # white space around it, or no object at all
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if line and not line.isspace():
                    why = f"not JSON ({shown(str(error))})"
                    file.refuse(number, why, f"{file.at(number)} is {why}, expected an object. Mend or remove it")
                continue
        if type(record) is not dict:
            found = _KINDS[type(record)]
            message = f"{file.at(number)} holds {found}, expected an object. Mend or remove it"
            file.refuse(number, f"{found}, expected an object", message)
            continue
        if "\\" in line and ("\\ud" in line or "\\uD" in line):  # only an escape brings a lone surrogate in
            record = {_sound(key): _sound(value) for key, value in record.items()}
        if text_column not in record or (needs_key and key_column not in record):
            missing = text_column if text_column not in record else key_column
            file.refuse(number, f"no column {missing!r}", no_column(file.at(number), record, columns))
            continue
        key = record.get(key_column)
        text = record.pop(text_column)
        record.pop(key_column, None)
        if text is not None and type(text) is not str:
            found = f"{_KINDS[type(text)]} in the column {text_column!r}"
            file.refuse(
                number,
                f"{found}, expected a string or null",
                f"{file.at(number)} has {found}, expected a string or null. Convert it, or name another column with"
                " --text-column",
            )
            continue
        yield "" if key is None else str(key), text or "", _scalars(record)


def _sound(value: Any) -> Any:
    return LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _scalars(record: dict[str, Any]) -> dict[str, Value]:
    """Keep what a table can hold: nested values are dropped, integers beyond 64 bits become text."""
    return {
        key: str(value) if type(value) is int and not -(2**63) <= value < 2**63 else value
        for key, value in record.items()
        if type(value) is not dict and type(value) is not list
    }
