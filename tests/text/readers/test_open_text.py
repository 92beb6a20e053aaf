"""Tests of opening and decoding files: compression, lines, memory use and undecodable bytes."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.readers import numbers, read, refusal
from topicnet.errors import CorpusError
from topicnet.text.readers import open_text
from topicnet.text.readers.documents import ReadingLog, ReadingOptions, SkippedRows
from topicnet.text.readers.open_text import File, check_encoding, installed
from topicnet.text.readers.read import read_documents

MB = 1_000_000


def packed(path: Path, data: bytes) -> Path:
    """Write data with the compression of the path's extension."""
    checked = zstandard.ZstdCompressor(write_checksum=True)
    pack = {".gz": gzip.compress, ".zst": checked.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    return path


# --- Zstandard ---


@given(st.lists(st.binary(max_size=40).map(bytes.hex), max_size=8), st.sampled_from([1, 5, 1 << 18]))
def test_concatenated_zstandard_frames_are_read(tmp_path_factory, texts, chunk_bytes):
    path = tmp_path_factory.mktemp("zst") / "a.txt.zst"
    path.write_bytes(b"".join(zstandard.compress(f"{text}\n".encode()) for text in texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
        assert read(path).texts == texts


def test_zstandard_with_a_long_window_and_a_skippable_frame_is_read(tmp_path):
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, enable_ldm=True)
    whole = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # the size is not in its header
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    path = tmp_path / "RC_2012.TXT.ZST"
    path.write_bytes(skippable + whole.compress(b"one\ntwo") + whole.flush())
    assert read(path).texts == ["one", "two"]


def test_an_empty_zstandard_file_yields_nothing(tmp_path):
    (tmp_path / "a.jsonl.zst").write_bytes(b"")
    assert list(read_documents(tmp_path / "a.jsonl.zst")) == []


@pytest.mark.slow
def test_a_large_zstandard_file_is_streamed(tmp_path):
    path = packed(tmp_path / "a.txt.zst", (b"x" * 99 + b"\n") * 400_000)  # 40 MB
    tracemalloc.start()
    n_docs = sum(len(batch.ids) for batch in read_documents(path, batch_docs=100))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_docs == 400_000
    assert peak_bytes < 16 * MB  # twice the decompressed size of 256 bytes of this file


@pytest.mark.parametrize("skipped", [None, SkippedRows()])
@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize(
    "damage",
    [lambda d: d[:-9], lambda d: d[:1], lambda d: b"plain text", lambda d: d[:40] + bytes(30) + d[70:]],
    ids=["cut short", "one byte", "never packed", "overwritten"],
)
def test_a_damaged_archive_is_rejected_and_never_skipped(tmp_path, ending, damage, skipped):
    lines = "".join(f"{i**7} {i**9}\n" for i in range(2000)).encode()
    path = packed(tmp_path / f"a.txt{ending}", lines)
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(path, skipped=skipped)
    assert f"{path} is a damaged or truncated {'gzip' if ending == '.gz' else 'Zstandard'} file (" in message
    assert "Fetch or compress it again" in message


def test_trailing_data_after_a_zstandard_frame_is_rejected(tmp_path):
    path = tmp_path / "a.txt.zst"
    path.write_bytes(zstandard.compress(b"fine\n") + b"no frame at all")
    assert "is a damaged or truncated Zstandard file" in refusal(path)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "a.txt.zst"
    path.write_bytes(b"")
    assert refusal(path) == (
        f"reading {path} needs zstandard, which is not installed: pip install 'topicnet-neural[zstd]'"
    )
    assert installed("gzip", "a") is gzip


# --- lines ---


def test_line_ends_may_be_mixed(tmp_path):
    mixed = b"a\r\nb\nc\r\n\nd\r\r\ne"
    assert list(File(packed(tmp_path / "a.txt", mixed)).lines()) == ["a", "b", "c", "", "d\r", "e"]
    assert "".join(File(tmp_path / "a.txt").lines(ends=True)).encode() == mixed
    rows = b'text,n\r\na,1\n"b\r\nc",2\r\nd,3\n'
    assert read(packed(tmp_path / "a.csv", rows)).texts == ["a", "b\r\nc", "d"]
    objects = b'{"text": "a"}\r\n{"text": "b"}\n\r\n{"text": "c"}'
    assert read(packed(tmp_path / "a.jsonl", objects)).texts == ["a", "b", "c"]


@given(st.text("a\r\n", max_size=30), st.sampled_from([1, 2, 3, 1 << 18]))
def test_lines_equal_a_split_at_newlines(tmp_path_factory, text, chunk_bytes):
    path = packed(tmp_path_factory.mktemp("lines") / "a.txt", text.encode())
    *ended, rest = (text if "\n" in text else text.replace("\r", "\n")).split("\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
        assert list(File(path).lines()) == [line.removesuffix("\r") for line in ended] + ([rest] if rest else [])
        assert "".join(File(path).lines(ends=True)) == (text if "\n" in text else text.replace("\r", "\n"))


def peak_of_one_line(path: Path, size: int, before: bytes, after: bytes) -> float:
    """Return the peak memory while a line of `size` bytes is read, as a multiple of `size`."""
    with path.open("wb") as file:
        file.write(before)
        for _ in range(size // MB):
            file.write(b"word " * (MB // 5))
        file.write(after)
    tracemalloc.start()
    options = ReadingOptions(max_document_size=2 * size)
    lengths = [len(text) for batch in read_documents(path, options) for text in batch.texts]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [5, size, 4]
    return peak_bytes / size


LONG_LINES = {
    "a.txt": (b"first\n", b"\nlast"),
    "a.jsonl": (b'{"text":"first"}\n{"text":"', b'"}\n{"text":"last"}\n'),
    "a.mallet": (b"a x first\nb y ", b"\nc z last\n"),
}


@pytest.mark.parametrize("name", LONG_LINES)
def test_a_line_of_64_mb_takes_a_few_times_its_size(tmp_path, name):
    assert peak_of_one_line(tmp_path / name, 64 * MB, *LONG_LINES[name]) < 4


def test_a_csv_cell_of_64_mb_takes_what_the_csv_module_needs(tmp_path):
    assert peak_of_one_line(tmp_path / "a.csv", 64 * MB, b"text\nfirst\n", b"\nlast\n") < 16  # 4 bytes per character


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_LINES)
def test_a_line_of_1_gb_takes_a_few_times_its_size(tmp_path, name):
    assert peak_of_one_line(tmp_path / name, 1000 * MB, *LONG_LINES[name]) < 4


# --- bytes that are not text ---


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_bad_byte_in_the_middle_of_a_large_file_is_named_with_its_line(tmp_path, ending):
    lines = [b"word " * 20 + b"\n"] * 50_000  # 5 MB
    lines[24_681] = b"caf\xe9\n"
    message = refusal(packed(tmp_path / f"a.txt{ending}", b"".join(lines)))
    assert f"line 24682 of {tmp_path / 'a.txt'}{ending} has the byte 0xe9, expected text in 'utf-8'" in message


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 18])
def test_lines_with_bad_bytes_can_be_skipped(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(open_text, "_CHUNK_BYTES", chunk_bytes)
    path = packed(tmp_path / "a.txt", "one é\n".encode() + b"tw\xe9\nthr\0ee\nfour\n\xf0\x9f\x98\nsix\xc3")
    skipped = SkippedRows()
    docs = read(path, skipped=skipped)
    assert docs.texts == ["one é", "four"]
    assert docs.ids == ["1", "4"]
    assert skipped.count == 4
    assert skipped.listed == [
        f"line 2 of {path}: the byte 0xe9, expected text in 'utf-8'",
        f"line 3 of {path}: a NUL byte",
        f"line 5 of {path}: the byte 0xf0, expected text in 'utf-8'",
        f"line 6 of {path}: the byte 0xc3, expected text in 'utf-8'",
    ]


@pytest.mark.parametrize(
    ("encoding", "unit", "bad"),
    [
        ("utf-16", "utf-16-le", b"\x00\xdc"),
        ("utf-16-be", "utf-16-be", b"\xdc\x00"),
        ("utf-32", "utf-32-le", b"\xff" * 4),
        ("utf-8-sig", "utf-8", b"\xff"),
        ("shift_jis", "shift_jis", b"\xff"),
        ("gb18030", "gb18030", b"\xff"),
        ("cp1252", "cp1252", b"\x81"),
        ("ascii", "ascii", b"\xff"),
    ],
)
def test_lines_with_bad_bytes_can_be_skipped_in_any_encoding(tmp_path, encoding, unit, bad):
    path = packed(tmp_path / "a.txt", "one\n".encode(encoding) + bad + "\nfour\n".encode(unit))
    skipped = SkippedRows()
    assert read(path, encoding=encoding, skipped=skipped).texts == ["one", "four"]
    assert skipped.listed == [f"line 2 of {path}: the byte 0x{bad[0]:02x}, expected text in {encoding!r}"]


def test_only_the_first_skipped_rows_are_listed(tmp_path):
    skipped = SkippedRows()
    assert read(packed(tmp_path / "a.txt", b"\xff\n" * 500), skipped=skipped).ids == []
    assert skipped.count == 500
    assert [line.split()[1] for line in skipped.listed] == numbers(20)


def test_a_stream_that_cannot_be_decoded_is_never_skipped(tmp_path):
    path = packed(tmp_path / "a.txt", b"plain text\n")
    assert "is not text in 'utf-16'" in refusal(path, encoding="utf-16", skipped=SkippedRows())


def test_a_missing_byte_order_mark_is_reported_before_a_bad_byte(tmp_path):
    path = packed(tmp_path / "a.txt", b"a\0\n\0" + b"\x00\xdc" * 2)
    assert "is not text in 'utf-16' (UTF-16 stream does not start with BOM)" in refusal(path, encoding="utf-16")
    assert f"line 2 of {path} has the byte 0x00" in refusal(path, encoding="utf-16-le")


def test_a_missing_file_is_never_skipped(tmp_path):
    assert "no such file or folder" in refusal(tmp_path / "none.txt", skipped=SkippedRows())


def test_documents_of_white_space_are_kept(tmp_path):
    texts = [" ", "\t", "\u3000", "\x0b", "\u2028"]
    assert read(packed(tmp_path / "a.txt", "".join(f"{text}\n" for text in texts).encode())).texts == texts


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "UTF_16", "cp949"])
def test_text_encodings_are_accepted(encoding):
    check_encoding(encoding)


def test_a_rejected_row_is_raised_or_recorded():
    strict = File(Path("a\n.txt"))
    with pytest.raises(CorpusError, match="the message"):
        strict.refuse(3, "why", "the message")
    given: Any = CorpusError("as it is")
    with pytest.raises(CorpusError, match="as it is"):
        strict.refuse(3, "why", given)
    log = ReadingLog()
    File(Path("a\n.txt"), ReadingOptions(skip_bad_rows=True), log).refuse(3, "why", "the message")
    assert log.skipped == SkippedRows(1, ["line 3 of a\\n.txt: why"])
