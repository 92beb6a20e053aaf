"""Tests of folders, archives, patterns and several sources, read as one corpus."""

from __future__ import annotations

import gc
import glob
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.support.readers import notices, numbers, read, refusal, write
from topicnet.errors import CorpusError
from topicnet.text.readers.documents import Documents, SkippedRows
from topicnet.text.readers.folders import named_sources, split_ending
from topicnet.text.readers.read import read_documents, source_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Posts.CSV.gz", ("Posts", "csv")),
        ("a.b.ndjson.zst", ("a.b", "jsonl")),
        ("a.parquet", ("a", "parquet")),
        ("a.parquet.gz", ("a.parquet.gz", "")),
        ("a.csv.bz2", ("a", "csv")),
        ("a.JSON.xz", ("a", "jsonl")),
        ("a.csv.lz4", ("a.csv.lz4", "")),
        ("gz", ("gz", "")),
    ],
)
def test_the_extension_gives_the_format(name, parts):
    assert split_ending(name) == parts


def test_the_folder_of_a_text_is_metadata_if_there_are_sub_folders(tmp_path):
    write(tmp_path / "a.txt", "one")
    (tmp_path / "x" / "y").mkdir(parents=True)
    assert read(tmp_path).metadata == [{}]
    write(tmp_path / "x" / "y" / "b.txt.gz", "two")
    assert [row["folder"] for row in read(tmp_path).metadata] == ["", "x/y"]
    assert read(tmp_path / "x").metadata == [{"folder": "y"}]


def test_tables_of_a_folder_are_read_in_path_order(tmp_path):
    write(tmp_path / "b.jsonl", '{"text": "two", "year": 1999}')
    write(tmp_path / "a.csv.gz", "text;n\none;1\n")
    (tmp_path / "c=1").mkdir()
    pl.DataFrame({"text": ["three"]}).write_parquet(tmp_path / "c=1" / "0.parquet")
    write(tmp_path / "README.md", "no")
    docs = read(tmp_path)
    assert docs == Documents(numbers(3), ["one", "two", "three"], [{"n": "1"}, {"year": 1999}, {}])


def test_a_folder_of_texts_and_tables_is_rejected(tmp_path):
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "b.csv", "text\ntwo\nthree\n")
    message = refusal(tmp_path)
    assert "holds 1 .txt file(s), such as a.txt, and 1 table(s), such as b.csv, expected one kind" in message
    assert f"'{tmp_path}/*.csv'" in message
    assert read(tmp_path, file_format="txt") == Documents(["a.txt"], ["one"], [{}])
    assert read(f"{tmp_path}/*.csv").texts == read(tmp_path, file_format="csv").texts == ["two", "three"]
    assert f"no jsonl files in {tmp_path}" in refusal(tmp_path, file_format="jsonl")


def test_an_error_about_an_empty_folder_lists_the_formats(tmp_path):
    message = refusal(tmp_path)
    assert f"no .txt or .txt.gz files in {tmp_path}, expected one per document; no tables (.csv, " in message


def test_a_file_with_bad_bytes_in_a_folder_can_be_skipped(tmp_path):
    for name, content in {"a.txt": b"one", "b.txt": b"caf\xe9", "c.txt": b"\0"}.items():
        write(tmp_path / name, content)
    skipped = SkippedRows()
    assert read(tmp_path, skipped=skipped) == Documents(["a.txt"], ["one"], [{}])
    assert skipped.listed == [
        f"{tmp_path / 'b.txt'}: the byte 0xe9, expected text in 'utf-8'",
        f"{tmp_path / 'c.txt'}: a NUL byte",
    ]


def test_several_sources_are_numbered_consecutively(tmp_path):
    texts = write(tmp_path / "b.txt", "one\ntwo\n")
    rows = write(tmp_path / "a.jsonl", '{"text": "three"}\n{"text": "four", "id": "x"}\n')
    docs = read([str(texts), rows, texts])
    assert docs.texts == ["one", "two", "three", "four", "one", "two"]
    assert docs.ids == ["1", "2", "3", "x", "5", "6"]
    assert [b.ids for b in read_documents([texts, rows], batch_docs=3)] == [["1", "2", "3"], ["x"]]


def test_files_of_a_pattern_are_read_in_sorted_order(tmp_path, monkeypatch):
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "folder.txt").mkdir()
    for name in ("b.txt", "a.txt", "x/c.txt", "x/y/d.txt", "e.csv"):
        write(tmp_path / name, f"text of\n{name}\n")
    assert read(f"{tmp_path}/*.txt").ids == ["a.txt", "b.txt"]
    assert read(f"{tmp_path}/*.txt", unit="line").texts[1::2] == ["a.txt", "b.txt"]
    assert read(tmp_path / "**" / "*.txt").ids == ["a.txt", "b.txt", "x/c.txt", "x/y/d.txt"]
    assert read([f"{tmp_path}/[b].txt", f"{tmp_path}/?.txt"]).ids == ["b.txt", "a.txt", "b.txt"]
    monkeypatch.chdir(tmp_path)
    assert read("*.txt", unit="line").ids == numbers(4)
    assert read("*.txt") == Documents(["a.txt", "b.txt"], ["text of\na.txt\n", "text of\nb.txt\n"], [{}, {}])


def test_the_name_of_an_existing_file_is_not_a_pattern(tmp_path):
    write(tmp_path / "a[1]*.txt", "itself")
    write(tmp_path / "a1.txt", "another")
    assert read(tmp_path / "a[1]*.txt").texts == ["itself"]
    assert read(tmp_path / "a[1].txt").texts == ["another"]


def test_a_missing_source_is_rejected_immediately(tmp_path):
    with pytest.raises(CorpusError, match=r"no file matches .*none\*\.csv, expected at least one"):
        read_documents(f"{tmp_path}/none*.csv")
    with pytest.raises(CorpusError, match="no source was given"):
        read_documents([])
    with pytest.raises(CorpusError, match="no such file or folder"):
        read_documents([write(tmp_path / "a.txt", ""), tmp_path / "b.txt"])
    write(tmp_path / "a.md", "")
    with pytest.raises(CorpusError, match="unknown format of"):
        read_documents(f"{tmp_path}/*")
    assert "no file matches a\\x00*" in refusal("a\0*")


def test_a_pattern_in_an_unreadable_folder_is_rejected(tmp_path, monkeypatch):
    def denied(_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os.path, "isfile", denied)
    write(tmp_path / "a.txt", "")
    assert f"cannot read {tmp_path}/*.txt: Permission denied" in refusal(f"{tmp_path}/*.txt")


# --- files that are skipped, joined or rejected ---


def test_hidden_and_system_files_are_skipped(tmp_path):
    for name in (
        "a.txt",
        "._a.txt",
        ".DS_Store",
        "Thumbs.db",
        "__MACOSX/._a.txt",
        ".git/b.txt",
        "~$c.csv",
        "info.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, b"\0 binary" if name != "a.txt" else b"one")
    assert read(tmp_path).ids == ["a.txt"]
    passed_over, records = notices(tmp_path)
    assert passed_over == f"skipped 4 hidden files in {tmp_path}, such as ._a.txt"
    assert records == f"skipped 1 file in {tmp_path}, such as info.json: name them to read them"


def test_json_files_are_read_if_there_are_no_others(tmp_path):
    write(tmp_path / "a.json", '{"text": "one"}\n')
    assert read(tmp_path).texts == read(tmp_path / "a.json").texts == ["one"]


METADATA = {
    "metadata.csv": "file,year,place\na.txt,1999,Rome\nx/b.txt,2000,Oslo\n",
    "index.tsv": "year\tdoc_id\tplace\n2000\tb\tOslo\n1999\ta\tRome\n",
    "meta.csv": "place;year;Dokument\nRome;1999;a\nOslo;2000;x/b\n",
}


@pytest.mark.parametrize("name", METADATA)
def test_a_table_of_file_names_adds_columns_to_the_texts(tmp_path, name):
    (tmp_path / "x").mkdir()
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "x" / "b.txt", "two")
    write(tmp_path / name, METADATA[name])
    docs = read(tmp_path)
    assert (docs.ids, docs.texts) == (["a.txt", "x/b.txt"], ["one", "two"])
    assert docs.metadata == [
        {"folder": "", "year": "1999", "place": "Rome"},
        {"folder": "x", "year": "2000", "place": "Oslo"},
    ]
    assert len(notices(tmp_path)) == 1


def test_rows_without_a_file_and_files_without_a_row_are_logged(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tmp_path / name, name)
    table = write(tmp_path / "metadata.csv", "filename,year\nb.txt,1999\nz.txt,1\ny.txt,2\n")
    assert read(tmp_path).metadata == [{"year": None}, {"year": "1999"}, {"year": None}]
    assert notices(tmp_path)[1:] == [
        f"2 row(s) of {table} do not name a text file, such as 'z.txt': skipped",
        f"2 text file(s) have no row in {table}, such as a.txt: their columns are left blank",
    ]
    write(table, "filename,year\nq,1999\n")
    assert f"{table} names none of the 3 text files, expected a column of file names" in refusal(tmp_path)
    write(table, "filename,year\na.txt,1999\nb.txt,1,2\n")
    assert f"row 3 of {table} has 3 field(s), expected 2 as in the header" in refusal(tmp_path)


def test_contradictory_rows_for_a_file_are_logged(tmp_path):
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "b.txt", "two")
    table = write(tmp_path / "metadata.csv", "file,year\na.txt,1999\nb.txt,2000\nb.txt,2000\n")
    assert len(notices(tmp_path)) == 1
    write(table, "file,year\na.txt,1999\nb.txt,2000\na,2001\n")
    assert read(tmp_path).metadata == [{"year": "1999"}, {"year": "2000"}]
    assert notices(tmp_path)[0] == (
        f"{table} names 1 text file(s) more than once with different values, such as a.txt: the first row is used; keep"
        " one row per file"
    )


def test_files_without_an_extension_are_read_as_text_or_rejected(tmp_path):
    (tmp_path / "alt.atheism").mkdir()
    write(tmp_path / "alt.atheism" / "49960", "one\n\ntwo")
    write(tmp_path / "alt.atheism" / "51060.7", "no")
    assert read(tmp_path).ids == ["alt.atheism/49960"]
    assert "have no extension, such as alt.atheism/49960: read as text" in notices(tmp_path)[0]
    path = write(tmp_path / "notes", "one\ntwo\n")
    assert read(path).texts == ["one", "two"]
    assert notices(path) == [f"{path} has no extension: read as text; for another format give --format"]
    message = refusal(write(path, b"\x7fELF\0\1"))
    assert message.startswith(f"{path} has no extension and is not text")
    assert message.endswith("name its format with --format")


def test_files_given_as_text_are_a_document_each_whatever_their_names(tmp_path):
    for name in ("51121", "51122", "notes.md"):
        write(tmp_path / name, f"first line of {name}\nsecond line")
    one_each = read(str(tmp_path / "5*"), file_format="txt")
    assert one_each.ids == ["51121", "51122"]
    listed = [tmp_path / "51121", tmp_path / "notes.md"]
    assert read(listed, file_format="txt").ids == ["51121", "notes.md"]
    assert len(read(listed, file_format="txt", unit="line").texts) == 4
    assert len(read(tmp_path / "51121", file_format="txt").texts) == 2  # a single file keeps its lines


# --- archives ---


@pytest.fixture
def closes_archives() -> Iterator[None]:
    """Fail a test that leaves an archive open until it is collected."""
    yield
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert not left_open


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_an_archive_is_read_like_its_folder(tmp_path):
    files = {"a.txt": "one", "x/b.txt": "two", "metadata.csv": "file,year\na,1999\nb,2000\n"}
    folder = tmp_path / "posts"
    (folder / "x").mkdir(parents=True)
    for name, content in files.items():
        write(folder / name, content)
    plain = zipped(tmp_path / "plain.zip", files | {"__MACOSX/._a.txt": "\0", ".DS_Store": "\0"})
    nested = zipped(tmp_path / "nested.ZIP", {f"posts/{name}": content for name, content in files.items()})
    assert read(plain) == read(nested) == read(folder)
    assert read(nested, unit="line").metadata == read(folder, unit="line").metadata
    assert source_name(plain) == "plain"


@pytest.mark.usefixtures("closes_archives")
def test_tables_in_an_archive_are_one_corpus(tmp_path):
    members = {"b.jsonl": '{"text": "two"}\n', "a.csv": "text,n\none,1\n", "../../up.csv": "text\nup\n"}
    assert read(zipped(tmp_path / "a.zip", members)).texts == ["one", "two"]
    assert not (tmp_path.parent.parent / "up.csv").exists()
    assert "cannot be read within .zip" in refusal(zipped(tmp_path / "b.zip", {"a.parquet": "PAR1"}))


@pytest.mark.usefixtures("closes_archives")
def test_damaged_and_encrypted_archives_are_rejected(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.txt": "one two three " * 50, "b.txt": "four"})
    sound = path.read_bytes()
    path.write_bytes(sound[:-30])
    assert f"{path} is a damaged or truncated zip file" in refusal(path)
    path.write_bytes(sound[:40] + b"\xff" * 5 + sound[45:])
    assert f"{path}/a.txt is a damaged or truncated zip file" in refusal(path)
    locked = bytearray(sound)
    place = sound.index(b"PK\x01\x02")
    locked[place + 8] |= 1
    path.write_bytes(bytes(locked))
    assert f"{path} is locked with a password (a.txt)" in refusal(path)


@pytest.mark.usefixtures("closes_archives")
def test_an_archive_with_a_huge_document_is_rejected(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.txt": "x" * 3_000_000})
    assert path.stat().st_size < 10_000
    assert f"{path}/a.txt has more than 1,000,000 characters" in refusal(path, max_document_size=1_000_000)


# --- pipes, loops, depths ---


def test_pipes_and_devices_are_rejected_without_opening_them(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    for source in (tmp_path / "a.txt", tmp_path, [tmp_path / "a.txt"]):
        assert f"{tmp_path / 'a.txt'} is a named pipe, expected a file" in refusal(source)
    assert "/dev/zero is a device, expected a file" in refusal("/dev/zero")


def test_shell_pipes_are_read(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\n")
    os.close(writer)
    assert read(f"/dev/fd/{reader}").texts == ["one", "two"]
    os.close(reader)


def test_linked_folders_are_not_entered(tmp_path):
    write(tmp_path / "a.txt", "one")
    for number in range(6):
        os.symlink(tmp_path, tmp_path / f"loop{number}")
    assert read(tmp_path).ids == read(f"{tmp_path}/**/*.txt").ids == ["a.txt"]
    assert f"{tmp_path} has linked folders, which are not entered, such as loop0" in notices(tmp_path)


def test_a_deep_folder_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("a.txt").write_text("deep")
    here = os.getcwd()
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path).texts == read(f"{tmp_path}/**/*.txt").texts == ["deep"]
    os.chdir(here)
    os.unlink("a.txt")
    for _ in range(1200):  # too deep for pytest to delete
        os.chdir("..")
        os.rmdir("d")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**", ["a.txt", "x/b.txt", "x/y/b.txt", "x/y/c.md"]),
        ("**/b.txt", ["x/b.txt", "x/y/b.txt"]),
        ("x/**/y/*", ["x/y/b.txt", "x/y/c.md"]),
        ("*/**/[bc].*", ["x/b.txt", "x/y/b.txt", "x/y/c.md"]),
        ("**/.h/*", [".h/d.txt"]),
    ],
)
def test_recursive_patterns_match_sub_folders(tmp_path, pattern, names):
    for name in ("a.txt", "x/b.txt", "x/y/b.txt", "x/y/c.md", ".h/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, name)
    found = named_sources(f"{tmp_path}/{pattern}")
    assert [Path(one).relative_to(tmp_path).as_posix() for one in found] == names
    assert names == sorted(p for p in glob.glob(pattern, root_dir=tmp_path, recursive=True) if (tmp_path / p).is_file())


@pytest.mark.parametrize("address", ["https://example.org/a.csv", "http://x.y/?q=*", "www.x.org/a", "s3://b/k"])
def test_nothing_is_downloaded(address):
    assert "is a web address, expected a file: nothing is downloaded. Fetch the file and name it" in refusal(address)


@pytest.mark.parametrize("column", ["answer", "Full text", "Q1"])
def test_a_column_name_given_as_a_file_gets_a_hint(tmp_path, column):
    table = write(tmp_path / "survey.csv", "answer\none\n")
    assert f"give --text-column '{column}'" in refusal([table, column])
    assert "Check the path" in refusal([table, "other.csv"])
