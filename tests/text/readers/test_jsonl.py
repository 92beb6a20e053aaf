"""Tests of the JSON reader: objects, arrays and bare texts; malformed rows are rejected or skipped."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.readers import anything, batches_of, read, refusal, write
from topicnet.text.readers import open_text
from topicnet.text.readers.documents import Documents, ReadingLog, ReadingOptions, SkippedRows
from topicnet.text.readers.read import read_documents

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
    assert read(path, skipped=skipped) == Documents(["1", "3"], ["one", "two"], [{}, {}])  # skipped rows are numbered
    assert skipped.count == 1
    assert skipped.listed[0].startswith(f"line 3 of {path}: {why}")
    assert skipped.listed[0].isprintable()
    assert f"line 3 of {path}" in refusal(path)


def test_a_row_without_the_id_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "one", "k": 1}\n{"text": "two"}\n')
    skipped = SkippedRows()
    assert read(path, id_column="k", skipped=skipped).ids == ["1"]
    assert skipped.listed == [f"line 2 of {path}: no column 'k'"]


def test_lines_with_bad_bytes_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"text": "one"}\n{"text": "caf\xe9"}\n{"text": "a\0"}\n{"text": "four"}')
    skipped = SkippedRows()
    assert read(path, skipped=skipped).texts == ["one", "four"]
    assert [line.split(": ")[1] for line in skipped.listed] == ["the byte 0xe9, expected text in 'utf-8'", "a NUL byte"]


def test_an_escaped_nul_is_text(tmp_path):
    assert read(write(tmp_path / "a.jsonl", r'{"text": "a\u0000b"}')).texts == ["a\0b"]


@pytest.mark.parametrize("blank", ["", " ", "\t \r", "\u3000"])
@pytest.mark.parametrize("padding", ["", " ", "\t", "\r"])
def test_white_space_around_an_object_is_ignored(tmp_path, blank, padding):
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
    if rows[:1] == [(None, '["a"]')]:  # would be read as lists of words
        rows = [("first", '{"text": "first"}'), *rows]
    path = write(tmp_path_factory.mktemp("skip") / "a.jsonl", "".join(f"{line}\n" for _, line in rows))
    if rows and rows[0][1].startswith("\ufeff"):
        path.write_bytes(b"\n" + path.read_bytes())  # at the start it is a byte order mark, which is dropped
    skipped = SkippedRows()
    docs = read(path, skipped=skipped)
    assert docs.texts == [text for text, _ in rows if text is not None]
    assert len(docs.ids) + skipped.count == len(rows)
    assert docs.ids == [str(n) for n, (text, _) in enumerate(rows, 1) if text is not None]


@pytest.mark.data
@pytest.mark.parametrize(("name", "n_docs"), [("imdb/train.jsonl.gz", 25_000), ("nsmc_ko/movies_long.jsonl.gz", None)])
def test_real_corpora_are_read_like_the_json_module_reads_them(shared_data, name, n_docs):
    import gzip

    path: Path = shared_data / name
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    docs = read(path, skipped=(skipped := SkippedRows()))
    assert docs == read(path)
    assert docs.texts == [row["text"] for row in rows]
    assert len(docs.ids) == (n_docs or len(rows))
    assert skipped.count == 0


# --- arrays, nested keys, lists of words ---


def noticed(path: Path, **options: Any) -> tuple[Documents, list[str]]:
    log = ReadingLog()
    batches = list(read_documents(path, ReadingOptions(**options), log))
    assert len(batches) <= 1
    return batches[0] if batches else Documents([], [], []), log.notices


OBJECTS = [{"text": 'a [b] {c}, "d"', "id": "x", "n": 1}, {"text": "é", "id": "y"}, {"text": "", "id": "z"}]


@pytest.mark.parametrize("indent", [None, 1, "\t"])
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.jsonl"])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 18])
def test_an_array_is_read_object_by_object(tmp_path, monkeypatch, indent, name, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    path = write(tmp_path / name, "\ufeff \n" + json.dumps(OBJECTS, indent=indent, ensure_ascii=False) + "\n")
    docs = read(path)
    assert (docs.ids, docs.texts) == (["x", "y", "z"], [row["text"] for row in OBJECTS])
    assert docs.metadata == [{"n": 1}, {}, {}]
    write(path, "\n".join(json.dumps(row, indent=indent or 2) for row in OBJECTS))
    assert read(path) == docs  # consecutive objects, each over several lines


@given(
    st.lists(st.dictionaries(anything, st.one_of(st.none(), st.integers(), anything, st.lists(anything)), max_size=3))
)
def test_any_array_is_read_as_written(tmp_path_factory, rows):
    rows = [row | {"text": f"text {n}"} for n, row in enumerate(rows)]
    path = write(tmp_path_factory.mktemp("array") / "a.json", json.dumps(rows, indent=1))
    assert read(path).texts == [row["text"] for row in rows]


def test_a_long_array_is_not_held_in_memory(tmp_path):
    one = json.dumps({"text": "word " * 2000})
    path = write(tmp_path / "a.json", "[" + ",\n".join([one] * 1000) + "]")  # 10 MB
    tracemalloc.start()
    n_docs = sum(len(batch.ids) for batch in batches_of(path, batch_docs=10))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_docs == 1000
    assert peak_bytes < 5_000_000


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('[\n{"text": "a"},\n{"text" "b"}\n]' + " " * 50, "line 3 of FILE is not JSON (Expecting ':' delimiter)"),
        ('[{"text": "a"},\n{"text": "b"}', "line 2 of FILE is not JSON (its end where ',' is expected)"),
        ('[{"text": "a"},\n{"text": "b', "line 2 of FILE is not JSON (Unterminated string"),
        ('[{"text": "a"}\n{"text": "b"}]', "line 2 of FILE is not JSON ('{' where ',' is expected)"),
        ('[{"text": "a"}]\n{"text": "b"}', "line 2 of FILE is not JSON (something after its array)"),
        ('[{"text": "a"},\n3]', "line 2 of FILE holds a number, expected an object"),
        ('[{"text": "a"},\n{"body": "b"}]', "no column 'text' in line 2 of FILE; it has: body"),
        ('[{"text": ' + "[" * 100_000, "line 1 of FILE is not JSON (arrays nested too deep)"),
        ("[", "line 1 of FILE is not JSON (Expecting value)"),
    ],
)
def test_a_damaged_array_is_rejected_with_its_line(tmp_path, content, found):
    path = write(tmp_path / "a.json", content)
    assert found in refusal(path).replace(str(path), "FILE")


def test_items_of_an_array_can_be_skipped(tmp_path):
    path = write(tmp_path / "a.json", b'[{"text": "a"},\n3,\n{"text": "caf\xe9"},\n{"text": true}, {"text": "b"}]')
    skipped = SkippedRows()
    assert read(path, skipped=skipped).texts == ["a", "b"]
    assert [line.partition(" of ")[0] for line in skipped.listed] == ["line 2", "line 3", "line 4"]
    assert read(write(tmp_path / "b.json", "[]"), skipped=skipped).ids == []


@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_around_the_array_gets_a_hint(tmp_path, indent):
    path = write(tmp_path / "a.json", json.dumps({"n": 2, "posts": [{"text": "a"}, {"text": "b"}]}, indent=indent))
    message = refusal(path)
    assert "Its key 'posts' holds an array of 2 object(s): save that array alone" in message
    assert message.endswith("as in jq '.posts' FILE > NEW.json")


@pytest.mark.parametrize("ending", ["", "\n"])
def test_nested_keys_are_separated_by_dots(tmp_path, ending):
    rows = [{"data": {"selftext": f"t{n}", "id": f"k{n}", "by": {"name": "x"}}, "n": n} for n in range(2)]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + ending)
    docs = read(path, text_column="data.selftext", id_column="data.id", kept=("data.by.name", "n", "data.none"))
    assert docs == Documents(["k0", "k1"], ["t0", "t1"], [{"n": n, "data.by.name": "x"} for n in range(2)])
    assert refusal(path, text_column="selftext").endswith("It is within 'data': give data.selftext")
    assert "no column 'data.body' in line 1" in refusal(path, text_column="data.body")
    exact = write(tmp_path / "b.jsonl", '{"a.b": "exact", "a": {"b": "nested"}}\n')
    assert read(exact, text_column="a.b").texts == ["exact"]
    assert read(exact, text_column=["a.b", "a.b "]).texts == ["exact\nexact"]


def test_numbers_and_lists_of_words_are_texts(tmp_path):
    lines = ['{"text": 17}', '{"text": 2.50}', '{"text": ["New York", "words", 3]}', '{"text": []}', '{"text": null}']
    docs, notices = noticed(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert docs.texts == ["17", "2.5", "New_York words 3", "", ""]
    assert len(notices) == 1
    assert "lists of words, joined by spaces: give --tokenizer spaces" in notices[0]
    array, _ = noticed(write(tmp_path / "a.json", "[" + ",".join(lines) + "]"))
    assert (array.ids, array.texts, array.metadata) == (docs.ids, docs.texts, docs.metadata)


def test_json_files_of_a_folder_are_read_if_there_are_no_others(tmp_path):
    write(tmp_path / "a.json", '[{"text": "a"}]')
    write(tmp_path / "b.json", '{"text": "b"}')
    assert read(tmp_path).texts == ["a", "b"]
    write(tmp_path / "c.csv", "text\nc\n")
    assert read(tmp_path).texts == ["c"]  # next to other files, JSON files describe them


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.json", '["one fish", null, "two\\ud800"]', ["one fish", "", "two\ufffd"]),
        ("a.json", '[\n "one",\n "two"\n]\n', ["one", "two"]),
        ("a.json", '[["one", "red fish"], ["two"]]', ["one red_fish", "two"]),
        ("a.json", '["one", "two"]\n["three"]\n', ["one two", "three"]),
        ("a.jsonl", '["one", "two"]\n', ["one two"]),
        ("a.jsonl", '["one", "two"]\n\n["three"]\n', ["one two", "three"]),
        ("a.jsonl", '"one"\n"two"\n', ["one", "two"]),
    ],
)
def test_texts_without_keys_are_documents(tmp_path, name, content, texts):
    assert read(write(tmp_path / name, content)).texts == texts


def test_values_without_keys_that_are_not_texts_are_rejected(tmp_path):
    path = write(tmp_path / "a.json", '["one", {"text": "two"}]')
    assert "holds an object, expected a string or a list of words. Fix" in refusal(path)
    assert "holds an array, expected an object" in refusal(write(path, '["one"]'), text_column="body")
    assert "to_json(orient='records')" in refusal(write(path, '{"id": {"0": 1}, "text": {"0": "one"}}'))
