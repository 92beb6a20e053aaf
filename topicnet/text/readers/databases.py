"""Reader of the rows of a table or query in an SQLite or DuckDB file, opened read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from topicnet.errors import CorpusError
from topicnet.text.readers.documents import LONE_SURROGATE, Columns, Row, Value, no_column, shown, two_columns
from topicnet.text.readers.in_memory import plain
from topicnet.text.readers.limits import MAX_CELL_BYTES, regular_file
from topicnet.text.readers.open_text import File, installed

if TYPE_CHECKING:
    import sqlite3

_MAX_ROWS = 256  # fetched at a time
_MAX_EXACT = 2**53  # larger floats do not represent every integer
_NOT_SCALAR = (bytes, bytearray, list, dict, tuple)
_MAX_LISTED = 20  # tables listed in a message
_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"  # at byte 0 and at byte 8 of a file
_LOCKED_DOWN = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "lock_configuration": "true",
}

Records = Iterator[tuple[Any, ...]]


@dataclass(frozen=True)
class _Database:
    """An open database with its tables and a function that runs queries.

    Attributes
    ----------
    kind : str
        "SQLite" or "DuckDB".
    tables : dict of str to str
        For each table or view, the query that reads it; tables come first.
    run : callable
        Takes a query; returns its column names and its rows.
    n_tables : int
        Number of tables in `tables`; the rest are views.
    """

    kind: str
    tables: dict[str, str]
    run: Callable[[str], tuple[list[str], Records]]
    n_tables: int


def database_rows(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a table or query of a database file, without nested and binary cells."""
    path = regular_file(file)
    opened = _duckdb if _kind(path) == "DuckDB" else _sqlite
    with opened(file, path) as database:
        query = _query(file, database)
        names, records = database.run(query)
        yield from _rows(file, columns, names, records)


def database_kind(path: Path) -> str | None:
    """Detect an SQLite or DuckDB database from the first bytes of a file; None if it is neither."""
    if not path.is_file():
        return None
    with path.open("rb") as data:
        start = data.read(len(_SQLITE))
    return "SQLite" if start == _SQLITE else "DuckDB" if start[8:12] == _DUCKDB and b"\0" in start else None


def _kind(path: Path) -> str:
    with path.open("rb") as data:
        start = data.read(16)
    return "DuckDB" if start[8:12] == _DUCKDB else "SQLite"


def _query(file: File, database: _Database) -> str:
    """Return the query given by the user, or the one that reads the chosen or only table."""
    options = file.options
    if options.query is not None and options.table is not None:
        raise CorpusError("--query and --table were given, expected one of them. Leave one out")
    if options.query is not None:
        return options.query
    names = list(database.tables)
    listed = ", ".join(shown(name) for name in names[:_MAX_LISTED]) + (", ..." if len(names) > _MAX_LISTED else "")
    if options.table is not None:
        if options.table not in database.tables:
            raise CorpusError(
                f"no table {options.table!r} in {file.name}; it has: {listed or 'none'}. Name one with --table"
            )
        return database.tables[options.table]
    if not names:
        raise CorpusError(f"{file.name} has no table, expected one with a column of texts. Check the file")
    single = names[:1] if len(names) == 1 else names[: database.n_tables]
    if len(single) != 1:
        raise CorpusError(
            f"{file.name} has {len(names)} tables: {listed}; expected one. Name it with --table, or give a --query"
        )
    return database.tables[single[0]]


# --- rows ---


def _rows(file: File, columns: Columns, names: list[str], records: Records) -> Iterator[Row]:
    if not columns.are_in(names):
        raise no_column(file.name, names, columns)
    for asked in (columns.text, columns.key):
        if names.count(asked) > 1:
            raise two_columns(file.name, asked)
    text_at = names.index(columns.text)
    key_at = names.index(columns.key) if columns.key in names else None
    others = {name: i for i, name in reversed(list(enumerate(names))) if i not in (text_at, key_at)}
    others = dict(reversed(others.items()))
    for number, record in enumerate(records, 1):
        text = _text(record[text_at])
        why = _fault(text, columns.text)
        if why is not None or text is None:
            why = why or f"{_kind_of(record[text_at])} in the column {columns.text!r}"
            where = f"row {number} of {file.name}"
            if not file.skips:
                raise CorpusError(
                    f"{where} has {why}, expected text. Convert it, or name another column with --text-column"
                )
            file.log.skipped.add(where, why)
            continue
        key = None if key_at is None else _text(record[key_at])
        cells = {name: _cell(record[i]) for name, i in others.items() if not isinstance(record[i], _NOT_SCALAR)}
        yield LONE_SURROGATE.sub("\ufffd", key or ""), text, cells


def _text(cell: Any) -> str | None:
    """Convert a cell to text, integers without decimals; None for binary and nested cells."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _MAX_EXACT:
        return str(int(cell))
    return None if isinstance(cell, _NOT_SCALAR) else str(cell)


def _fault(text: str | None, column: str) -> str | None:
    if text is None or (text.isascii() and len(text) <= MAX_CELL_BYTES):
        return None
    if len(text) > MAX_CELL_BYTES:
        return f"more than {MAX_CELL_BYTES >> 20} MB in the column {column!r}"
    return f"bytes that are not UTF-8 in the column {column!r}" if LONE_SURROGATE.search(text) else None


def _kind_of(cell: Any) -> str:
    return "bytes" if isinstance(cell, bytes) else f"a {type(cell).__name__}"


def _cell(cell: Any) -> Value:
    value: Value = plain(cell)
    return value


# --- SQLite ---


@contextmanager
def _sqlite(file: File, path: Path) -> Iterator[_Database]:
    try:
        import sqlite3 as library
    except ImportError as error:
        raise CorpusError(f"reading {file.name} needs sqlite3, which this Python was built without") from error
    unchanged = _is_alone(path)
    before = path.stat()
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if unchanged else ''}"
    with _sqlite_errors(file, library), closing(library.connect(uri, uri=True, check_same_thread=False)) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        connection.setlimit(library.SQLITE_LIMIT_LENGTH, MAX_CELL_BYTES)
        connection.execute("pragma trusted_schema = off")
        connection.execute("pragma cell_size_check = on")
        tables, views = _sqlite_tables(library, connection)
        connection.set_authorizer(_authorizer(library))

        def run(query: str) -> tuple[list[str], Records]:
            cursor = connection.execute(query)
            if cursor.description is None:
                raise CorpusError(f"the query returns no rows from {file.name}, expected a SELECT. Check --query")
            return [column[0] for column in cursor.description], _fetched(cursor)

        yield _Database("SQLite", {**tables, **views}, run, len(tables))
    after = path.stat()
    if unchanged and ((before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)):
        raise CorpusError(f"{file.name} changed while it was read, expected no changes. Read it again, or a copy")


def _is_alone(path: Path) -> bool:
    """Return whether a database in WAL mode has no -wal file or an empty one; a normal read would create it."""
    with path.open("rb") as data:
        header = data.read(20)
    log = path.with_name(path.name + "-wal")
    return header[18:20] == b"\2\2" and not (log.exists() and log.stat().st_size)


def _sqlite_tables(library: Any, connection: sqlite3.Connection) -> tuple[dict[str, str], dict[str, str]]:
    """Build the queries that read the tables, in row id order, and those that read the views."""
    kinds = (
        "select name, type, wr from pragma_table_list where schema = 'main' and type in ('table', 'view', 'virtual')"
    )
    try:
        found = connection.execute(kinds).fetchall()
    except library.OperationalError:  # SQLite before 3.37
        found = connection.execute("select name, type, 0 from sqlite_master where type in ('table', 'view')").fetchall()
    tables: dict[str, str] = {}
    views: dict[str, str] = {}
    for name, kind, without_rowid in sorted(found):
        if name.startswith("sqlite_"):
            continue
        query = f"select * from {_quoted(name)}"
        if kind == "view":
            views[name] = query
            continue
        column_names = {column[1].lower() for column in connection.execute(f"pragma table_info({_quoted(name)})")}
        number = next((one for one in ("rowid", "_rowid_", "oid") if one not in column_names), None)
        ordered = kind == "table" and not without_rowid and number is not None
        tables[name] = f"{query} order by {number}" if ordered else query
    return tables, views


def _authorizer(library: Any) -> Callable[..., int]:
    """Build an SQLite authorizer that allows a query only to read."""
    reads = {library.SQLITE_SELECT, library.SQLITE_READ, library.SQLITE_FUNCTION, library.SQLITE_RECURSIVE}

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == library.SQLITE_FUNCTION and second == "load_extension":
            return int(library.SQLITE_DENY)
        internal = action == library.SQLITE_PRAGMA and first == "data_version"  # used by full-text search
        return int(library.SQLITE_OK if action in reads or internal else library.SQLITE_DENY)

    return authorize


@contextmanager
def _sqlite_errors(file: File, library: Any) -> Iterator[None]:
    try:
        yield
    except (library.Error, library.Warning, UnicodeDecodeError) as error:  # the last from SQLite's error text
        reason = shown(str(error))
        if "authoriz" in reason or "one statement" in reason or "prohibited" in reason:
            raise CorpusError(
                f"the query on {file.name} may do more than read ({reason}), expected one SELECT statement. Check"
                " --query"
            ) from error
        if "too big" in reason:
            raise CorpusError(
                f"{file.name} has a cell of more than {MAX_CELL_BYTES >> 20} MB, expected texts. Leave it out with"
                " --query"
            ) from error
        if isinstance(error, library.OperationalError) and file.options.query is not None:
            raise CorpusError(f"cannot run the query on {file.name} ({reason}). Check --query") from error
        raise CorpusError(
            f"{file.name} is not a readable SQLite database ({reason}). Close the program that uses it, or copy it"
            " again"
        ) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fetched(cursor: Any) -> Records:
    while records := cursor.fetchmany(_MAX_ROWS):
        yield from records


# --- DuckDB ---


@contextmanager
def _duckdb(file: File, path: Path) -> Iterator[_Database]:
    library = installed("duckdb", file.name)
    try:
        with closing(library.connect(str(path), read_only=True, config=_LOCKED_DOWN)) as connection:
            found = connection.execute(
                "select table_schema, table_name, table_type from information_schema.tables"
                " where table_catalog = current_database() order by table_type, table_schema, table_name"
            ).fetchall()
            tables = {
                name if schema == "main" else f"{schema}.{name}": f"select * from {_quoted(schema)}.{_quoted(name)}"
                for schema, name, _ in found
            }

            def run(query: str) -> tuple[list[str], Records]:
                statements = connection.extract_statements(query)
                if len(statements) != 1 or statements[0].type != library.StatementType.SELECT:
                    raise CorpusError(f"--query on {file.name} is not one SELECT statement. Check --query")
                cursor = connection.execute(query)
                return [column[0] for column in cursor.description], _fetched(cursor)

            yield _Database("DuckDB", tables, run, sum(kind == "BASE TABLE" for *_, kind in found))
    except library.Error as error:
        reason = shown(str(error).split("\n")[0])
        if file.options.query is not None and not isinstance(error, library.IOException | library.InternalException):
            raise CorpusError(f"cannot run the query on {file.name} ({reason}). Check --query") from error
        raise CorpusError(
            f"{file.name} is not a readable DuckDB database ({reason}). Close the program that uses it, or copy it"
            " again"
        ) from error
