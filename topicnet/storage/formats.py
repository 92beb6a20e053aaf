"""JSON without NaN, spreadsheet-safe CSV, Parquet, YAML and checksums."""

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

CSV_SLICE = 50_000  # rows turned into text at a time

# A cell that starts like this is run as a formula by spreadsheets, unless it is only a signed number. Quotes
# before it count, so that reading can tell a guard from a text that had one.
# Full-width signs are taken for the ASCII ones.
FORMULA_START = r"^'*[=@\t\r\n+\-＝＠＋－]"

YAML_BYTES, YAML_VALUES = 250_000, 20_000  # of a file, and of its values once all aliases are filled in

SIGNED_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of a staged folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file of a staged folder."""
    write_bytes(path, content.encode("utf-8", "replace"))  # file names need not be Unicode


def write_json(path: Path, content: Any) -> None:
    """Write a JSON document of a staged folder; a number that is not finite becomes null."""
    write_text(path, json_text(content) + "\n")


def json_text(content: Any) -> str:
    """Render valid JSON: NaN and the infinities become null; of dataclasses, fields that are None are left out."""
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
    """Write a table as CSV, or as Parquet."""
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
    """Put a quote before every text cell, and every name of a column, that a spreadsheet would run as a formula."""
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
    """Remove the quote that `spreadsheet_safe` put before a text cell."""
    bare = cell.removeprefix("'")
    return bare if bare != cell and re.match(FORMULA_START, bare) else cell


def json_checksum(value: Any) -> str:
    """Checksum of JSON values, in whatever order their names stand, in hexadecimal."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def with_own_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """JSON values as they are read back, with a checksum of all of them under the name "checksum"."""
    written: dict[str, Any] = json.loads(json_text(content).encode("utf-8", "replace"))
    written.pop("checksum", None)
    return written | {"checksum": json_checksum(written)}


def has_own_checksum(content: dict[str, Any], *, optional: bool = False) -> bool:
    """Whether the checksum of `with_own_checksum` is that of the values; `optional` accepts values without one."""
    if "checksum" not in content:
        return optional
    return bool(content["checksum"] == json_checksum({k: v for k, v in content.items() if k != "checksum"}))


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def parse_yaml(text: str) -> Any:
    """Parse YAML by the safe loader.

    Raises
    ------
    ValueError
        Its aliases refer to themselves, or would be filled in by more than 20,000 values: a line of text can name
        billions.
    yaml.YAMLError
        It is no YAML.
    RecursionError
        It is nested too deeply.
    """
    import yaml

    _check_values(yaml.compose(text, Loader=yaml.SafeLoader), {})
    try:
        return yaml.safe_load(text)
    except (AttributeError, KeyError, TypeError, OverflowError) as error:  # of a tag and a value that does not fit it
        raise ValueError("it has a value that is not of the kind its tag names") from error


def _check_values(node: Any, counted: dict[int, int]) -> int:
    """Number of values in a node of YAML, and in the nodes that its aliases name; raises ValueError for too many."""
    if not isinstance(getattr(node, "value", None), list):
        return 1
    if id(node) not in counted:
        counted[id(node)] = YAML_VALUES + 1  # until its own parts are counted: one that holds itself is too large
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        counted[id(node)] = 1 + sum(_check_values(part, counted) for part in parts)
    if counted[id(node)] > YAML_VALUES:
        raise ValueError(f"it holds more than {YAML_VALUES:,} values once its aliases are filled in")
    return counted[id(node)]


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Read the named entries of a YAML file by the safe loader; none of an empty one.

    Parameters
    ----------
    example : str
        An entry as it is expected, for who gave something else.

    Raises
    ------
    ConfigError
        It cannot be read, or is something else.
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
