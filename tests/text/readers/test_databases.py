"""Tests of the SQLite and DuckDB readers: tables, queries and read-only access."""

from __future__ import annotations

import datetime
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.readers import read, refusal
from topicnet.text.readers import databases
from topicnet.text.readers.documents import Documents, SkippedRows

ROWS = [(3, "three", "2020", 1.5), (1, "one", "2021", 2.0), (2, None, None, None), (9, "nine", "2020", 0.5)]


def sqlite(path: Path, *statements: str, rows: list[tuple[Any, ...]] | None = None) -> Path:
    """Create a database with these statements and, if rows are given, a table of answers."""
    with closing(sqlite3.connect(path)) as connection:
        if rows is not None:
            connection.execute("create table answers (id integer primary key, text, date, n)")
            connection.executemany("insert into answers values (?, ?, ?, ?)", rows)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return sqlite(tmp_path / "answers.db", rows=ROWS)


@pytest.fixture
def duck(tmp_path: Path) -> Path:
    library = pytest.importorskip("duckdb", reason="duckdb is not installed")
    path = tmp_path / "answers.duckdb"
    with closing(library.connect(str(path))) as connection:
        connection.execute("create table answers (id integer, text varchar, date date, tags varchar[])")
        connection.execute("insert into answers values (7, 'seven', '2020-01-02', ['a']), (5, null, null, null)")
    return path


# --- tables and queries ---


@pytest.mark.parametrize("name", ["a.db", "a.sqlite", "a.sqlite3"])
def test_a_single_table_needs_no_option(tmp_path, name):
    docs = read(sqlite(tmp_path / name, rows=ROWS))
    assert (docs.ids, docs.texts) == (["1", "2", "3", "9"], ["one", "", "three", "nine"])
    assert docs.metadata[0] == {"date": "2021", "n": 2.0}


@pytest.mark.parametrize("name", ["survey", "survey.data"])
def test_a_database_without_its_extension_is_recognised(tmp_path, name):
    path = sqlite(tmp_path / name, rows=ROWS)
    assert refusal(path, table="answers").startswith(f"{path} is a database (SQLite)")
    assert refusal(path).endswith("Give --format sqlite")
    assert len(read(path, file_format="sqlite", table="answers").ids) == 4


def test_a_query_keeps_its_order_and_columns(answers):
    docs = read(answers, query="select id, text, date from answers where n > 0 order by n desc")
    assert docs == Documents(
        ["1", "3", "9"], ["one", "three", "nine"], [{"date": "2021"}, {"date": "2020"}, {"date": "2020"}]
    )


def test_rows_are_fetched_in_small_batches(answers, monkeypatch):
    monkeypatch.setattr(databases, "_MAX_ROWS", 1)
    assert read(answers).ids == ["1", "2", "3", "9"]
    count = "with recursive r(i) as (select 1 union all select i + 1 from r) select 'word' as text from r limit 3000"
    assert len(read(answers, query=count).texts) == 3000


def test_several_tables_are_listed_and_one_can_be_chosen(tmp_path):
    path = sqlite(
        tmp_path / "a.db",
        "create table notes (key text primary key, text) without rowid",
        "insert into notes values ('b', 'two'), ('a', 'one')",
        "create view recent as select text from answers where id > 2",
        rows=ROWS,
    )
    assert f"{path} has 3 tables: answers, notes, recent; expected one. Name it with --table, or give" in refusal(path)
    assert read(path, table="notes") == Documents(["1", "2"], ["one", "two"], [{"key": "a"}, {"key": "b"}])
    assert read(path, table="recent").texts == ["three", "nine"]
    assert f"no table 'x' in {path}; it has: answers, notes, recent. Name" in refusal(path, table="x")
    assert "--query and --table were given" in refusal(path, table="notes", query="select 1")


def test_views_do_not_make_a_single_table_ambiguous(tmp_path):
    path = sqlite(tmp_path / "a.db", "create view v as select text from answers", rows=ROWS)
    assert len(read(path).ids) == 4


@pytest.mark.parametrize(
    ("query", "column", "message"),
    [
        ("select id, text as body from answers", "text", "no column 'text' in"),
        ("select text, text from answers", "text", "has two columns 'text', expected different names. Rename one"),
        ("select nope from answers", "text", "cannot run the query on"),
    ],
)
def test_a_query_without_the_text_column_is_rejected(answers, query, column, message):
    assert message in refusal(answers, query=query, text_column=column)


def test_cells_become_texts_ids_and_metadata(tmp_path):
    path = sqlite(
        tmp_path / "a.db",
        "create table t (id, text, n, data, big)",
        "insert into t values (1.0, 5, 7, x'00', 9223372036854775807), ('k', 2.0, 0.5, null, null)",
    )
    docs = read(path)
    assert (docs.ids, docs.texts) == (["1", "k"], ["5", "2"])
    assert docs.metadata == [{"n": 7, "big": 2**63 - 1}, {"n": 0.5, "data": None, "big": None}]


@pytest.mark.parametrize(("cell", "what"), [("x'6162'", "bytes"), ("cast(x'ff61' as text)", "bytes that are not UTF")])
def test_a_row_that_is_not_text_is_rejected_or_skipped(tmp_path, cell, what):
    path = sqlite(tmp_path / "a.db", "create table t (text)", f"insert into t values ('a'), ({cell}), ('é')")
    assert f"row 2 of {path} has {what}" in refusal(path)
    skipped = SkippedRows()
    assert read(path, skipped=skipped) == Documents(["1", "3"], ["a", "é"], [{}, {}])
    assert skipped.listed[0].startswith(f"row 2 of {path}: {what}")


# --- read-only access ---


@pytest.mark.parametrize(
    "query",
    [
        "delete from answers", "insert into answers values (20, 'x', 'y', 1)", "drop table answers",
        "attach 'other.db' as other", "pragma user_version = 3", "create table x (a)", "vacuum",
        "select load_extension('x') as text", "select 1; delete from answers", "update answers set text = 'x'",
    ],
)  # fmt: skip
def test_a_query_that_may_do_more_than_read_is_rejected(answers, query):
    before = answers.read_bytes()
    assert "expected one SELECT statement. Check --query" in refusal(answers, query=query)
    assert answers.read_bytes() == before
    assert os.listdir(answers.parent) == ["answers.db"]


def test_a_cell_over_the_limit_is_rejected(answers, monkeypatch):
    monkeypatch.setattr(databases, "MAX_CELL_BYTES", 1 << 20)
    assert "has a cell of more than 1 MB" in refusal(answers, query="select hex(randomblob(1000000)) as text")


def test_a_write_ahead_log_is_read_but_never_created(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table t (text)")
        connection.execute("insert into t values ('in the log')")
        connection.commit()
        assert read(path).texts == ["in the log"]
    assert read(path).texts == ["in the log"]
    assert os.listdir(tmp_path) == ["a.db"]


@pytest.mark.parametrize("data", [b"no database" * 99, b"SQLite format 3\0" + bytes(84), b"SQLite"])
def test_a_file_that_is_not_a_database_is_rejected(tmp_path, data):
    path = tmp_path / "a.db"
    path.write_bytes(data)
    assert f"{path} " in refusal(path)


def test_an_empty_database_is_rejected(tmp_path):
    (tmp_path / "a.db").write_bytes(b"")
    assert f"{tmp_path / 'a.db'} has no table, expected one with a column of texts" in refusal(tmp_path / "a.db")


def test_a_damaged_page_is_rejected(tmp_path):
    path = sqlite(tmp_path / "a.db", rows=[(i, f"text {i} " * 50, "x", 1) for i in range(500)])
    data = bytearray(path.read_bytes())
    data[9000:60_000] = b"\xff" * 51_000
    path.write_bytes(data)
    assert "is not a readable SQLite database (" in refusal(path)


@pytest.mark.parametrize("option", [{"query": "select 1"}, {"table": "t"}])
def test_database_options_are_rejected_for_other_files(tmp_path, option):
    (tmp_path / "a.csv").write_text("text\na\n")
    assert f"--{next(iter(option))} was given, but" in refusal(tmp_path / "a.csv", **option)


# --- DuckDB ---


def test_a_duckdb_table_is_read(duck):
    docs = read(duck)
    assert docs == Documents(
        ["7", "5"], ["seven", ""], [{"date": datetime.date(2020, 1, 2)}, {"date": None, "tags": None}]
    )
    assert read(duck, query="select text, id from answers order by id").ids == ["5", "7"]
    assert read(duck, query="from answers select text where id = 7").texts == ["seven"]


def test_the_kind_of_database_is_detected_from_the_bytes(duck, tmp_path):
    assert read(duck.rename(tmp_path / "a.db")).ids == ["7", "5"]


@pytest.mark.parametrize(
    "query",
    [
        "delete from answers", "select 1; select 2", "select * from read_csv('/etc/hostname')",
        "select * from '/etc/hostname'", "attach 'x.duckdb'", "copy answers to 'x.csv'", "install httpfs",
        "select * from query",
    ],
)  # fmt: skip
def test_a_duckdb_query_only_reads_its_own_file(duck, query):
    before = duck.read_bytes()
    assert "Check --query" in refusal(duck, query=query)
    assert duck.read_bytes() == before
    assert os.listdir(duck.parent) == ["answers.duckdb"]


def test_duckdb_tables_are_listed(duck):
    import duckdb

    with closing(duckdb.connect(str(duck))) as connection:
        connection.execute("create schema old")
        connection.execute("create table old.notes as select 'a' as text")
    assert f"{duck} has 2 tables: answers, old.notes; expected one" in refusal(duck)
    assert read(duck, table="old.notes").texts == ["a"]


def test_a_truncated_duckdb_file_is_rejected(duck):
    duck.write_bytes(duck.read_bytes()[:5000])
    assert "is not a readable DuckDB database (" in refusal(duck)
