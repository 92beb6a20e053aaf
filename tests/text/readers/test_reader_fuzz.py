"""Fuzz tests of the readers: any input gives documents or a one-line error."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.readers import batches_of
from tests.support.workbooks import write_xlsx
from topicnet.errors import CorpusError
from topicnet.text.readers import open_text, read
from topicnet.text.readers.documents import SkippedRows
from topicnet.text.readers.read import FORMATS, read_documents

PLAIN = ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.mallet"]
FRAGMENTS = [
    b"text", b"id", b"1", b",", b";", b"\t", b" ", b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xc3",
    b"\xc3\xa9", b"\xef\xbb\xbf", b"\xff\xfe", b"sep=;\n", b'{"text": "a"}\n', b'{"text": 1}\n', b"{}", b"[", b"null",
    b"\\ud800", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"1e999", b"NaN",
    b"text,id\n", b"text\tid\n",
]  # fmt: skip
READ_OTHERWISE = (b"\xff\xfe", b"\xfe\xff", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh")  # magic bytes
awkward = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(b"".join)
contents = st.one_of(st.binary(max_size=80), awkward)
options = st.fixed_dictionaries(
    {"batch_docs": st.integers(1, 4)},
    optional={
        "text_column": st.sampled_from(["text", "1", "2", "", "\n"]),
        "id_column": st.sampled_from(["id", "1", "\x1b"]),
        "encoding": st.sampled_from(["utf-8", "utf-16", "latin-1", "utf-32-le", "gb18030", "utf-8-sig", "ascii"]),
    },
)
chunk_sizes = st.sampled_from([1, 3, 1 << 18])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def read_or_refused(source: Any, **given_options: Any) -> int:
    """Return the number of documents; 0 if the source was rejected, which must give one printable line."""
    n_docs, message = 0, ""
    try:
        for batch in batches_of(source, **given_options):
            assert 1 <= len(batch.ids) == len(batch.texts) == len(batch.metadata) <= given_options["batch_docs"]
            assert all(type(text) is str and type(key) is str for text, key in zip(batch.texts, batch.ids, strict=True))
            "".join((*batch.ids, *batch.texts)).encode()  # only text that can be encoded may pass
            n_docs += len(batch.ids)
    except CorpusError as error:
        n_docs, message = 0, str(error)
    assert message.isprintable()
    return n_docs


def most_lines(data: bytes) -> int:
    """Return an upper bound of the number of lines in any encoding, including lines ended by carriage returns."""
    return data.count(b"\n") + data.count(b"\r") + 1


@given(contents, st.sampled_from(PLAIN), st.sampled_from(["", ".gz", ".zst"]), st.booleans(), options, chunk_sizes)
@examples(200)
def test_any_bytes_are_read_or_rejected(folder, data, name, ending, packed, given_options, chunk_bytes):
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[ending] if packed else bytes
    path = folder / f"{name}{ending}"
    path.write_bytes(pack(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
        assert read_or_refused(path, **given_options) <= most_lines(data)


@given(contents, st.sampled_from(PLAIN), options, chunk_sizes)
@examples(133)
def test_no_row_is_rejected_if_rows_may_be_skipped(folder, data, name, given_options, chunk_bytes):
    path = folder / name
    path.write_bytes(data)
    if name == "a.txt":  # column options are rejected for lines of text
        given_options = {key: value for key, value in given_options.items() if not key.endswith("_column")}
    skipped = SkippedRows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
        lenient = read_or_refused(path, **given_options, skipped=skipped)
        assert all(line.isprintable() for line in skipped.listed)
        assert len(skipped.listed) == min(skipped.count, 20)
        strict = read_or_refused(path, **given_options)
    if strict:
        assert (lenient, skipped.count) == (strict, 0)
    if name in {"a.txt", "a.mallet", "a.jsonl"} and given_options.get("encoding") in {None, "latin-1", "ascii"}:
        assert lenient + skipped.count <= most_lines(data)
        if name == "a.txt" and not data.startswith(READ_OTHERWISE):
            end = b"\n" if b"\n" in data else b"\r"
            n_lines = data.count(end) + bool(data.rpartition(end)[2])
            assert lenient + skipped.count >= n_lines - 1  # a byte order mark is not a line


@given(contents, st.sampled_from(FORMATS), options)
@examples(50)
def test_any_bytes_in_any_format_are_read_or_rejected(folder, data, file_format, given_options):
    (folder / "a.dat").write_bytes(data)
    assert read_or_refused(folder / "a.dat", file_format=file_format, **given_options) <= most_lines(data)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=3), st.booleans())
@examples(30)
def test_a_changed_archive_is_read_or_rejected(folder, place, put, cut):
    rows = "".join(json.dumps({"text": f"{i} {i**5}", "id": i}) + "\n" for i in range(40)).encode()
    for path, data in (
        (folder / "b.jsonl.gz", gzip.compress(rows)),
        (folder / "b.jsonl.zst", zstandard.compress(rows)),
    ):
        place %= len(data)
        path.write_bytes(data[:place] if cut else data[:place] + put + data[place + len(put) :])
        n_docs = read_or_refused(path, batch_docs=10)
        assert n_docs in ({0} if cut else range(41))


@pytest.fixture(scope="module")
def workbook(folder: Path) -> bytes:
    return write_xlsx(folder / "c.xlsx", [["text", "n"], *([f"text {i}", i] for i in range(20))]).read_bytes()


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=3), st.booleans())
@examples(16)
def test_a_changed_workbook_is_read_or_rejected(folder, workbook, place, put, cut):
    place %= len(workbook)
    path = folder / "c.xlsx"
    path.write_bytes(workbook[:place] if cut else workbook[:place] + put + workbook[place + len(put) :])
    assert read_or_refused(path, batch_docs=10) in ({0} if cut else range(21))


@given(st.integers(0, 4000))
@examples(40)
def test_a_truncated_parquet_file_is_rejected(folder, place):
    path = folder / "d.parquet"
    pl.DataFrame({"text": ["some text"] * 50, "n": range(50)}).write_parquet(path)
    data = path.read_bytes()
    path.write_bytes(data[: place % len(data)])
    assert read_or_refused(path, batch_docs=10) == 0


sources = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.one_of(sources, st.lists(sources, max_size=3)))
@examples(50)
def test_any_name_is_found_or_rejected(folder, source):
    def absolute(name: str) -> str:
        return f"{folder}/none/{name}"

    named = absolute(source) if isinstance(source, str) else [absolute(name) for name in source]
    with pytest.raises(CorpusError) as caught:
        list(read_documents(named))
    assert str(caught.value).isprintable()


def rows_of(n_rows: int) -> Iterator[tuple[str, str]]:
    for i in range(n_rows):
        yield f"d{i}", f'text {i}, "quoted"; and\ttabs'


@pytest.mark.parametrize("n_rows", [0, 1, 9999, 10_000, 10_001])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_every_row_becomes_a_document(tmp_path, name, n_rows):
    path = tmp_path / name
    ids, texts = [i for i, _ in rows_of(n_rows)], [text for _, text in rows_of(n_rows)]
    frame = pl.DataFrame({"id": ids, "text": texts}, schema={"id": pl.String, "text": pl.String})
    if name == "a.parquet":
        frame.write_parquet(path)
    elif name == "a.jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="," if name == "a.csv" else "\t")
    batches = list(read_documents(path))
    assert [i for batch in batches for i in batch.ids] == ids
    assert [text for batch in batches for text in batch.texts] == texts
    assert all(len(batch.ids) == 10_000 for batch in batches[:-1])
    assert read._BATCH_CHARACTERS == 8_000_000
