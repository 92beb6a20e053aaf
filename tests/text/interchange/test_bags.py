"""Tests of bag-of-words files: reading, writing, exchange with other tools, and one-line errors."""

import gzip
import io
import logging
import pickle
import tempfile
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.errors import CorpusError, InputError, OutputError
from topicnet.storage import npz
from topicnet.text.interchange import bag_files, bag_text, bags
from topicnet.text.interchange.bags import BAG_FORMATS, Bag, bag_format, read_bag, write_ldac, write_matrix_market

WORDS = ["apple", "new york", "été", "=bit"]
ROWS = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [0, 0, 2**31 - 1, 4], [0, 0, 0, 0]], dtype=np.int32)
LDAC = b"2 1:2 3:1\n0\n1 0:3\n2 2:2147483647 3:4\n0\n"
MM = b"%%MatrixMarket matrix coordinate integer general\n5 4 5\n1 2 2\n1 4 1\n3 1 3\n4 3 2147483647\n4 4 4\n"
HEAD = b"%%MatrixMarket matrix coordinate real general\n"

cells = st.sampled_from([0, 0, 0, 1, 2, 10, 12345, 2**31 - 1])
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6).map(
        lambda rows: np.array(rows, dtype=np.int32).reshape(len(rows), width)
    )
)


def bag(folder: Path, name: str, content: bytes, words: list[str] | None = None, asked: str | None = None) -> Bag:
    (folder / name).write_bytes(content)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words or WORDS), "utf-8")
    file_format = bag_format(folder / name, asked)
    assert file_format is not None
    return read_bag(folder / name, file_format=file_format)


def refusal(folder: Path, name: str, content: bytes, words: list[str] | None = None) -> str:
    with pytest.raises(CorpusError) as caught:
        bag(folder, name, content, words)
    assert str(caught.value).isprintable()
    assert repr(str(folder / name)) in str(caught.value)
    return str(caught.value)


def assert_canonical(counts: sp.csr_matrix, expected: Any) -> None:
    assert isinstance(counts, sp.csr_matrix)
    assert counts.dtype == counts.indices.dtype == np.int32
    fresh = sp.csr_matrix((counts.data, counts.indices, counts.indptr), shape=counts.shape)
    fresh.check_format(full_check=True)
    assert fresh.has_canonical_format
    assert (counts.data > 0).all()
    np.testing.assert_array_equal(counts.toarray(), expected)


def saved(matrix: Any, **changed: Any) -> bytes:
    buffer = io.BytesIO()
    sp.save_npz(buffer, matrix)
    if not changed:
        return buffer.getvalue()
    with np.load(io.BytesIO(buffer.getvalue())) as archive:
        parts = {name: archive[name] for name in archive.files} | changed
    buffer = io.BytesIO()
    np.savez(buffer, **{name: part for name, part in parts.items() if part is not None})
    return buffer.getvalue()


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("source", "asked", "expected"),
    [
        *[(f"a{end}", None, "ldac") for end in (".ldac", ".lda-c", ".LDAC", ".ldac.gz", ".lda-c.GZ")],
        *[(f"a{end}", None, "mm") for end in (".mm", ".mtx", ".mm.gz", ".mtx.gz", ".Mtx")],
        ("a.npz", None, "npz"),
        ("a.b/c.npz", None, "npz"),
        *[(f"a{end}", None, None) for end in (".dat", ".npz.gz", ".txt", ".csv.gz", ".gz", "", ".vocab")],
        *[(name, None, None) for name in ("-", ".mm", "imdb")],
        ("a.dat", "ldac", "ldac"),
        ("a.txt", "mm", "mm"),
        ("a.ldac", "npz", "npz"),
        ("a.ldac", "csv", None),
    ],
)
def test_the_format_is_given_or_detected_from_the_name(source: str, asked: str | None, expected: str | None) -> None:
    assert bag_format(source, asked) == expected
    assert bag_format(Path(source), asked) == expected


def test_a_folder_is_never_a_bag(tmp_path: Path) -> None:
    (tmp_path / "texts.mm").mkdir()
    assert bag_format(tmp_path / "texts.mm", None) is None


@pytest.mark.parametrize("name", ["c.ldac", "c.lda-c", "c.ldac.gz", "c.mm", "c.mtx", "C.MTX.gz", "c.npz"])
def test_every_format_gives_the_same_bag(tmp_path: Path, name: str) -> None:
    kind = bag_format(name)
    content = {"ldac": LDAC, "mm": MM, "npz": saved(sp.csr_matrix(ROWS))}[str(kind)]
    read = bag(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)
    assert_canonical(read.counts, ROWS)
    assert read.vocabulary == WORDS
    assert read.ids == ["1", "2", "3", "4", "5"]
    assert read.name.lower() == "c"


def test_an_unknown_extension_stays_on_the_name(tmp_path: Path) -> None:
    assert bag(tmp_path, "ap.dat", LDAC, asked="ldac").name == "ap.dat"


def test_an_unknown_format_and_a_missing_file_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'arff' given, expected one of ldac, mm, npz"):
        read_bag(tmp_path / "a", file_format="arff")
    for file_format in BAG_FORMATS:
        for path in (tmp_path / "a\nb", tmp_path):
            with pytest.raises(CorpusError, match="no such file") as caught:
                read_bag(path, file_format=file_format)
            assert str(caught.value).isprintable()


# ---------------------------------------------------------------- LDA-C


@pytest.mark.parametrize(
    "content",
    [
        LDAC.removesuffix(b"\n"),
        LDAC.replace(b"\n", b"\r\n"),
        LDAC.replace(b"0\n1", b"\n1"),
        LDAC.replace(b"\n0\n1", b"\n \t\n1"),
        LDAC.replace(b" ", b" \t "),
        b"\xef\xbb\xbf" + LDAC,
        LDAC.replace(b"1:2 3:1", b"3:1 1:2"),
        b"3" + LDAC[1:].replace(b" 3:1", b" 3:1 2:0", 1),
        b"3" + LDAC[1:].replace(b" 3:1", b" 3:1 1:0", 1),
        b"3" + LDAC[1:].replace(b"1:2 3:1", b"1:1 3:1 1:1", 1),
        LDAC.replace(b"1:2", b"1:2.0").replace(b"0:3", b"+0:30e-1").replace(b"3:4", b"3:.4e1"),
        LDAC.replace(b"2147483647", b"2.147483647e9"),
    ],
    ids=["no end", "crlf", "blank", "white", "tabs", "bom", "order", "zero", "zero again", "twice", "real", "large"],
)
@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_variants_of_an_ldac_file_give_the_same_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, block: int
) -> None:
    monkeypatch.setattr(bag_text, "_BLOCK_BYTES", block)
    assert_canonical(bag(tmp_path, "a.ldac", content).counts, ROWS)


def test_blank_lines_at_the_end_are_documents(tmp_path: Path) -> None:
    assert bag(tmp_path, "a.ldac", b"1 0:1\n\n\n").counts.toarray().tolist() == [[1, 0, 0, 0], [0] * 4, [0] * 4]
    assert bag(tmp_path, "a.ldac", b"").counts.shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"x 0:1", "has 'x', expected the number of pairs first"),
        (b"0:1", "has '0:1', expected the number of pairs first"),
        (b"-1 0:1", "has '-1', expected the number of pairs first"),
        (b"1.5 0:1", "has '1.5', expected the number of pairs first"),
        (b"2 0:1", "states 2 pairs and has 1"),
        (b"0 0:1", "states 0 pairs and has 1"),
        (b"1 0:1 1:1", "states 1 pairs and has 2"),
        (b"1", "states 1 pairs and has 0"),
        (b"1 0", "has '0', expected a pair ID:COUNT"),
        (b"1 0: 1", "states 1 pairs and has 2"),
        (b"2 0: 1:1", "has '', expected a count"),
        (b"1 :1", "has '', expected a word id"),
        (b"1 0:1:1", "has '1:1', expected a count"),
        (b"1 -1:1", "has '-1', expected a word id"),
        (b"1 4:1", "has the word id 4, expected ids below the 4 words"),
        (b"1 99999999999999999999:1", "expected a word id"),
        (b"1 0:-1", "has '-1', expected a count"),
        (b"1 0:1.5", "has '1.5', expected a count"),
        (b"1 0:nan", "has 'nan', expected a count"),
        (b"1 0:1e", "has '1e', expected a count"),
        (b"1 0:1-2", "has '1-2', expected a count"),
        (b"1 0:2147483648", "has '2147483648', expected a count that is a whole number up to 2147483647"),
        (b"1 0:1e999", "has '1e999', expected a count"),
        (b"1 0:" + b"9" * 9999, "9...', expected a count"),
        (b"1 0:1_0", "has '1_0', expected a count"),
        ("1 0:٣".encode(), "has '٣', expected a count"),
        (b"1 0:1 \x00", "states 1 pairs and has 2"),
        (b"\xff\xfe", "has '\ufffd\ufffd', expected the number of pairs"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 22])
def test_a_malformed_line_is_rejected_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, said: str, block: int
) -> None:
    monkeypatch.setattr(bag_text, "_BLOCK_BYTES", block)
    message = refusal(tmp_path, "a.ldac", b"1 0:1\n\n" + line + b"\n1 0:1\n")
    assert message.startswith("line 3 of ")
    assert said in message


token = st.sampled_from(
    [*"0123:::    \n\n\t\r", "0:1", "1 0:1\n", "2 0:1 1:2\n", "\n", "2.0", "1e0", "-", "x", "1:1:1"]
)


@examples(120)
@given(st.lists(token, max_size=12).map(lambda tokens: "".join(tokens).encode() + b"\n"))
@example(b"\n\n")
def test_blocks_and_lines_give_the_same_counts(block: bytes) -> None:
    """The block parser accepts nothing that the line parser rejects, and gives the same counts."""
    try:
        expected: Any = bag_text._ldac_lines(block, 4, Path("a"), 1)
    except CorpusError:
        expected = None
    found = bag_text._ldac_block(block, 4)
    assert (found is None) == (expected is None)
    for left, right in zip(found or (), expected or (), strict=True):
        np.testing.assert_array_equal(left, right)


def test_sums_of_repeated_words_may_not_overflow(tmp_path: Path) -> None:
    for name, content in (
        ("a.ldac", b"2 0:2147483647 0:1\n"),
        ("a.mm", HEAD + b"1 4 2\n1 1 2147483647\n1 1 1\n"),
        ("a.npz", saved(sp.coo_matrix(([2**31 - 1, 1], ([0, 0], [0, 0])), shape=(1, 4)))),
    ):
        assert "has counts that add up to more than 2147483647" in refusal(tmp_path, name, content)


# ---------------------------------------------------------------- Matrix Market


@pytest.mark.parametrize(
    "content",
    [
        MM.removesuffix(b"\n"),
        MM.replace(b"\n", b"\r\n"),
        MM.replace(b"integer", b"real"),
        MM.replace(b"integer", b"unsigned-integer"),
        MM.replace(b"matrix coordinate integer general", b"MATRIX  Coordinate DOUBLE General "),
        MM.replace(b"1 2 2\n", b"1 2 2.0\n").replace(b"1 3\n", b"1 3e+00\n"),
        MM.replace(b"\n5 4 5\n", b"\n% made by hand\n\n  5 4   5   \n\n"),
        MM.replace(b"1 4 1\n3 1 3\n", b"3 1 3\n\n1 4 1\n"),
        MM.replace(b"4 5\n", b"4 6\n") + b"2 2 0\n",
        MM.replace(b"4 5\n", b"4 6\n").replace(b"3 1 3\n", b"3 1 1\n3 1 2\n"),
    ],
    ids=["no end", "crlf", "real", "unsigned", "case", "dots", "comment", "order", "zero", "twice"],
)
@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_variants_of_a_matrix_market_file_give_the_same_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, block: int
) -> None:
    monkeypatch.setattr(bag_text, "_BLOCK_BYTES", block)
    assert_canonical(bag(tmp_path, "a.mm", content).counts, ROWS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with a line %%MatrixMarket"),
        (b"5 4 5\n1 2 2\n", "does not begin with a line %%MatrixMarket"),
        (b"\x80\x04", "does not begin with a line %%MatrixMarket"),
        (MM.replace(b"coordinate", b"array"), "holds 'matrix array integer general'"),
        (MM.replace(b"integer", b"pattern"), "holds 'matrix coordinate pattern general'"),
        (MM.replace(b"integer", b"complex"), "holds 'matrix coordinate complex general'"),
        (MM.replace(b"general", b"symmetric"), "holds 'matrix coordinate integer symmetric'"),
        (HEAD, "ends within its header"),
        (HEAD + b"% 1 4 0\n", "ends within its header"),
        (HEAD + b"1 4\n", "line 2 of "),
        (HEAD + b"%\n1 -4 0\n", "line 3 of "),
        (HEAD + b"99999999999 4 0\n", "line 2 of "),
        (HEAD + b"1 4 x\n", "expected the numbers of rows, columns and entries"),
        (HEAD + b"1000000000000 4 2\n", "states 1,000,000,000,000 rows and 4 columns, expected up to 2,147,483,647"),
        (HEAD + b"1 4 2\n1 1 1\n", "has 1 entries, expected the 2 of its header"),
        (HEAD + b"1 4 99999999999999999\n1 1 1\n", "has 1 entries, expected the 99999999999999999"),
        (HEAD + b"1 4 1\n1 1 1\n1 2 1\n", "has more than 1 entries, expected the 1 of its header"),
        (HEAD + b"1 4 1\n\n2 1 1\n", "line 4 of "),
        (HEAD + b"1 4 1\n2 1 1\n", "has row 2 and column 1, expected positions from 1 to 1 and 4"),
        (HEAD + b"1 4 1\n1 5 1\n", "has row 1 and column 5"),
        (HEAD + b"1 4 1\n0 1 1\n", "has row 0 and column 1"),
        (HEAD + b"1 4 1\n1 1\n", "has '1 1', expected row, column and count"),
        (HEAD + b"1 4 1\n1 1 1 1\n", "has '1 1 1 1', expected row, column and count"),
        (HEAD + b"1 4 2\n1 1\n1 1 1 1\n", "line 3 of "),
        (HEAD + b"1 4 1\n1 1 1:1\n", "has '1:1', expected a count"),
        (HEAD + b"1 4 1\n1 1.5 1\n", "has '1.5', expected a column"),
        (HEAD + b"1 4 1\n1 1 -1\n", "has '-1', expected a count"),
        (HEAD + b"1 4 1\n1 1 2.5\n", "has '2.5', expected a count"),
        (HEAD + b"1 4 1\n1 1 nan\n", "has 'nan', expected a count"),
        (HEAD + b"1 4 1\n1 1 2147483648\n", "has '2147483648', expected a count"),
        (HEAD + b"4 5 0\n", "has 4 rows and 5 columns, and "),
        (HEAD + b"4 5 0\n", "it looks transposed, expected documents as rows"),
        (HEAD + b"7 5 0\n", "expected a column for each word. Name the right vocabulary with --vocabulary"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_malformed_matrix_is_reported_in_one_line(tmp_path: Path, content: bytes, said: str, packed: bool) -> None:
    assert said in refusal(tmp_path, f"a.mm{'.gz' * packed}", gzip.compress(content) if packed else content)


def test_integer_files_must_hold_integers(tmp_path: Path) -> None:
    """SciPy's own reader reads 2.5 as 2 in such a file."""
    message = refusal(tmp_path, "a.mm", HEAD.replace(b"real", b"integer") + b"1 4 2\n1 1 2\n1 2 2.5\n")
    assert message.startswith("line 4 of ")


@pytest.mark.parametrize("name", ["a.ldac.gz", "a.mm.gz"])
@pytest.mark.parametrize(
    "content",
    [b"", b"1 0:1\n", gzip.compress(LDAC * 99)[:-9], gzip.compress(MM)[:40]],
    ids=["empty", "plain", "without its end", "without most"],  # not the bytes, because an archive contains the time
)
def test_a_damaged_archive_is_reported_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    if content == b"" and name == "a.ldac.gz":
        assert bag(tmp_path, name, content).counts.shape[0] == 0  # gzip reads an empty file as empty content
    else:
        refusal(tmp_path, name, content)


# ---------------------------------------------------------------- NPZ


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("dtype", ["i4", "i8", "u8", "f4", "f8", ">i8", ">f8"])
def test_all_formats_and_types_of_integer_counts_are_read(tmp_path: Path, form: str, kind: str, dtype: str) -> None:
    rows = np.where(ROWS > 2**24, 2**24, ROWS)
    matrix = getattr(sp, f"{form}_{kind}")(rows)
    assert_canonical(bag(tmp_path, "a.npz", saved(matrix, data=matrix.data.astype(dtype))).counts, rows)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "f2"])
def test_small_types_are_read(tmp_path: Path, dtype: str) -> None:
    content = saved(CSR, data=np.array([1, 0, 1, 1, 1], dtype=dtype))
    assert_canonical(bag(tmp_path, "a.npz", content).counts, (ROWS > 0) & (ROWS != 1))


def test_counts_are_made_canonical(tmp_path: Path) -> None:
    parts = {"data": np.array([1.0, 2, 0, 4]), "indices": np.array([3, 1, 2, 3]), "indptr": np.array([0, 4])}
    matrix = sp.csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=(1, 4))
    assert_canonical(bag(tmp_path, "a.npz", saved(matrix)).counts, [[0, 2, 0, 5]])
    turned = sp.csc_matrix((parts["data"], [0, 0, 0, 0], [0, 0, 1, 2, 4]), shape=(1, 4))
    assert_canonical(bag(tmp_path, "a.npz", saved(turned)).counts, [[0, 1, 2, 4]])
    places = sp.coo_matrix((parts["data"], ([0] * 4, parts["indices"])), shape=(1, 4))
    assert_canonical(bag(tmp_path, "a.npz", saved(places)).counts, [[0, 2, 0, 5]])


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (-1, "i4", "has -1 in row 2, column 3"),
        (-1, "f4", "has -1.0 in row 2, column 3"),
        (0.5, "f8", "has 0.5 in row 2, column 3"),
        (np.nan, "f8", "has nan in row 2, column 3"),
        (np.inf, "f2", "has inf in row 2, column 3"),
        (2**31, "u8", "has 2147483648 in row 2, column 3"),
        (2**31, "f4", "has 2147483648.0 in row 2, column 3"),
    ],
)
def test_an_invalid_count_is_rejected_with_its_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, value: float, dtype: str, said: str
) -> None:
    monkeypatch.setattr(bag_files, "_SLICE", 2)
    matrix = sp.csr_matrix([[1, 0, 2, 0], [0, 0, 0, 0], [0, 1, 0, 7]]).asformat(form)
    data = np.where(matrix.data == 7, np.array(value, dtype), matrix.data.astype(dtype))
    assert said in refusal(tmp_path, "a.npz", saved(matrix, data=data))


CSR = sp.csr_matrix(ROWS)
COO = sp.coo_matrix(ROWS)
INDPTR = np.array([0, 2, 2, 3, 5, 5])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no archive",
        b"1 0:1\n",
        pickle.dumps({"a": 1}),
        saved(CSR)[:-30],
        saved(CSR, indptr=INDPTR[:-1]),
        saved(CSR, indptr=np.array([0, 9, 2, 3, 5, 5])),
        saved(CSR, indptr=INDPTR - 1),
        saved(CSR, indptr=INDPTR * 2),
        saved(CSR, indptr=INDPTR / 2),
        saved(CSR, indptr=None),
        saved(CSR, indices=np.array([0, 1, 4, 0, 1])),
        saved(CSR, indices=np.array([0, 1, -1, 0, 1])),
        saved(CSR, indices=np.array([0, 1])),
        saved(CSR, indices=np.array([["a"]])),
        saved(CSR, data=np.ones((5, 1))),
        saved(CSR, data=np.ones(5, dtype=complex)),
        saved(CSR, data=np.ones(4)),
        saved(CSR, shape=np.array([5, 4, 1])),
        saved(CSR, shape=np.array([-5, 4])),
        saved(CSR, shape=np.array([2**40, 4])),
        saved(CSR, shape=np.array(["5", "4"])),
        saved(CSR, shape=np.array([4, 4])),
        saved(CSR, format=np.array(["csr", "csc"])),
        saved(CSR, format=np.array(b"dia")),
        saved(CSR, format=None),
        saved(COO, row=np.array([0, 0, 5, 0, 0])),
        saved(COO, row=np.array([0, 0, -1, 0, 0])),
        saved(COO, col=np.array([0, 0, 4, 0, 0])),
        saved(COO, col=np.array([0])),
        saved(COO, col=None),
        saved(COO, coords=np.zeros((3, 5), dtype=int), row=None, col=None),
        saved(sp.dia_matrix(ROWS)),
        saved(sp.bsr_matrix(ROWS)),
    ],
)
def test_a_malformed_archive_is_reported_in_one_line(tmp_path: Path, content: bytes) -> None:
    assert "expected" in refusal(tmp_path, "a.npz", content)


def test_coordinates_in_one_array_are_read(tmp_path: Path) -> None:
    coords = np.array([COO.row, COO.col])
    assert_canonical(bag(tmp_path, "a.npz", saved(COO, row=None, col=None, coords=coords)).counts, ROWS)


@pytest.mark.parametrize("n_docs", [255, 256, 257])
@pytest.mark.parametrize("turned", [False, True])
def test_indices_of_a_small_type_are_read(tmp_path: Path, n_docs: int, turned: bool) -> None:
    rows = np.array([254, 3, 3] if turned else [3, 3, 254], dtype=np.uint8)
    matrix = sp.coo_matrix((np.ones(3), (rows, [0, 1, 3])), shape=(n_docs, 4))
    content = saved(matrix, row=rows, col=np.array([0, 1, 3], dtype=np.uint8))
    assert_canonical(bag(tmp_path, "a.npz", content).counts, matrix.toarray())


def test_a_dense_archive_is_rejected(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, theta=np.ones((3, 2)), doc_id=np.array(["a", "b", "c"]))
    assert "holds 'theta', 'doc_id', expected a sparse matrix of counts" in refusal(
        tmp_path, "a.npz", buffer.getvalue()
    )


def test_an_archive_larger_than_memory_is_not_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "available_memory", lambda: 100)
    assert "it states a size that does not fit in memory" in refusal(tmp_path, "a.npz", saved(CSR))


class Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(tempfile.gettempdir()) / "topicnet-was-run",)


def test_pickles_are_rejected_and_never_run(tmp_path: Path) -> None:
    mark = Path(tempfile.gettempdir()) / "topicnet-was-run"
    mark.unlink(missing_ok=True)
    for part in ("data", "indices", "format"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = saved(CSR, **{part: np.array([Dangerous()] * 5, dtype=object)})
        assert "pickles, which are never loaded" in refusal(tmp_path, "a.npz", content)
    refusal(tmp_path, "a.npz", pickle.dumps(Dangerous()))
    assert not mark.exists()


@examples(60)
@given(st.integers(0, len(saved(CSR)) - 1), st.integers(0, 255))
def test_a_flipped_byte_is_rejected_or_harmless(place: int, value: int) -> None:
    content = bytearray(saved(CSR))
    content[place] = value
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = None
        try:
            read = bag(Path(folder), "a.npz", bytes(content))
        except CorpusError as error:
            said = str(error)
        if said is None:
            assert_canonical(read.counts, read.counts.toarray())
        else:
            assert said.isprintable()


# ---------------------------------------------------------------- vocabularies


@pytest.mark.parametrize("name", ["wiki.ldac", "wiki.lda-c", "wiki.mm", "wiki.mm.gz", "wiki.npz"])
def test_the_vocabulary_with_the_closest_name_is_found_first(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = {"ldac": LDAC, "mm": MM, "npz": saved(CSR)}[str(bag_format(name))]
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    plain = name.removesuffix(".gz")
    names = ["wiki.vocab", f"{plain}.vocab", "wiki.vocab.txt", "vocab.txt", "vocabulary.txt"]
    for n, beside in reversed(list(enumerate(names))):
        (tmp_path / beside).write_text("\n".join([*"abc", f"word{n}"]))
        assert read_bag(path, file_format=str(bag_format(name))).vocabulary[3] == f"word{n}"
    (tmp_path / "mine").write_text("p\nq\nr\ns\n")
    assert read_bag(path, file_format=str(bag_format(name)), vocabulary=tmp_path / "mine").vocabulary == [*"pqrs"]


def test_an_error_about_a_missing_vocabulary_lists_the_names(tmp_path: Path) -> None:
    (tmp_path / "a.mm").write_bytes(MM)
    with pytest.raises(CorpusError, match="--vocabulary") as caught:
        read_bag(tmp_path / "a.mm", file_format="mm")
    for name in ("a.vocab", "a.mm.vocab", "a.vocab.txt", "vocab.txt", "vocabulary.txt", "a.mm.id2word"):
        assert repr(name) in str(caught.value)
    with pytest.raises(CorpusError, match=r"cannot read .*gone.*No such file"):
        read_bag(tmp_path / "a.mm", file_format="mm", vocabulary=tmp_path / "gone")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("a\nnew york\né\n=d\n", "utf-8"),
        ("\ufeffa\r\nnew york\r\né\r\n=d", "utf-8"),
        (" a \nnew york\né\t\n=d\n", "utf-8"),
        ("a\nnew york\né\n=d\n", "latin-1"),
        ("a\nnew york\né\n=d\n", "utf-16"),
        ("7\n0\ta\t1\n3\t=d\t1\n2\té\t9\n1\tnew york\t2\n", "utf-8"),
        ("2\té\t9\r\n0\ta\t1\r\n1\tnew york\t2\r\n3\t=d\t1", "utf-8"),
    ],
    ids=["plain", "bom, crlf", "white", "latin-1", "utf-16", "dictionary", "old dictionary"],
)
def test_all_kinds_of_vocabularies_are_read(tmp_path: Path, content: str, encoding: str) -> None:
    (tmp_path / "a.mm").write_bytes(MM)
    (tmp_path / "words").write_bytes(content.encode(encoding))
    read = read_bag(tmp_path / "a.mm", file_format="mm", vocabulary=tmp_path / "words", encoding=encoding)
    assert read.vocabulary == ["a", "new york", "é", "=d"]


def test_numbers_and_tabs_are_words_if_not_a_dictionary(tmp_path: Path) -> None:
    (tmp_path / "a.mm").write_bytes(MM)
    for words in (["7", "8", "9", "10"], ["a\t1", "b\t2", "c", "d"]):
        (tmp_path / "words").write_text("\n".join(words))
        assert read_bag(tmp_path / "a.mm", file_format="mm", vocabulary=tmp_path / "words").vocabulary == words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty, expected one word per line"),
        (b"a\nb\n\nc\n", "line 3 of 'words' is blank"),
        (b"a\nb\nc\nd\n\n", "line 5 of 'words' is blank"),
        (b"a\nb\n \t\nc\n", "line 3 of 'words' is blank"),
        (b"a\nb\nc\na\n", "line 4 of 'words' has 'a' like line 1,"),
        (b"a\nb\nc\n", "has 5 rows and 4 columns, and 'words' 3 words"),
        (b"a\nb\nc\nd\ne\n", "has 5 rows and 4 columns, and 'words' 5 words: it looks transposed"),
        (b"a\n\xff\n", "line 2 of 'words' is not text in 'utf-8'"),
        (pickle.dumps({0: "a"}), "a gensim Dictionary must be saved with save_as_text"),
        (b"a\0b\n", "looks like a binary file"),
        (b"9\n0\ta\t1\nb\n", "line 3 of 'words' has no entry"),
        (b"9\n0\ta\t1\n0\tb\t1\n", "line 3 of 'words' has the id 0 again"),
        (b"9\n0\ta\t1\n1\ta\t1\n", "line 3 of 'words' has 'a' like line 2,"),
        (b"9\n0\ta\t1\n1\t \t1\n", "line 3 of 'words' is blank"),
        (b"9\n0\ta\t1\n2\tb\t1\n", "none with the id 1, expected ids without gaps: call compactify()"),
    ],
)
def test_a_malformed_vocabulary_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words").write_bytes(content)
    Path("a.mm").write_bytes(MM)
    with pytest.raises(CorpusError) as caught:
        read_bag("a.mm", file_format="mm", vocabulary="words")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("encoding", ["klingon", "hex"])
def test_an_unknown_encoding_is_rejected(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.mm").write_bytes(MM)
    (tmp_path / "a.vocab").write_text("a\nb\nc\nd\n")
    with pytest.raises(CorpusError, match=f"unknown encoding '{encoding}'"):
        read_bag(tmp_path / "a.mm", file_format="mm", encoding=encoding)


# ---------------------------------------------------------------- writing


def of_gensim(path: Path) -> list[dict[int, float]]:
    from gensim.corpora import BleiCorpus, MmCorpus

    corpus = BleiCorpus(str(path)) if "ldac" in path.name else MmCorpus(str(path))
    return [dict(document) for document in corpus]


def test_written_files_follow_their_formats(tmp_path: Path) -> None:
    assert write_ldac(tmp_path / "a.ldac", CSR, WORDS) == (tmp_path / "a.ldac", tmp_path / "a.vocab")
    assert write_matrix_market(tmp_path / "b.mm", CSR, WORDS) == (tmp_path / "b.mm", tmp_path / "b.vocab")
    assert (tmp_path / "a.ldac").read_bytes() == LDAC
    assert (tmp_path / "b.mm").read_bytes() == MM.replace(b"integer", b"real")
    for name in ("a.vocab", "b.vocab"):
        assert (tmp_path / name).read_text("utf-8") == "apple\nnew york\nété\n=bit\n"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("ending", ["ldac", "mm"])
def test_other_tools_can_read_our_files(tmp_path: Path, ending: str) -> None:
    write = write_ldac if ending == "ldac" else write_matrix_market
    path, words = write(tmp_path / f"a.{ending}", CSR, WORDS)
    logging.getLogger("gensim").setLevel(logging.ERROR)
    assert of_gensim(path) == [{i: n for i, n in enumerate(row) if n} for row in ROWS.tolist()]
    if ending == "ldac":
        from gensim.corpora import BleiCorpus

        assert BleiCorpus(str(path), str(words)).id2word == dict(enumerate(WORDS))
    else:
        np.testing.assert_array_equal(scipy.io.mmread(path).toarray(), ROWS)


def test_files_written_by_gensim_are_read(tmp_path: Path) -> None:
    from gensim.corpora import BleiCorpus, Dictionary, MmCorpus

    texts = [["new", "york", "new"], [], ["été"] * 1_200_000, ["york"], []]
    dictionary = Dictionary(texts)
    documents = [dictionary.doc2bow(text) for text in texts]
    expected = np.array([[dict(d).get(i, 0) for i in range(3)] for d in documents])
    MmCorpus.serialize(str(tmp_path / "a.mm"), documents, id2word=dictionary)
    dictionary.save_as_text(str(tmp_path / "a.mm.id2word"))
    read = read_bag(tmp_path / "a.mm", file_format="mm")
    assert_canonical(read.counts, expected)
    assert {word: i for i, word in enumerate(read.vocabulary)} == dictionary.token2id
    BleiCorpus.serialize(str(tmp_path / "b.ldac"), documents, id2word=dict(dictionary))
    assert b"1.2e+06" in (tmp_path / "b.ldac").read_bytes()
    assert_canonical(read_bag(tmp_path / "b.ldac", file_format="ldac").counts, expected)
    assert read_bag(tmp_path / "b.ldac", file_format="ldac").vocabulary == read.vocabulary


def test_files_written_by_scipy_are_read(tmp_path: Path) -> None:
    for n, matrix in enumerate((COO, sp.csc_matrix(ROWS), sp.csr_matrix(ROWS, dtype=np.float64))):
        scipy.io.mmwrite(tmp_path / f"{n}.mtx", matrix, symmetry="general")
        (tmp_path / "vocab.txt").write_text("\n".join(WORDS), "utf-8")
        assert_canonical(read_bag(tmp_path / f"{n}.mtx", file_format="mm").counts, ROWS)


@examples(50)
@given(tables, st.integers(1, 9), st.sampled_from(["a.ldac", "a.ldac.gz", "a.mm", "a.mtx.gz"]))
@example(np.zeros((0, 2), dtype=np.int32), 1, "a.ldac")
@example(np.zeros((0, 2), dtype=np.int32), 1, "a.mm")
@example(np.zeros((3, 2), dtype=np.int32), 2, "a.ldac")
def test_written_files_are_read_back_for_any_block_size(rows: Any, block: int, name: str) -> None:
    words = [f"w{i}" for i in range(rows.shape[1])]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(bags, "BLOCK_NONZEROS", block)
        write = write_ldac if "ldac" in name else write_matrix_market
        path, _ = write(Path(folder, name), sp.csr_matrix(rows), words)
        read = read_bag(path, file_format=str(bag_format(path)))
    assert_canonical(read.counts, rows)
    assert read.vocabulary == words
    assert read.ids == [str(n + 1) for n in range(len(rows))]


@pytest.mark.parametrize(
    ("given", "counts", "words"),
    [
        ("x.ldac.gz", "x.ldac.gz", "x.vocab"),
        ("x", "x", "x.vocab"),
        ("news.2020.ldac", "news.2020.ldac", "news.2020.vocab"),
        ("deep/x.ldac", "deep/x.ldac", "deep/x.vocab"),
        (".", "corpus.ldac", "corpus.vocab"),
    ],
)
def test_the_vocabulary_is_written_where_reading_finds_it(tmp_path: Path, given: str, counts: str, words: str) -> None:
    assert write_ldac(tmp_path / given, CSR, WORDS) == (tmp_path / counts, tmp_path / words)
    read = read_bag(tmp_path / counts, file_format="ldac")
    assert_canonical(read.counts, ROWS)
    assert read.vocabulary == WORDS


@pytest.mark.parametrize("write", [write_ldac, write_matrix_market])
@pytest.mark.parametrize("there", ["a.out", "a.vocab"])
def test_existing_files_are_replaced_only_on_request(tmp_path: Path, write: Any, there: str) -> None:
    (tmp_path / there).write_text("old")
    with pytest.raises(OutputError, match="--overwrite"):
        write(tmp_path / "a.out", CSR, WORDS)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(there, "old")]
    write(tmp_path / "a.out", CSR, WORDS, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.out", "a.vocab"]
    assert (tmp_path / there).read_text() != "old"


@pytest.mark.parametrize("write", [write_ldac, write_matrix_market])
def test_a_failed_write_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bags, "row_blocks", full)
    with pytest.raises(OutputError, match="free some space"):
        write(tmp_path / "deep" / "a.out", CSR, WORDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_ldac, write_matrix_market])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "b", "c"], "3 words given for 4 columns"),
        *[
            (["a", "b", "c", word], "cannot be written on one line")
            for word in ("", " d", "d\r", "d\ne", "\ufeffd", "\0", "\ud800")
        ],
        (["a", "b", "c", "b"], "'b' occurs twice"),
    ],
)
def test_words_that_cannot_be_read_back_are_rejected(tmp_path: Path, write: Any, words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        write(tmp_path / "a.out", CSR, words)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_file_named_like_the_vocabulary_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is the name of the vocabulary"):
        write_ldac(tmp_path / "a.vocab", CSR, WORDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_ldac, write_matrix_market])
def test_mapped_counts_are_written_block_by_block(tmp_path: Path, write: Any) -> None:
    n_docs, n_words = 40_000, 60
    data, indices = np.ones(n_docs * 30, dtype=np.int32), np.tile(np.arange(0, 60, 2, dtype=np.int32), n_docs)
    for name, array in (("data", data), ("indices", indices), ("indptr", np.arange(0, 30 * n_docs + 1, 30))):
        np.save(tmp_path / f"{name}.npy", array)
    parts = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
    counts = sp.csr_matrix(tuple(parts), shape=(n_docs, n_words), copy=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bags, "BLOCK_NONZEROS", 20_000)
        tracemalloc.start()
        path, _ = write(tmp_path / "a.out", counts, [f"w{i}" for i in range(n_words)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < data.nbytes / 2
    read = read_bag(path, file_format="ldac" if write is write_ldac else "mm")
    np.testing.assert_array_equal(read.counts.indices, indices)
    np.testing.assert_array_equal(read.counts.data, data)


# ---------------------------------------------------------------- real corpora


@pytest.mark.data
def test_the_20_newsgroups_counts_of_the_etm_paper_are_read(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "20ng_etm_bow"
    read = read_bag(folder / "tr.npz", file_format="npz")
    assert read.counts.shape == (11_214, 3_072)
    assert read.name == "tr"
    assert read.vocabulary == (folder / "vocab.txt").read_text("utf-8").split()
    assert read.counts.sum(1).min() > 0
    assert (read.counts != sp.load_npz(folder / "tr.npz")).nnz == 0
    for write, name in ((write_ldac, "tr.ldac"), (write_matrix_market, "tr.mm")):
        path, _ = write(tmp_path / name, read.counts, read.vocabulary, overwrite=True)
        again = read_bag(path, file_format=str(bag_format(path)))
        assert (again.counts != read.counts).nnz == 0
        assert again.vocabulary == read.vocabulary
    np.testing.assert_array_equal(scipy.io.mmread(tmp_path / "tr.mm").tocsr().indices, read.counts.indices)


def arrays(**parts: Any) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **parts)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mm", HEAD + b"1000000000000 4 1\n1 1 1\n"),
        ("b.mm", HEAD + b"2000000000 4 1\n1 1 1\n"),
        ("c.mm", HEAD + b"2000000000 4 2000000000\n1 1 1\n"),
        ("a.npz", arrays(format=b"coo", shape=[10**12, 4], data=[1], row=[0], col=[0])),
        ("b.npz", arrays(format=b"coo", shape=[2 * 10**9, 4], data=[1], row=[0], col=[0])),
        ("c.npz", arrays(format=[b"csr"] * 10_000, shape=[2, 4], data=[1], indices=[0], indptr=[0, 1, 1])),
        ("a.ldac", b"1000000000000 0:1\n"),
    ],
)
def test_a_header_with_billions_of_rows_is_rejected_before_allocation(
    tmp_path: Path, name: str, content: bytes
) -> None:
    tracemalloc.start()
    try:
        refusal(tmp_path, name, content)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_many_empty_documents_are_read(tmp_path: Path) -> None:
    assert bag(tmp_path, "a.mm", HEAD + b"30000 4 1\n7 1 1\n").counts.shape == (30_000, 4)


def test_an_error_about_too_many_npz_rows_states_the_limit(tmp_path: Path) -> None:
    said = refusal(tmp_path, "a.npz", saved(CSR, shape=np.array([10**15, 4])))
    assert "up to 2,147,483,647 rows and columns" in said
