"""File formats: JSON without NaN, spreadsheet-safe CSV, Parquet, YAML with size limits, and checksums."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topicnet.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

CSV_SLICE = 50_000  # rows formatted at a time

# Spreadsheets run a cell that starts like this as a formula, unless it is only a signed number. Full-width signs are
# treated like ASCII ones. Leading quotes are part of the pattern, so that reading can distinguish an added quote from
# one in the text.
FORMULA_START = r"^'*[=@\t\r\n+\-＝＠＋－]"

YAML_BYTES, YAML_VALUES = 250_000, 20_000  # limits for a file, and for its values after expanding aliases

SIGNED_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to a file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text to a UTF-8 file, creating its folder."""
    write_bytes(path, content.encode("utf-8", "replace"))  # file names may contain surrogates


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, with null for numbers that are not finite."""
    write_text(path, json_text(content) + "\n")


def json_text(content: Any) -> str:
    """Render valid JSON: NaN and infinities become null, and None fields of dataclasses are omitted.

    Examples
    --------
    >>> print(json_text([1.5, float("nan")]))
    [
      1.5,
      null
    ]
    """
    return json.dumps(_finite(content), ensure_ascii=False, indent=2, allow_nan=False)


def _finite(content: Any) -> Any:
    if is_dataclass(content):
        content = {name: value for name, value in vars(content).items() if value is not None}
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and (content != content or content in (float("inf"), float("-inf"))):
        return None
    return content


def write_table(path: Path, table: pl.DataFrame, *, parquet: bool = False) -> None:
    """Write a table as CSV or Parquet."""
    if parquet:
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        path.write_bytes(buffer.getbuffer())
        return
    with path.open("wb") as handle:
        for begin in range(0, max(1, table.height), CSV_SLICE):
            part = spreadsheet_safe(table.slice(begin, CSV_SLICE))
            handle.write(part.write_csv(include_header=begin == 0).encode("utf-8"))


def spreadsheet_safe(table: pl.DataFrame) -> pl.DataFrame:
    """Prefix a quote to text cells and column names that a spreadsheet would run as a formula."""
    import polars as pl

    def quoted(cells: pl.Series) -> pl.Series:
        cell = pl.col("cell")
        risky = cell.str.contains(FORMULA_START) & ~cell.str.contains(SIGNED_NUMBER)
        safe = pl.when(risky).then("'" + cell).otherwise(cell)
        return cells.rename("cell").to_frame().select(safe).to_series().rename(cells.name)

    columns = [quoted(cells) if cells.dtype == pl.String else cells for cells in table.get_columns()]
    names = quoted(pl.Series("name", table.columns, dtype=pl.String)).to_list()
    return pl.DataFrame([cells.rename(name) for cells, name in zip(columns, names, strict=True)])


def unguarded(cell: str) -> str:
    """Remove the quote that `spreadsheet_safe` added to a text cell.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("'quoted'")
    ('=1+1', "'quoted'")
    """
    bare = cell.removeprefix("'")
    return bare if bare != cell and re.match(FORMULA_START, bare) else cell


def json_checksum(value: Any) -> str:
    """Return the hexadecimal SHA-256 of JSON values, independent of the order of keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def with_own_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON values as they are read back, with their checksum under the key "checksum"."""
    written: dict[str, Any] = json.loads(json_text(content).encode("utf-8", "replace"))
    written.pop("checksum", None)
    return written | {"checksum": json_checksum(written)}


def has_own_checksum(content: dict[str, Any], *, optional: bool = False) -> bool:
    """Return whether the checksum of `with_own_checksum` matches; `optional` accepts values without one."""
    if "checksum" not in content:
        return optional
    return bool(content["checksum"] == json_checksum({k: v for k, v in content.items() if k != "checksum"}))


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def parse_yaml(text: str) -> Any:
    """Parse YAML with the safe loader.

    Raises
    ------
    ValueError
        Aliases refer to themselves or expand to more than 20,000 values (a single line can expand to billions).
    yaml.YAMLError
        The text is not YAML.
    RecursionError
        It is nested too deeply.
    """
    import yaml

    _check_values(yaml.compose(text, Loader=yaml.SafeLoader), {})
    try:
        return yaml.safe_load(text)
    except (
        AttributeError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:  # a value that does not fit its tag
        raise ValueError("a value does not match its tag") from error


def _check_values(node: Any, counted: dict[int, int]) -> int:
    """Count the values of a YAML node with its aliases expanded; raises ValueError if there are too many."""
    if not isinstance(getattr(node, "value", None), list):
        return 1
    if id(node) not in counted:
        counted[id(node)] = YAML_VALUES + 1  # while counting, so that a node that contains itself is too large
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        counted[id(node)] = 1 + sum(_check_values(part, counted) for part in parts)
    if counted[id(node)] > YAML_VALUES:
        raise ValueError(f"it expands to more than {YAML_VALUES:,} values through its aliases")
    return counted[id(node)]


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Read the named entries of a YAML file with the safe loader, none from an empty file.

    Parameters
    ----------
    path : Path
        YAML file.
    example : str
        An example entry for the error message.

    Raises
    ------
    ConfigError
        The file cannot be read, or holds something else.
    """
    import yaml

    try:
        with path.open("rb") as handle:
            content = handle.read(YAML_BYTES + 1)
        if len(content) > YAML_BYTES:
            raise ConfigError(
                f"the configuration {str(path)!r} has more than {YAML_BYTES:,} bytes, expected a few entries: check the"
                " path"
            )
        entries = parse_yaml(content.decode("utf-8"))
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the configuration {str(path)!r} is not YAML: {reason}") from error
    if entries is None:
        return {}
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ConfigError(f"the configuration {str(path)!r} holds no named entries, expected lines such as `{example}`")
    return entries
