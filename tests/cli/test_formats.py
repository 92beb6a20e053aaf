"""Every format gives the same corpus and columns; broken files are refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import zstandard
from scipy.sparse import csr_matrix, save_npz

from tests.support.command_line import QUICK, Warm, assert_refused, snapshot
from tests.support.corpora import THEMES, themed_documents
from tests.support.workbooks import write_xlsx

TEXTS = themed_documents(40)
ROWS: list[dict[str, Any]] = [
    {
        "id": f"d{n}",
        "text": text,
        "theme": list(THEMES)[n % 4],
        "year": 2000 + n,
        "note": "=1+1" if n % 3 else 'a;b,"c"',
    }
    for n, text in enumerate(TEXTS)
]
ARRAYS = ("data", "indices", "indptr", "tokens")
FAST = ("-k", "3", "--epochs", "1", "--init", "random", "--quiet")


def lines(rows: list[Any]) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same forty documents in many formats; tests must not change it."""
    folder = tmp_path_factory.mktemp("shapes")
    table = pl.DataFrame(ROWS)
    table.write_csv(folder / "comma.csv")
    table.write_csv(folder / "semicolon.csv", separator=";")
    table.write_csv(folder / "tab.tsv", separator="\t")
    (folder / "crlf.csv").write_bytes(b"\xef\xbb\xbf" + table.write_csv(line_terminator="\r\n").encode())
    (folder / "packed.csv.gz").write_bytes(gzip.compress(table.write_csv().encode()))
    (folder / "lines.jsonl").write_text(lines(ROWS))
    (folder / "packed.jsonl.zst").write_bytes(zstandard.compress(lines(ROWS).encode()))
    table.write_parquet(folder / "table.parquet")
    write_xlsx(folder / "book.xlsx", [list(ROWS[0]), *(list(row.values()) for row in ROWS)])
    (folder / "parts").mkdir()
    for n in range(4):
        table.slice(10 * n, 10).write_csv(folder / "parts" / f"part{n}.csv")
    (folder / "names.mallet").write_text("".join(f"{row['id']} {row['theme']} {row['text']}\n" for row in ROWS))
    for row in ROWS:
        (folder / "tree" / row["theme"]).mkdir(parents=True, exist_ok=True)
        (folder / "tree" / row["theme"] / f"{row['id']}.txt").write_text(row["text"])
    (folder / "octis").mkdir()
    words = sorted(set(" ".join(TEXTS).split()), reverse=True)
    (folder / "octis" / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    corpus = "".join(f"{row['text']}\ttrain\t{row['theme']}\n" for row in ROWS)
    (folder / "octis" / "corpus.tsv").write_text(corpus)
    return folder


@pytest.fixture(scope="module")
def counted(warm: Warm, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the counts that all formats must give."""
    folder = tmp_path_factory.mktemp("counted")
    done = warm("prepare", shapes / "comma.csv", "--out", "counts", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("40 documents, 48 words, 800 tokens")
    return folder / "counts"


def assert_same_counts(found: Path, expected: Path) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(np.load(found / f"{name}.npy"), np.load(expected / f"{name}.npy"))
    assert (found / "vocabulary.txt").read_bytes() == (expected / "vocabulary.txt").read_bytes()


def documents(counts: Path) -> pl.DataFrame:
    return pl.read_parquet(counts / "documents.parquet")


SOURCES = {
    "semicolons": ["semicolon.csv"],
    "tabs": ["tab.tsv"],
    "a BOM and CRLF": ["crlf.csv"],
    "gzip": ["packed.csv.gz"],
    "JSON lines": ["lines.jsonl"],
    "Zstandard": ["packed.jsonl.zst"],
    "Parquet": ["table.parquet"],
    "Excel": ["book.xlsx"],
    "a pattern": ["parts/*.csv"],
    "a folder of tables": ["parts"],
    "several files": [f"parts/part{n}.csv" for n in range(4)],
    "files of several kinds": ["parts/part[01].csv", "parts/part2.csv", "parts/part3.csv"],
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_gives_the_same_counts_and_columns(
    name: str, warm: Warm, shapes: Path, counted: Path, tmp_path: Path
) -> None:
    before = snapshot(shapes)
    done = warm("prepare", *SOURCES[name], "--out", tmp_path / "counts", cwd=shapes)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert_same_counts(tmp_path / "counts", counted)
    found, expected = documents(tmp_path / "counts"), documents(counted)
    assert found.columns == expected.columns == ["doc_id", "status", "n_tokens", "theme", "year", "note"]
    for column in ("doc_id", "status", "n_tokens", "theme", "note"):
        assert found[column].to_list() == expected[column].to_list()
    assert found["year"].cast(pl.Float64).to_list() == list(range(2000, 2040))
    assert snapshot(shapes) == before


def test_standard_input_is_read_in_the_format_named(warm: Warm, shapes: Path, counted: Path, tmp_path: Path) -> None:
    given = (shapes / "comma.csv").read_bytes()
    done = warm("prepare", "-", "--format", "csv", "--out", "counts", cwd=tmp_path, stdin=given)
    assert done.returncode == 0, done.stderr
    assert_same_counts(tmp_path / "counts", counted)
    assert json.loads((tmp_path / "counts" / "counts.json").read_text())["source"]["name"] == "stdin"
    plain = warm("prepare", "-", "--out", "plain", cwd=tmp_path, stdin="\n".join(TEXTS))
    assert plain.returncode == 0, plain.stderr
    assert_same_counts(tmp_path / "plain", counted)


def test_mallet_lines_have_a_name_and_a_label(warm: Warm, shapes: Path, counted: Path, tmp_path: Path) -> None:
    done = warm("prepare", shapes / "names.mallet", "--out", "counts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_counts(tmp_path / "counts", counted)
    assert documents(tmp_path / "counts")["doc_id"].to_list() == [row["id"] for row in ROWS]
    assert documents(tmp_path / "counts")["label"].to_list() == [row["theme"] for row in ROWS]


def test_an_octis_folder_has_its_own_vocabulary(warm: Warm, shapes: Path, counted: Path, tmp_path: Path) -> None:
    done = warm("prepare", shapes / "octis", "--out", "counts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_counts(tmp_path / "counts", counted)
    assert documents(tmp_path / "counts").columns[3:] == ["split", "label"]
    fitted = warm("fit", shapes / "octis", *FAST, "--label-column", "label", "--out", "run", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    table = pl.read_csv(tmp_path / "run" / "doc_topic.csv")
    assert table["doc_id"].to_list() == list(range(1, 41))
    assert table["label"].to_list() == [row["theme"] for row in ROWS]


def test_texts_in_subfolders_have_a_column_with_their_folder(warm: Warm, shapes: Path, tmp_path: Path) -> None:
    done = warm("fit", shapes / "tree", *FAST, "--label-column", "folder", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pl.read_csv(tmp_path / "run" / "doc_topic.csv")
    expected = sorted(f"{row['theme']}/{row['id']}.txt" for row in ROWS)
    assert table["doc_id"].to_list() == expected
    assert table["folder"].to_list() == [name.partition("/")[0] for name in expected]
    again = warm("transform", "run", shapes / "tree", "--label-column", "folder", "--out", "t.csv", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "run" / "doc_topic.csv").read_bytes()


# ---------------------------------------------------------------- counts of other tools


@pytest.mark.parametrize("name", ["bag.ldac", "bag.mm.gz", "bag.npz"])
def test_counts_of_other_tools_give_the_same_model(name: str, warm: Warm, counted: Path, tmp_path: Path) -> None:
    if name == "bag.npz":
        parts = tuple(np.load(counted / f"{part}.npy") for part in ("data", "indices", "indptr"))
        save_npz(tmp_path / name, csr_matrix(parts, shape=(40, 48)))
        (tmp_path / "bag.vocab").write_bytes((counted / "vocabulary.txt").read_bytes())
    else:
        done = warm("export", counted, "--counts", name, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {name}\nwrote bag.vocab\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "bag.vocab"])
    ours, theirs = (
        warm("fit", source, *FAST, "--out", out, cwd=tmp_path) for source, out in ((counted, "ours"), (name, "theirs"))
    )
    assert (ours.returncode, theirs.returncode) == (0, 0), theirs.stderr
    for file in ("model/model.safetensors", "topic_word.csv"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes()
    one, other = (pl.read_csv(tmp_path / run / "doc_topic.csv", infer_schema=False) for run in ("ours", "theirs"))
    assert one.drop("doc_id").equals(other.drop("doc_id"))
    assert other["doc_id"].to_list() == [str(n) for n in range(1, 41)]


def test_the_vocabulary_can_be_in_another_folder_than_the_counts(warm: Warm, counted: Path, tmp_path: Path) -> None:
    assert warm("export", counted, "--counts", "bag.dat", "--format", "ldac", cwd=tmp_path).returncode == 0
    (tmp_path / "bag.vocab").rename(tmp_path / "words.lst")
    before = snapshot(tmp_path)
    prepare = ("prepare", "bag.dat", "--format", "ldac", "--out", "counts")
    assert_refused(warm(*prepare, cwd=tmp_path), "no vocabulary next to 'bag.dat'", "--vocabulary")
    assert_refused(warm("prepare", "bag.dat", "--out", "counts", cwd=tmp_path), "--format")
    assert snapshot(tmp_path) == before
    done = warm(*prepare, "--vocabulary", "words.lst", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(np.load(tmp_path / "counts" / f"{name}.npy"), np.load(counted / f"{name}.npy"))


@pytest.mark.data
def test_the_real_corpora_of_other_tools_are_read(warm: Warm, shared_data: Path, tmp_path: Path) -> None:
    done = warm("prepare", shared_data / "m10", "--out", "m10", cwd=tmp_path)
    assert "8,355 documents, 1,696 words, 49,385 tokens" in done.stderr
    assert documents(tmp_path / "m10")["label"].n_unique() == 10
    done = warm("prepare", shared_data / "20ng_etm_bow" / "tr.npz", "--out", "news", cwd=tmp_path)
    assert done.stderr.startswith("11,214 documents, 3,072 words, 919,850 tokens")


# ---------------------------------------------------------------- columns


def test_columns_follow_the_topics_in_doc_topic(warm: Warm, shapes: Path, tmp_path: Path) -> None:
    keep = ("--label-column", "theme", "--time-column", "year", "--keep-columns", "note, theme")
    for number, source in enumerate(("comma.csv", "table.parquet", "packed.jsonl.zst")):
        done = warm("fit", shapes / source, *FAST, *keep, "--out", f"run{number}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    content = (tmp_path / "run0" / "doc_topic.csv").read_bytes()
    for number in (1, 2):
        assert (tmp_path / f"run{number}" / "doc_topic.csv").read_bytes() == content
    header, first, second = content.decode().splitlines()[:3]
    assert header == "doc_id,status,top_topic,topic_0,topic_1,topic_2,theme,year,note"
    assert first.endswith(',sport,2000,"a;b,""c"""')
    assert second.endswith(",kitchen,2001,'=1+1")  # safe to open in a spreadsheet
    done = warm("transform", "run0", shapes / "semicolon.csv", *keep, "--out", "t.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t.csv").read_bytes() == content
    done = warm("transform", "run0", shapes / "comma.csv", "--keep-columns", "no", "--out", "u.csv", cwd=tmp_path)
    assert_refused(done, "no column 'no' to keep: the documents have: theme, year, note; name one of them")


def test_a_column_named_like_a_column_of_the_table_is_renamed(warm: Warm, tmp_path: Path) -> None:
    table = pl.DataFrame(ROWS).with_columns(status=pl.lit("mine"), topic_0=pl.lit(7), top_topic=pl.lit("x"))
    table.write_parquet(tmp_path / "corpus.parquet")
    keep = ("--keep-columns", "status,topic_0,top_topic")
    done = warm("fit", "corpus.parquet", *FAST, *keep, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = pl.read_csv(tmp_path / "run" / "doc_topic.csv")
    assert found.columns[-3:] == ["status_", "topic_0_", "top_topic_"]
    assert found["status"].unique().to_list() == ["ok"]
    assert found["status_"].unique().to_list() == ["mine"]
    assert warm("topics", "run", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("option", ["--label-column", "--time-column", "--keep-columns"])
def test_a_missing_column_is_refused(option: str, warm: Warm, shapes: Path, tmp_path: Path) -> None:
    done = warm("fit", shapes / "comma.csv", *FAST, option, "topic", "--out", "run", cwd=tmp_path)
    assert_refused(done, "'topic'", "theme, year, note")
    assert list(tmp_path.iterdir()) == []


def test_columns_of_text_and_ids_can_be_named(warm: Warm, counted: Path, tmp_path: Path) -> None:
    pl.DataFrame(ROWS).rename({"text": "body", "id": "key"}).write_csv(tmp_path / "other.csv", separator=";")
    columns = ("--text-column", "body", "--id-column", "key")
    done = warm("prepare", "other.csv", *columns, "--out", "counts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_counts(tmp_path / "counts", counted)
    assert documents(tmp_path / "counts")["doc_id"].to_list() == [row["id"] for row in ROWS]
    bare = "".join(f"{row['id']};{row['text']}\n" for row in ROWS)
    (tmp_path / "bare.csv").write_text(bare)
    done = warm("prepare", "bare.csv", "--text-column", "2", "--id-column", "1", "--out", "bare", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_counts(tmp_path / "bare", counted)


# ---------------------------------------------------------------- bad rows, repeated ids


def test_bad_rows_are_refused_or_skipped_and_listed(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(lines([*ROWS[:7], "no json", *ROWS[7:], {"text": {}}]))
    before = snapshot(tmp_path)
    for command in (("fit", "bad.jsonl", *FAST), ("prepare", "bad.jsonl")):
        assert_refused(warm(*command, "--out", "out", cwd=tmp_path), "line 8 of bad.jsonl")
    assert snapshot(tmp_path) == before
    done = warm("fit", "bad.jsonl", *FAST[:-1], "--skip-bad-rows", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notices = [line for line in done.stderr.splitlines() if line.startswith("left out 2 rows")]
    assert len(notices) == 1
    assert "line 8 of bad.jsonl" in notices[0]
    assert "line 42 of bad.jsonl" in notices[0]
    table = (tmp_path / "run" / "doc_topic.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in table[1:]] == [row["id"] for row in ROWS]
    skipped = json.loads((tmp_path / "run" / "corpus" / "counts.json").read_text())["source"]["skipped"]
    assert skipped["rows"] == 2
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["skipped"] == skipped
    new = ("transform", "run", "bad.jsonl", "--out", "t.csv")
    assert_refused(warm(*new, cwd=tmp_path), "line 8 of bad.jsonl")
    done = warm(*new, "--skip-bad-rows", cwd=tmp_path)
    assert "left out 2 rows" in done.stderr
    assert (tmp_path / "t.csv").read_text().splitlines() == table


def test_skipped_rows_are_recorded_in_a_run_without_its_corpus(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(lines([*ROWS, "no json"]))
    prepare = ("prepare", "bad.jsonl", "--skip-bad-rows", "--quiet", "--out", "counts")
    assert warm(*prepare, cwd=tmp_path).returncode == 0
    done = warm("fit", "counts", *FAST, "--no-keep-corpus", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    skipped = json.loads((tmp_path / "run" / "run.json").read_text())["data"]["skipped"]
    assert skipped["rows"] == 1
    assert "line 41 of bad.jsonl" in skipped["listed"][0]


def test_quiet_suppresses_the_notice_of_skipped_rows(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(lines([*ROWS, "no json"]))
    done = warm("prepare", "bad.jsonl", "--skip-bad-rows", "--quiet", "--out", "counts", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "counts" / "counts.json").read_text())["source"]["skipped"]["rows"] == 1


def test_repeated_ids_are_reported_and_every_document_has_its_row(warm: Warm, tmp_path: Path) -> None:
    rows = [row | {"id": f"d{n // 2}"} for n, row in enumerate(ROWS)]
    (tmp_path / "twice.jsonl").write_text(lines(rows))
    done = warm("fit", "twice.jsonl", *QUICK, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20 documents share an id with another document (e.g. 'd0'); all are kept, in input order" in done.stderr
    table = pl.read_csv(tmp_path / "run" / "doc_topic.csv")
    assert table["doc_id"].to_list() == [row["id"] for row in rows]


# ---------------------------------------------------------------- refusals

REFUSED: dict[str, tuple[list[str], str]] = {
    "no file matches": (["none*.csv"], "no file matches none*.csv"),
    "one of several is missing": (["comma.csv", "none.csv"], "none.csv"),
    "a run of the wrong format": (["comma.csv", "--format", "rtf"], "'rtf'"),
    "csv called Parquet": (["comma.csv", "--format", "parquet"], "not a readable Parquet"),
    "csv called Excel": (["comma.csv", "--format", "xlsx"], "not a readable Excel"),
    "csv called Matrix Market": (["comma.csv", "--format", "mm", "--vocabulary", "words.txt"], "comma.csv"),
    "csv called LDA-C": (["comma.csv", "--format", "ldac", "--vocabulary", "words.txt"], "line 1"),
    "csv called npz": (["comma.csv", "--format", "npz", "--vocabulary", "words.txt"], "comma.csv"),
    "texts and tables in a folder": (["mixed"], "expected one kind"),
    "a table of numbers": (["table.parquet", "--text-column", "year"], "'year'"),
    "no such text column": (["book.xlsx", "--text-column", "body"], "it has: id, text, theme, year, note"),
    "no such id column": (["table.parquet", "--id-column", "key"], "--id-column"),
    "Parquet from standard input": (["-", "--format", "parquet"], "standard input"),
    "Zstandard cut short": (["short.jsonl.zst"], "short.jsonl.zst"),
    "Parquet cut short": (["short.parquet"], "short.parquet"),
    "Excel cut short": (["short.xlsx"], "short.xlsx"),
    "a broken quote": (["quote.csv"], "line 3"),
    "wrong bytes": (["latin.csv"], "--encoding"),
    "NUL bytes": (["nul.jsonl"], "NUL"),
    "an unknown ending": (["notes.rtf"], "--format"),
    "a column of nulls": (["nulls.parquet"], "none of the 2 documents"),
    "only stop words": (["stop.txt"], "none of the 2 documents"),
    "only emoji": (["emoji.txt"], "none of the 2 documents"),
}


@pytest.fixture(scope="module")
def broken(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of unreadable files."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("comma.csv", "table.parquet", "book.xlsx"):
        (folder / name).write_bytes((shapes / name).read_bytes())
    for name, of in (("jsonl.zst", "packed.jsonl.zst"), ("parquet", "table.parquet"), ("xlsx", "book.xlsx")):
        (folder / f"short.{name}").write_bytes((shapes / of).read_bytes()[:-40])
    (folder / "mixed").mkdir()
    (folder / "mixed" / "a.txt").write_text("planet")
    (folder / "mixed" / "b.csv").write_text("text\nplanet\n")
    (folder / "words.txt").write_text("planet\norbit\n")
    (folder / "quote.csv").write_text('id,text\n1,planet\n2,"orbit\n3,rocket\n')
    (folder / "latin.csv").write_bytes("id,text\n1,état\n".encode("latin-1"))
    (folder / "nul.jsonl").write_bytes(b'{"text": "a\0b"}\n')
    (folder / "notes.rtf").write_text("planet")
    pl.DataFrame({"text": [None, None]}).write_parquet(folder / "nulls.parquet")
    (folder / "stop.txt").write_text("the and of\nthis is that\n")
    (folder / "emoji.txt").write_text("😀 👍🏽\n🚀🚀\n", "utf-8")
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_unreadable_files_are_refused_in_one_line(case: str, warm: Warm, broken: Path, tmp_path: Path) -> None:
    arguments, word = REFUSED[case]
    before = snapshot(broken)
    assert_refused(warm("prepare", *arguments, "--out", tmp_path / "counts", cwd=broken), word)
    assert snapshot(broken) == before
    assert list(tmp_path.iterdir()) == []
