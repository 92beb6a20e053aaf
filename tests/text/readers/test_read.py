"""Tests of `read_documents`: every document is read once, in order, and every error is one line with a remedy."""

import csv
import gzip
import io
import json
import os
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.readers import anything, batches_are_sound, numbers, read, refusal, write
from tests.support.workbooks import write_xlsx
from topicnet.errors import CorpusError, InputError
from topicnet.text import readers
from topicnet.text.readers import open_text
from topicnet.text.readers.documents import Documents, ReadingOptions, SkippedRows
from topicnet.text.readers.read import FORMATS, read_documents, source_name

UNICODE_BREAKS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def stdin_of(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(buffer=io.BytesIO(data))


# --- properties of all readers ---

awkward = st.sampled_from(
    [*UNICODE_BREAKS, "\ufeff", "\r\n", "\n", '"', '""', ",", "\t", "\\", "é", "日本", "😀", " ", "'"]
)
free_texts = st.lists(st.one_of(anything, st.lists(awkward, max_size=6).map("".join)), max_size=12)
line_texts = free_texts.map(lambda texts: [t.replace("\n", "").rstrip("\r") for t in texts])
batch_sizes = st.integers(1, 7)
chunk_sizes = st.sampled_from([1, 2, 3, 7, 64, 1 << 18])
endings = st.sampled_from(["", ".gz"])
BOM = "\ufeff"  # an explicit mark, so that a document that starts with one keeps it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


def read_in_chunks(path: Path, chunk_bytes: int, **options: Any) -> Documents:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
        return read(path, **options)


@given(line_texts, st.sampled_from(["\n", "\r\n"]), endings, batch_sizes, chunk_sizes)
def test_lines_are_read_as_written(folder, texts, newline, gz, batch_docs, chunk_bytes):
    path = write(folder / f"a.txt{gz}", BOM + "".join(text + newline for text in texts))
    docs = read_in_chunks(path, chunk_bytes, batch_docs=batch_docs)
    assert docs == Documents(numbers(len(texts)), texts, [{}] * len(texts))


@given(line_texts, st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "gb18030"]), chunk_sizes)
def test_lines_are_read_in_any_encoding_and_chunk_size(folder, texts, encoding, chunk_bytes):
    bom = "" if encoding in {"utf-16", "utf-32", "utf-8-sig"} else BOM
    path = write(folder / "e.txt", bom + "".join(text.lstrip(BOM) + "\n" for text in texts), encoding)
    docs = read_in_chunks(path, chunk_bytes, encoding=encoding)
    assert docs.texts == [text.lstrip(BOM) for text in texts]


@given(free_texts, st.sampled_from([("csv", ","), ("tsv", "\t")]), endings, batch_sizes, chunk_sizes)
def test_csv_rows_are_read_as_written(folder, texts, kind, gz, batch_docs, chunk_bytes):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=kind[1])
    writer.writerow(["mood", "text", "id"])
    writer.writerows([["", text, f"d{i}"] for i, text in enumerate(texts)])
    path = write(folder / f"a.{kind[0]}{gz}", buffer.getvalue())
    docs = read_in_chunks(path, chunk_bytes, batch_docs=batch_docs)
    assert docs == Documents([f"d{i}" for i in range(len(texts))], texts, [{"mood": ""}] * len(texts))


@given(free_texts)
def test_a_csv_of_one_column_keeps_its_empty_rows(folder, texts):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["text"], *([text] for text in texts)])
    docs = read(write(folder / "one.csv", buffer.getvalue()))
    assert docs == Documents(numbers(len(texts)), texts, [{}] * len(texts))


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), anything)


@given(st.lists(st.tuples(anything, scalars), max_size=8), st.booleans(), endings, batch_sizes, chunk_sizes)
def test_json_rows_are_read_as_written(folder, rows, ascii_only, gz, batch_docs, chunk_bytes):
    lines = [json.dumps({"text": text, "x": x}, ensure_ascii=ascii_only) + "\n" for text, x in rows]
    path = write(folder / f"a.jsonl{gz}", "".join(lines))
    docs = read_in_chunks(path, chunk_bytes, batch_docs=batch_docs)
    assert docs == Documents(numbers(len(rows)), [t for t, _ in rows], [{"x": x} for _, x in rows])


@given(st.dictionaries(st.text("abcXYZ é", min_size=1), anything, min_size=1, max_size=5))
@examples(30)
def test_files_of_a_folder_are_read_completely(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("folder")
    for name, text in files.items():
        write(root / f"{name}.txt", BOM + text)
    docs = read(root)
    assert docs.ids == sorted(f"{name}.txt" for name in files)
    assert docs.texts == [files[name.removesuffix(".txt")] for name in docs.ids]


@given(st.binary(max_size=60), st.sampled_from(["a.txt", "a.csv", "a.tsv", "a.jsonl"]), st.booleans())
def test_any_bytes_are_read_or_rejected_in_one_line(folder, data, name, zipped):
    path = folder / f"{name}.gz" if zipped else folder / name
    path.write_bytes(data)
    message, n_docs = "", 0
    try:
        n_docs = len(read(path).ids)
    except CorpusError as error:
        message = str(error)
    assert message.isprintable()
    assert n_docs <= data.count(b"\n") + 1


# --- lines and standard input ---


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\n\r\n\nb\r\n", ["a", "", "", "b"]),
        (f"a{UNICODE_BREAKS}b\nc", [f"a{UNICODE_BREAKS}b", "c"]),
        ("a\r\r\nb\r", ["a\r", "b\r"]),  # a lone carriage return does not end a line
        ("  a \n", ["  a "]),
        ("\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]),
        ("\ufeff", []),
    ],
)
def test_lines_end_only_at_a_newline(tmp_path, monkeypatch, content, texts):
    expected = Documents(numbers(len(texts)), texts, [{}] * len(texts))
    assert read(write(tmp_path / "a.txt", content)) == expected
    monkeypatch.setattr(sys, "stdin", stdin_of(content.encode()))
    assert read("-") == expected


def test_standard_input_is_named_in_messages_and_left_open(monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin_of(b"fine\n\xff\n"))
    assert "line 2 of standard input has the byte 0xff" in refusal("-")
    assert not sys.stdin.buffer.closed


def test_a_closed_standard_input_is_rejected(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in refusal("-")


def test_the_case_of_the_extension_is_ignored(tmp_path):
    assert read(write(tmp_path / "A.TXT.GZ", "a\n")).texts == ["a"]
    assert read(write(tmp_path / "b.Ndjson", '{"text": "b"}\n')).texts == ["b"]


def test_all_batches_but_the_last_are_full_and_numbering_continues(tmp_path):
    path = write(tmp_path / "a.txt", "x\n" * 5)
    assert [batch.ids for batch in read_documents(path, batch_docs=2)] == [["1", "2"], ["3", "4"], ["5"]]


@given(st.lists(st.integers(0, 30), max_size=20), batch_sizes)
@examples(50)
def test_batches_are_also_limited_in_characters(folder, lengths, batch_docs):
    path = write(folder / "b.txt", "".join("x" * n + "\n" for n in lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers.read, "_BATCH_CHARACTERS", 25)
        batches = list(read_documents(path, batch_docs=batch_docs))
        assert all(batches_are_sound(batches, batch_docs))
    assert [len(text) for batch in batches for text in batch.texts] == lengths
    assert all(len(b.ids) == 1 or sum(map(len, b.texts)) <= 25 for b in batches)
    assert [i for batch in batches for i in batch.ids] == numbers(len(lengths))


def test_a_long_document_is_a_batch_by_itself(tmp_path):
    path = write(tmp_path / "a.txt", "a\n\n" + "x" * 9_000_000 + "\n\nb\n")
    assert [list(map(len, batch.texts)) for batch in read_documents(path)] == [[1, 0], [9_000_000], [0, 1]]


def test_memory_is_constant_and_a_huge_line_is_joined_once(tmp_path, monkeypatch):
    many = write(tmp_path / "many.txt", ("x" * 99 + "\n") * 200_000)  # 20 MB
    tracemalloc.start()
    n_docs = sum(len(batch.ids) for batch in read_documents(many, batch_docs=100))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_docs == 200_000
    assert peak_bytes < 4_000_000
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", 100)  # joining 100,000 parts one by one takes a minute
    assert read(write(tmp_path / "long.txt", "y" * 10_000_000)).texts == ["y" * 10_000_000]


def test_the_file_is_closed_when_the_reader_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(open_text, "_HEAD_BYTES", 1)
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", 16)
    path = write(tmp_path / "a.txt", "x\n" * 900)  # more than is examined
    file = path.open("rb")
    monkeypatch.setattr(Path, "open", lambda *_: file)
    batches = read_documents(path, batch_docs=1)
    assert next(batches).texts == ["x"]
    assert not file.closed
    del batches
    assert file.closed


# --- folders ---


def test_files_of_a_folder_are_read_in_path_order(tmp_path):
    root = tmp_path / "speeches"
    (root / "b").mkdir(parents=True)
    (root / "a.txt").mkdir()
    write(root / "b" / "1.txt", "line one\r\nline two\n")
    write(root / "b" / "0.txt.gz", "zipped")
    write(root / "a.txt" / "z.TXT", "")
    write(root / "c.txt", "\ufefflast")
    write(root / "c.md", "no")
    write(root / "txt", "no")
    docs = read(root, batch_docs=3)
    assert docs.ids == ["a.txt/z.TXT", "b/0.txt.gz", "b/1.txt", "c.txt"]
    assert docs.texts == ["", "zipped", "line one\r\nline two\n", "last"]
    assert docs.metadata == [{"folder": "a.txt"}, {"folder": "b"}, {"folder": "b"}, {"folder": ""}]


def test_a_folder_name_may_have_an_extension(tmp_path):
    (tmp_path / "posts.csv").mkdir()
    write(tmp_path / "posts.csv" / "a.txt", "x")
    assert read(tmp_path / "posts.csv").ids == ["a.txt"]


def test_a_folder_without_texts_is_rejected(tmp_path):
    write(tmp_path / "a.md", "x")
    assert f"no .txt or .txt.gz files in {tmp_path}" in refusal(tmp_path)


def test_a_bad_file_in_a_folder_is_named(tmp_path):
    write(tmp_path / "a.txt", "fine\n")
    write(tmp_path / "b.txt", "fine\ncaf\xe9\n", "latin-1")
    assert f"line 2 of {tmp_path / 'b.txt'} has the byte 0xe9" in refusal(tmp_path)


def test_an_undecodable_file_name_gives_a_writable_id(tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    assert read(tmp_path).ids == ["\ufffd.txt"]


def test_an_unreadable_folder_is_rejected(tmp_path, monkeypatch):
    def denied(folder: Path) -> list[Any]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    assert f"cannot read {tmp_path}: Permission denied" in refusal(tmp_path)


# --- csv and tsv ---


def test_csv_columns_become_id_text_and_metadata(tmp_path):
    path = write(tmp_path / "a.csv", 'id,year,text,note\r\nx,1999,"a ""b"",\r\nc",\r\n,2000,,n\r\n')
    docs = read(path)
    assert docs.ids == ["x", "2"]  # an empty id is replaced by the number
    assert docs.texts == ['a "b",\r\nc', ""]
    assert docs.metadata == [{"year": "1999", "note": ""}, {"year": "2000", "note": "n"}]


def test_csv_columns_can_be_named(tmp_path):
    docs = read(write(tmp_path / "a.csv", "id,key,body\n1,k,b\n"), text_column="body", id_column="key")
    assert docs == Documents(["k"], ["b"], [{"id": "1"}])


def test_one_column_can_be_text_and_id(tmp_path):
    path = write(tmp_path / "a.csv", "text,n\nhello,1\n")
    assert read(path, id_column="text") == Documents(["hello"], ["hello"], [{"n": "1"}])
    path = write(tmp_path / "a.jsonl", '{"text": "hello", "n": 1}')
    assert read(path, id_column="text") == Documents(["hello"], ["hello"], [{"n": 1}])


def test_tsv_takes_commas_and_quotes(tmp_path):
    docs = read(write(tmp_path / "a.tsv", 'text\tn\na, b\t1\n"c\td\ne"\t2\n'))
    assert docs == Documents(["1", "2"], ["a, b", "c\td\ne"], [{"n": "1"}, {"n": "2"}])


def test_blank_lines_of_a_csv_are_skipped(tmp_path):
    docs = read(write(tmp_path / "a.csv", "\n\r\ntext,n\n\na,1\n\r\nb,2\n\n"))
    assert (docs.ids, docs.texts) == (["1", "2"], ["a", "b"])


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.csv.gz"])
def test_an_empty_file_yields_nothing(tmp_path, name):
    assert list(read_documents(write(tmp_path / name, ""))) == []


def test_an_empty_gzip_file_yields_nothing(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(b"")
    assert list(read_documents(tmp_path / "a.txt.gz")) == []


def test_a_file_with_only_a_header_yields_nothing(tmp_path):
    assert list(read_documents(write(tmp_path / "a.csv", "text,n\n"))) == []


def test_a_long_csv_field_is_read(tmp_path):
    old = csv.field_size_limit(100)
    try:
        assert read(write(tmp_path / "a.csv", "text\n" + "x" * 300_000)).texts == ["x" * 300_000]
    finally:
        csv.field_size_limit(old)


def test_a_missing_column_error_lists_the_columns(tmp_path):
    path = write(tmp_path / "posts.csv", "id,title,text\n1,2,3\n")
    tried = "(commas, semicolons, tabs and pipes were tried)"
    assert refusal(path, text_column="body") == (
        f"no column 'body' in {path} {tried}; it has: id, title, text. Name one with --text-column"
    )
    assert refusal(path, id_column="key") == (
        f"no column 'key' in {path}; it has: id, title, text. Name one with --id-column"
    )


def test_a_message_lists_only_a_few_columns(tmp_path):
    header = ",".join(f"c{i}" for i in range(500))
    assert "c19, ... (500 in all). Name one" in refusal(write(tmp_path / "a.csv", header + "\n"))


@pytest.mark.parametrize(("row", "found"), [("a", 1), ("a,b,c", 3)])
def test_a_row_of_another_length_is_rejected(tmp_path, row, found):
    path = write(tmp_path / "a.csv", f'text,n\n"x\ny",1\n\n{row}\n')
    assert f"line 5 of {path} has {found} field(s), expected 2" in refusal(path)


def test_a_duplicate_column_is_rejected_if_requested(tmp_path):
    path = write(tmp_path / "a.csv", "text,n,n\na,1,2\n")
    assert read(path).metadata == [{"n": "1", "n_2": "2"}]
    for options in ({"text_column": "n"}, {"id_column": "n"}, {"kept": ("n",)}):
        assert f"{path} has two columns 'n' (2 and 3), expected one" in refusal(path, **options)
    assert read(path, text_column="3", header_row=1).texts == ["2"]


@pytest.mark.parametrize(
    "bad",
    ['"open, 1\nb,2\nc,3\n', '"shut"x,1\n', "a\rb,1\n"],
    ids=["a quote left open", "text after a quote", "a lone carriage return"],
)
def test_malformed_csv_is_rejected_with_its_first_line(tmp_path, bad):
    path = write(tmp_path / "a.csv", f"text,n\nfine,1\n{bad}")
    assert f"line 3 of {path} is not well-formed" in refusal(path)


# --- json lines ---


def test_json_scalars_become_metadata_and_nested_values_are_dropped(tmp_path):
    row = {"id": 7, "text": "t", "s": "é", "i": -1, "f": 0.5, "b": True, "n": None, "o": {"a": 1}, "l": [1]}
    docs = read(write(tmp_path / "a.jsonl", json.dumps(row)))
    assert docs == Documents(["7"], ["t"], [{"s": "é", "i": -1, "f": 0.5, "b": True, "n": None}])
    assert docs.metadata[0]["b"] is True


def test_json_rows_need_not_have_the_same_keys(tmp_path):
    docs = read(write(tmp_path / "a.jsonl", '{"text":null,"id":null}\n\r\n \t\n{"x":1,"text":"b"}\r\n'))
    assert docs == Documents(["1", "2"], ["", "b"], [{}, {"x": 1}])


@pytest.mark.parametrize(
    ("value", "key"), [('"a"', "a"), ('""', "1"), ("null", "1"), ("0", "0"), ("1.5", "1.5"), ("true", "True")]
)
def test_json_ids_become_text(tmp_path, value, key):
    path = write(tmp_path / "a.jsonl", f'{{"text": "t", "key": {value}, "id": "other"}}')
    assert read(path, id_column="key") == Documents([key], ["t"], [{"id": "other"}])


def test_integers_beyond_64_bits_become_text(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "", "a": 2**63, "b": 2**63 - 1, "c": -(2**63) - 1}))
    assert read(path).metadata == [{"a": str(2**63), "b": 2**63 - 1, "c": str(-(2**63) - 1)}]


def test_lone_surrogates_are_replaced_and_pairs_are_kept(tmp_path):
    path = write(tmp_path / "a.jsonl", r'{"id":"\uD800i","text":"a\udfffb\ud83d\ude00","m":"\ud800","\ud800k":1,"n":2}')
    assert read(path) == Documents(["\ufffdi"], ["a\ufffdb😀"], [{"m": "\ufffd", "\ufffdk": 1, "n": 2}])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "a"', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"text": 1' + "0" * 5000 + "}", "is not JSON"),
        ('["a"]', "holds an array, expected an object"),
        ('"a"', "holds a string"),
        ("null", "holds null"),
        ("3", "holds a number"),
        ('{"text": true}', "has a boolean in the column 'text', expected a string, a number, a list of words or null"),
        ('{"text": [["a"]]}', "has an array in the column 'text'"),
        ('{"text": {}}', "has an object in the column 'text'"),
    ],
)
def test_a_bad_json_row_is_rejected_with_its_line_and_fault(tmp_path, line, found):
    path = write(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n\n{line}\n')
    message = refusal(path)
    assert f"line 3 of {path} {found}" in message
    assert len(message) < len(str(path)) + 250


def test_a_json_row_without_the_column_is_rejected_with_its_keys(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "t", "id": 1}\n{"id": 2, "ti\\ntle": "t"}\n')
    expected = f"no column 'text' in line 2 of {path}; it has: id, ti\\ntle. Name one with --text-column"
    assert refusal(path) == expected
    assert f"no column 'key' in line 1 of {path}" in refusal(path, id_column="key")
    assert "it has: none." in refusal(write(tmp_path / "b.jsonl", "{}"))


# --- undecodable bytes ---


@pytest.mark.parametrize("chunk_bytes", [1, 5, 1 << 18])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.txt.gz"])
def test_undecodable_bytes_are_rejected_with_line_and_byte(tmp_path, monkeypatch, name, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    path = write(tmp_path / name, b"\n\n\n \xe9 \n" if "jsonl" in name else b"\n\n\nca\xc3\xa9 f\xe9 \n")
    message = refusal(path)
    assert f"line 4 of {path} has the byte 0xe9, expected text in 'utf-8'" in message
    assert "--encoding" in message
    assert "latin-1" not in message


def test_a_truncated_sequence_at_the_end_is_rejected(tmp_path):
    path = write(tmp_path / "a.txt", b"a\nb\xc3")
    assert f"line 2 of {path} has the byte 0xc3" in refusal(path)


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 18])
@pytest.mark.parametrize(
    ("encoding", "bad"),
    [
        ("utf-16", b"\x00\xdc"),
        ("utf-16-le", b"\x00\xdc"),
        ("utf-32", b"\xff" * 4),
        ("utf-8-sig", b"\xff"),
        ("shift_jis", b"\xff"),
        ("iso2022_jp", b"\xff"),
        ("ascii", b"\xff"),
    ],
)
def test_the_line_of_a_bad_byte_is_right_in_any_encoding(tmp_path, monkeypatch, encoding, bad, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    text = "one\ntwo \u0a0a\n" if encoding.startswith("utf") else "one\ntwo\n"  # U+0A0A is two bytes 0x0a
    path = write(tmp_path / "a.txt", text.encode(encoding) + bad)
    assert f"line 3 of {path} has the byte 0x{bad[0]:02x}" in refusal(path, encoding=encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_other_encodings_are_read(tmp_path, encoding, name):
    word = "日本" if encoding not in {"latin-1", "cp1252"} else "café"
    content = {"a.txt": f"{word}\r\nb\n", "a.csv": f"text\r\n{word}\r\nb\r\n"}
    rows = "".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in (word, "b"))
    path = write(tmp_path / name, content.get(name, rows), encoding)
    assert read(path, encoding=encoding).texts == [word, "b"]


@pytest.mark.parametrize("encoding", ["nonsense", "hex", "rot13", "a\0b", ""])
def test_an_unknown_encoding_is_rejected_immediately(tmp_path, encoding):
    path = write(tmp_path / "a.txt", "a")
    with pytest.raises(CorpusError, match=r"unknown encoding '.*', expected one such as utf-8"):
        read_documents(path, ReadingOptions(encoding=encoding))


def test_utf_16_without_its_mark_is_rejected(tmp_path):
    path = write(tmp_path / "a.txt", "plain text\n")
    assert f"{path} is not text in 'utf-16'" in refusal(path, encoding="utf-16")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.jsonl.gz"])
def test_a_binary_file_is_rejected(tmp_path, name):
    path = write(tmp_path / name, b"\n\n\x7fELF\0\n\0")
    message = refusal(path)
    assert f"{path} looks like a binary file (a NUL byte on line 3), expected text" in message
    assert "--encoding" in message


def test_an_error_about_unmarked_utf_16_suggests_the_encoding(tmp_path):
    assert "--encoding utf-16" in refusal(write(tmp_path / "a.txt", "abc", "utf-16-le"))
    assert "--encoding utf-16-be" in refusal(write(tmp_path / "a.txt", "one, two\nthree", "utf-16-be"))


# --- paths ---


def test_a_missing_path_is_rejected_immediately(tmp_path):
    with pytest.raises(CorpusError, match=r"no such file or folder: .*none\.csv; expected \.txt, "):
        read_documents(tmp_path / "none.csv")
    assert "no such file or folder: a\\x00.txt" in refusal("a\0.txt")


def test_an_unknown_extension_is_rejected_with_the_known_ones(tmp_path):
    path = write(tmp_path / "a.pdf.gz", "x")
    message = refusal(path)
    assert f"unknown format of {path}" in message
    assert all(ending in message for ending in (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".gz", "folder"))


def test_errors_of_the_system_are_reported_in_its_words(tmp_path, monkeypatch):
    assert "File name too long" in refusal("a" * 5000 + ".txt")
    path = write(tmp_path / "a.txt", "x")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == f"cannot read {path}: Permission denied. Check the path and its permissions"


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:-9],
        lambda d: b"plain text",
        lambda d: d[:12] + b"\xff\xff" + d[14:],
        lambda d: d[:-8] + bytes(8),
    ],
    ids=["cut off", "never zipped", "bad block", "bad checksum"],
)
def test_a_damaged_gzip_is_rejected(tmp_path, damage):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(damage(gzip.compress(("word " * 50 + "\n").encode() * 50)))
    assert f"{path} is a damaged or truncated gzip file" in refusal(path)


@pytest.mark.parametrize("name", ["a\nb.txt", "a\x1b[31m\u2028.txt"])
def test_a_file_name_cannot_break_a_message_into_lines(tmp_path, name):
    path = write(tmp_path / name, b"\xff")
    assert "has the byte 0xff" in refusal(path)  # `refusal` asserts that the message is one line


def test_a_batch_of_zero_documents_is_rejected(tmp_path):
    with pytest.raises(InputError, match="batch_docs is 0, expected at least 1"):
        read_documents(write(tmp_path / "a.txt", "x"), batch_docs=0)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("corpus.jsonl.gz", "corpus"),
        ("data/My.Posts.CSV", "My.Posts"),
        (Path("a/b.txt"), "b"),
        ("-", "stdin"),
        (Path("-"), "stdin"),
        ("20newsgroups", "20newsgroups"),
        ("notes.v2", "notes.v2"),
        (".txt", ".txt"),
        ("/", "corpus"),
    ],
)
def test_a_source_is_named_after_its_file(source, name):
    assert source_name(source) == name


def test_a_folder_gives_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "posts.txt").mkdir()
    assert source_name(tmp_path / "posts.txt") == "posts.txt"
    monkeypatch.chdir(tmp_path / "posts.txt")
    assert source_name(".") == "posts.txt"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("posts/*.csv", "posts"),
        ("posts-*.csv.zst", "posts"),
        ("data/posts/**/*", "posts"),
        ("/*", "corpus"),
        ("*", "corpus"),
        ("tweets_202[0-4].parquet", "tweets_2020-4"),
        (["b.jsonl", "a.csv"], "b"),
        ([], "corpus"),
    ],
)
def test_the_name_of_several_sources_can_be_a_folder(source, name):
    assert source_name(source) == name


def test_a_blank_line_of_a_one_column_table_is_an_empty_document(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("text\nbus train\n\nnurse\n")
    (batch,) = read_documents(path)
    assert batch.texts == ["bus train", "", "nurse"]
    assert batch.ids == ["1", "2", "3"]


# --- the format option, also for standard input ---


def test_all_documented_formats_exist():
    assert FORMATS[:8] == ("txt", "csv", "tsv", "jsonl", "parquet", "xlsx", "mallet", "octis")
    assert FORMATS[8:] == ("xls", "xlsb", "ods", "sqlite", "duckdb", "wos", "ris", "pubmed", "pdf", "docx")


@pytest.mark.parametrize(
    ("file_format", "content", "text"),
    [
        ("txt", "one two\n", "one two"),
        ("csv", "a;text\n1;one\n", "one"),
        ("tsv", "a\ttext\n1\tone\n", "one"),
        ("jsonl", '{"text": "one"}', "one"),
        ("json", '["one"]', "one"),
        ("mallet", "d1 x one two\n", "one two"),
        ("octis", "one two\ttrain\n", "one two"),
    ],
)
def test_the_format_option_overrides_the_extension(tmp_path, monkeypatch, file_format, content, text):
    assert read(write(tmp_path / "data.dat", content), file_format=file_format).texts == [text]
    assert read(write(tmp_path / "data.csv.gz", content), file_format=file_format).texts == [text]
    monkeypatch.setattr(sys, "stdin", stdin_of(content.encode()))
    assert read("-", file_format=file_format).texts == [text]


@pytest.mark.parametrize("file_format", ["parquet", "xlsx", "ods", "sqlite", "duckdb", "pdf", "docx"])
def test_a_format_that_needs_a_file_rejects_standard_input(monkeypatch, file_format):
    monkeypatch.setattr(sys, "stdin", stdin_of(b""))
    assert "standard input was given, expected a file" in refusal("-", file_format=file_format)


def test_an_unknown_format_is_rejected_immediately_with_the_known_ones(tmp_path):
    with pytest.raises(
        CorpusError, match=r"unknown format 'yaml', expected one of: txt, csv, .*octis, .*ldac, mm, npz"
    ):
        read_documents(write(tmp_path / "a.json", "{}"), ReadingOptions(file_format="yaml"))


# --- all formats ---

WORDS = ["café 😀👩\u200d👩\u200d👧", "שלום עולם", "e\u0301 \u0301", "  ", "\t", "日本語", "\u202eabc\u202c", "\u3000"]
NAMES = ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.xlsx"]


def write_texts(path: Path, texts: list[str | None]) -> Path:
    """Write a file with one column in the format of its extension."""
    kind = path.name.split(".")[1]
    if kind == "parquet":
        pl.DataFrame({"text": texts, "n": range(len(texts))}, schema={"text": pl.String, "n": pl.Int64}).write_parquet(
            path
        )
        return path
    if kind == "xlsx":
        return write_xlsx(path, [["text", "n"], *([text, i] for i, text in enumerate(texts))])
    if kind in {"csv", "tsv"}:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, delimiter="," if kind == "csv" else "\t")
        writer.writerows([["text", "n"], *([text, i] for i, text in enumerate(texts))])
        return write(path, buffer.getvalue())
    lines = [json.dumps({"text": text, "n": i}) if kind == "jsonl" else text or "" for i, text in enumerate(texts)]
    return write(path, "".join(line + "\n" for line in lines))


@pytest.mark.parametrize("name", NAMES)
def test_emoji_right_to_left_and_combining_characters_are_preserved(tmp_path, name):
    docs = read(write_texts(tmp_path / name, list(WORDS)))
    assert docs.texts == WORDS
    assert docs.ids == numbers(len(WORDS))


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_nulls_is_empty_documents(tmp_path, name):
    assert read(write_texts(tmp_path / name, [None] * 3)).texts == ["", "", ""]


@pytest.mark.parametrize("name", NAMES)
def test_duplicate_ids_are_kept(tmp_path, name):
    path = write_texts(tmp_path / name, ["a", "a", "b"])
    if name != "a.txt":
        assert read(path, id_column="text").ids == ["a", "a", "b"]
    assert read(path).ids == ["1", "2", "3"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_skipped_in_a_valid_file(tmp_path, name):
    skipped = SkippedRows()
    path = write_texts(tmp_path / name, list(WORDS))
    assert read(path, skipped=skipped) == read(path)
    assert skipped == SkippedRows(0, [])


@pytest.mark.parametrize(
    "given", [{"text_column": "3"}, {"id_column": "n"}, {"delimiter": "tab"}, {"skip_rows": 1}, {"header_row": 0}]
)
def test_table_options_are_rejected_for_lines_of_text(tmp_path, given):
    option = "--" + next(iter(given)).replace("_", "-")
    for name in ("a.txt", "answers", "b.txt.gz"):
        path = write(tmp_path / name, "text,n,x\nfish water,1,2\n")
        message = refusal(path, **given)
        assert message.startswith(f"{option} was given, but {path} is read as lines of text")
        assert "--format csv" in message
    assert refusal("-", **given).startswith(f"{option} was given, but standard input is read as lines")
    assert read(path, text_column=("text",), skip_rows=0).texts == ["text,n,x", "fish water,1,2"]
    table = write(tmp_path / "t.csv", "id,answer\n1,fish\n")
    (tmp_path / "c.txt").write_text("river\n")
    assert read([tmp_path / "c.txt", table], text_column="answer").texts == ["river", "fish"]
