"""Common input errors give one line and status 2 and leave no files."""

import pytest

from tests.support.corpora import themed_documents

CASES = {
    "missing file": (["fit", "nosuch.txt"], "no such file"),
    "folder without text": (["fit", "hollow"], "no .txt"),
    "empty file": (["fit", "empty.txt"], "no documents"),
    "one document": (["fit", "one.txt"], "2 or more"),
    "all documents empty": (["fit", "blank.txt"], "none of the 3 documents"),
    "a column that is not there": (["fit", "table.csv", "--text-column", "body"], "it has: id, text"),
    "K larger than V": (["fit", "corpus.txt", "-k", "5000"], "words are left in the vocabulary"),
    "K = 0": (["fit", "corpus.txt", "-k", "0"], "topics=0"),
    "vocabulary pruned to nothing": (["fit", "corpus.txt", "--min-df", "61"], "lower --min-df"),
    "binary file": (["fit", "binary.txt"], "binary"),
    "a run folder that exists": (["fit", "corpus.txt", "--out", "taken"], "--overwrite"),
    "a corpus with too long a name": (["fit", "x" * 300], "too long for the disk"),
    "counts with too long a name": (["words", "x" * 300], "too long for the disk"),
    "an output with too long a name": (["fit", "corpus.txt", "--out", "x" * 300], "too long"),
    "an output that cannot be created": (["fit", "corpus.txt", "--out", "/proc/no/run"], "cannot write"),
}


# Reported after torch is imported, in a new process; test_bad_input.py has one from before.
FRESH = (pytest.param("a run folder that exists", marks=pytest.mark.slow),)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious.txt").write_text("mine")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "one.txt").write_text("a single document about cats and dogs\n")
    (tmp_path / "blank.txt").write_text("\n\n\n")
    (tmp_path / "table.csv").write_text("id,text\n1,cats and dogs\n2,bread and butter\n")
    (tmp_path / "binary.txt").write_bytes(b"PK\x03\x04\x00\x00")
    (tmp_path / "corpus.txt").write_text("\n".join(themed_documents()))
    return tmp_path


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def assert_refused(folder, before, done, word):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("topicnet: ")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_one_line_with_a_remedy(folder, warm, case):
    arguments, word = CASES[case]
    before = contents(folder)
    assert_refused(folder, before, warm(*arguments, cwd=folder), word)


@pytest.mark.parametrize("case", FRESH)
def test_a_fresh_process_refuses_in_the_same_way(folder, topicnet, case):
    arguments, word = CASES[case]
    before = contents(folder)
    assert_refused(folder, before, topicnet(*arguments, cwd=folder), word)


def test_a_disk_that_refuses_to_write(folder, warm):
    before = contents(folder)
    done = warm("fit", "corpus.txt", "-k", "3", "--epochs", "1", "--quiet", cwd=folder, file_limit=20_000)
    assert_refused(folder, before, done, "cannot write")
    assert "free some space" in done.stderr
