"""JSON Lines: every object a row; what is none refused, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.readers import anything, read, refusal, write
from topicnet.text.readers.documents import Documents, SkippedRows

BAD_LINES = [
    ('{"text": "a"', "not JSON (Expecting ',' delimiter: line 1 column 13 (char 12))"),
    ("[" * 100_000, "not JSON ("),
    ('{"text": "a"} {"text": "b"}', "not JSON (Extra data"),
    ("\ufeff{}", "not JSON (Unexpected UTF-8 BOM"),
    ('["a"]', "an array, expected an object"),
    ("null", "null, expected an object"),
    ("3", "a number, expected an object"),
    ('{"body": "a"}', "no column 'text'"),
    ('{"text": true}', "a boolean in the column 'text', expected a string or null"),
    ('{"text": [{"a": 1}]}', "an array in the column 'text', expected a string or null"),
    ('{"text": {}}', "an object in the column 'text', expected a string or null"),
]


@pytest.mark.parametrize(("line", "why"), BAD_LINES)
def test_a_bad_line_can_be_skipped(tmp_path, line, why):
    path = write(tmp_path / "posts.jsonl", f'{{"text": "one"}}\n\n{line}\n{{"text": "two"}}\n')
    skipped = SkippedRows()
    assert read(path, skipped=skipped) == Documents(["1", "3"], ["one", "two"], [{}, {}])  # what is left out counts
    assert skipped.count == 1
    assert skipped.listed[0].startswith(f"line 3 of {path}: {why}")
    assert skipped.listed[0].isprintable()
    assert f"line 3 of {path}" in refusal(path)


def test_a_row_without_the_id_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "one", "k": 1}\n{"text": "two"}\n')
    skipped = SkippedRows()
    assert read(path, id_column="k", skipped=skipped).ids == ["1"]
    assert skipped.listed == [f"line 2 of {path}: no column 'k'"]


def test_lines_of_bad_bytes_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"text": "one"}\n{"text": "caf\xe9"}\n{"text": "a\0"}\n{"text": "four"}')
    skipped = SkippedRows()
    assert read(path, skipped=skipped).texts == ["one", "four"]
    assert [line.split(": ")[1] for line in skipped.listed] == ["the byte 0xe9, expected text in 'utf-8'", "a NUL byte"]


def test_an_escaped_nul_is_text(tmp_path):
    assert read(write(tmp_path / "a.jsonl", r'{"text": "a\u0000b"}')).texts == ["a\0b"]


@pytest.mark.parametrize("blank", ["", " ", "\t \r", "\u3000"])
@pytest.mark.parametrize("padding", ["", " ", "\t", "\r"])
def test_white_space_around_an_object_is_nothing(tmp_path, blank, padding):
    row = f'{padding}{{"text": "a", "id": "k"}}{padding}'
    docs = read(write(tmp_path / "a.jsonl", f"{blank}\n{row}\n{blank}\n{row}"))
    assert docs == Documents(["k", "k"], ["a", "a"], [{}, {}])


def test_a_column_of_nulls_stays_in_the_metadata(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "n": null}\n' * 3)
    assert read(path).metadata == [{"n": None}] * 3


good_lines = st.builds(lambda text: (text, json.dumps({"text": text})), anything)
bad_lines = st.sampled_from(BAD_LINES).map(lambda bad: (None, bad[0]))


@given(st.lists(st.one_of(good_lines, bad_lines), max_size=10))
def test_rows_read_and_rows_skipped_are_the_rows_written(tmp_path_factory, rows):
    path = write(tmp_path_factory.mktemp("skip") / "a.jsonl", "".join(f"{line}\n" for _, line in rows))
    if rows and rows[0][1].startswith("\ufeff"):
        path.write_bytes(b"\n" + path.read_bytes())  # at the very start it is a mark, and dropped
    skipped = SkippedRows()
    docs = read(path, skipped=skipped)
    assert docs.texts == [text for text, _ in rows if text is not None]
    assert len(docs.ids) + skipped.count == len(rows)
    assert docs.ids == [str(n) for n, (text, _) in enumerate(rows, 1) if text is not None]


@pytest.mark.data
@pytest.mark.parametrize(("name", "n_docs"), [("imdb/train.jsonl.gz", 25_000), ("nsmc_ko/movies_long.jsonl.gz", None)])
def test_real_corpora_are_read_as_json_reads_them(shared_data, name, n_docs):
    import gzip

    path: Path = shared_data / name
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    docs = read(path, skipped=(skipped := SkippedRows()))
    assert docs == read(path)
    assert docs.texts == [row["text"] for row in rows]
    assert len(docs.ids) == (n_docs or len(rows))
    assert skipped.count == 0
