"""`words` suggests planted boilerplate with its evidence, as a list that `prepare` accepts."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Warm, assert_refused, run_here, snapshot
from tests.support.corpora import themed_documents

FAST = ("-k", "2", "--epochs", "1", "--init", "random", "--quiet")
HEADER, FOOTER = "received forwarded", "unsubscribe newsletter preferences account"


def letters(n_docs: int = 200) -> list[str]:
    """Return letters on one of four subjects, each with a header and every fourth with a footer."""
    rng = random.Random(2)
    bodies = (" ".join(body.split()[: rng.randint(8, 20)]) for body in themed_documents(n_docs))
    return [f"{HEADER} {body} {FOOTER if n % 4 == 0 else ''}" for n, body in enumerate(bodies)]


@pytest.fixture(scope="module")
def made(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with letters, their counts and a run; tests must not change it."""
    folder = tmp_path_factory.mktemp("letters")
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(letters())]
    (folder / "letters.jsonl").write_text("\n".join(lines) + "\n")
    for command in (
        ("prepare", "letters.jsonl", "--max-df", "1.0", "--out", "counts"),
        ("fit", "counts", *FAST, "--out", "run"),
        ("fit", "counts", *FAST, "--no-keep-corpus", "--out", "bare"),
    ):
        done = warm(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def as_json(warm: Warm, *arguments: str | Path, cwd: Path) -> Any:
    done = warm("words", *arguments, "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_boilerplate_comes_first_with_its_evidence(warm: Warm, made: Path) -> None:
    done = warm("words", "counts", "--top", "6", cwd=made, env={"COLUMNS": "140"})
    assert done.returncode == 0, done.stderr
    table, lines = done.stdout.split("\n\n")
    header, *rows = table.splitlines()
    assert header.split() == ["word", "documents", "tokens", "information", "evidence"]
    planted = {*HEADER.split(), *FOOTER.split()}
    assert {row.split()[0] for row in rows} == planted
    assert {row.split()[0] for row in rows[:2]} == set(HEADER.split())
    for row in rows[:2]:
        assert row.split()[1:3] == ["100.0%", "200"]
        assert float(row.split()[3]) <= 0.1
        assert "near the start" in row
        assert row.endswith("[d0, d1, d2]")
    assert f"{FOOTER} [d0, d4, d8]" in lines
    assert "       50  unsubscribe newsletter" in lines
    assert done.stderr.count("\n") == 1
    assert "--add-stop-words" in done.stderr


def test_json_is_one_document_with_all_evidence(warm: Warm, made: Path) -> None:
    found = as_json(warm, "counts", "--top", "6", cwd=made)
    assert found.keys() == {"words", "lines"}
    assert len(found["words"]) == 6
    first = found["words"][0]
    assert first["word"] in HEADER
    assert first["document_share"] == 1
    assert first["tokens"] == 200
    assert first["information"] == pytest.approx(first["spread"] + first["company"])
    assert first["examples"] == ["d0", "d1", "d2"]
    line = next(line for line in found["lines"] if line["words"] == FOOTER.split())
    assert (line["documents"], line["document_share"]) == (50, 0.25)


def test_a_run_gives_the_same_result_as_its_counts(warm: Warm, made: Path) -> None:
    expected = as_json(warm, "counts", cwd=made)
    before = snapshot(made)
    for folder in ("run", "run/corpus"):
        assert as_json(warm, folder, cwd=made) == expected
    assert snapshot(made) == before


def test_lines_can_be_omitted(warm: Warm, made: Path) -> None:
    assert as_json(warm, "counts", "--lines", "0", cwd=made)["lines"] == []
    assert len(as_json(warm, "counts", "--lines", "1", cwd=made)["lines"]) == 1
    done = warm("words", "counts", "--lines", "0", cwd=made)
    assert "consecutive words" not in done.stdout


def test_the_list_removes_the_words_when_given_to_prepare(warm: Warm, made: Path, tmp_path: Path) -> None:
    done = warm("words", made / "counts", "--top", "6", "--out", "stop.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "stop.txt").read_text().splitlines()
    assert set(words) == {*HEADER.split(), *FOOTER.split()}
    counting = ("--max-df", "1.0", "--add-stop-words", "stop.txt", "--out", "clean")
    done = warm("prepare", made / "letters.jsonl", *counting, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left = (tmp_path / "clean" / "vocabulary.txt").read_text().splitlines()
    before = (made / "counts" / "vocabulary.txt").read_text().splitlines()
    assert set(before) - set(left) == set(words)


def test_the_list_is_replaced_only_with_overwrite(warm: Warm, made: Path, tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_text("mine\n")
    words = ("words", made / "counts", "--top", "2", "--out", "stop.txt")
    assert warm(*words, cwd=tmp_path).returncode == 2
    assert (tmp_path / "stop.txt").read_text() == "mine\n"
    assert_refused(warm(*words, "--overwrite", cwd=tmp_path), "refusing to replace 'stop.txt'")
    (tmp_path / "stop.txt").write_text("")
    assert warm(*words, "--overwrite", cwd=tmp_path).returncode == 0
    assert set((tmp_path / "stop.txt").read_text().split()) == set(HEADER.split())


def test_common_subjects_are_not_repeated_lines(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("planet orbit\noven butter\nbank loan\n")
    assert warm("prepare", "few.txt", "--out", "counts", cwd=tmp_path).returncode == 0
    done = warm("words", "counts", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "no word is in enough documents to be boilerplate\n"


REFUSED: dict[str, tuple[list[str], str]] = {
    "a folder that is missing": (["none"], "none"),
    "a folder of other files": (["."], "counts"),
    "a file": (["letters.jsonl"], "letters.jsonl"),
    "a run without its counts": (["bare"], "--no-keep-corpus"),
    "no words": (["counts", "--top", "0"], "--top"),
    "a negative number of lines": (["counts", "--lines", "-1"], "--lines"),
    "nothing": ([], "COUNTS"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_folders_without_counts_are_refused_in_one_line(case: str, warm: Warm, made: Path) -> None:
    arguments, word = REFUSED[case]
    assert_refused(warm("words", *arguments, cwd=made), word)


def test_counts_of_another_tool_have_no_repeated_lines(warm: Warm, made: Path, tmp_path: Path) -> None:
    assert warm("export", made / "counts", "--counts", "bag.ldac", cwd=tmp_path).returncode == 0
    assert warm("prepare", "bag.ldac", "--out", "bag", cwd=tmp_path).returncode == 0
    done = warm("words", "bag", "--json", cwd=tmp_path)
    assert "without the order of the words" in done.stderr
    found = json.loads(done.stdout)
    assert found["lines"] == []
    assert {word["narrowness"] for word in found["words"]} == {1.0}


def test_the_list_is_written_before_it_is_printed(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def close(*printed: object) -> None:
        raise RuntimeError("the reader has closed the pipe")

    monkeypatch.setattr("topicnet.cli.printing.words.show_words", close)
    with pytest.raises(RuntimeError, match="closed the pipe"):
        run_here("words", made / "counts", "--top", "6", "--out", "words.txt", cwd=tmp_path)
    assert len((tmp_path / "words.txt").read_text().split()) == 6
