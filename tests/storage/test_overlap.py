"""Outputs that are, contain or are inside an input are rejected, under any name."""

import os
import subprocess
from pathlib import Path

import pytest

from topicnet.errors import OutputError
from topicnet.storage.overlap import check_apart


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with a folder of texts, a file, and links to both."""
    for name in ("texts/a.txt", "texts/deep/b.txt", "words.txt", "elsewhere/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "to-texts").symlink_to("texts")
    (tmp_path / "to-words").symlink_to("words.txt")
    (tmp_path / "texts/linked.txt").symlink_to("../elsewhere/c.txt")
    os.link(tmp_path / "words.txt", tmp_path / "same-words.txt")
    os.link(tmp_path / "texts/deep/b.txt", tmp_path / "same-b.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    # name: output, input, relation
    "the same file": ("words.txt", "words.txt", "is"),
    "the same file through a link": ("to-words", "words.txt", "is"),
    "the same file, the input a link": ("words.txt", "to-words", "is"),
    "the same file by a hard link": ("same-words.txt", "words.txt", "is"),
    "the same file through ..": ("texts/../words.txt", "words.txt", "is"),
    "the same folder": ("texts", "texts", "is"),
    "the same folder with a slash": ("texts/", "./texts", "is"),
    "the same folder through a link": ("to-texts", "texts", "is"),
    "within a folder": ("texts/runs/one", "texts", "is inside"),
    "within a folder through a link": ("to-texts/run", "texts", "is inside"),
    "within a linked folder": ("texts/run", "to-texts", "is inside"),
    "within the current folder": ("run", ".", "is inside"),
    "above a file": ("texts", "texts/a.txt", "contains"),
    "above a folder": ("texts", "texts/deep", "contains"),
    "above a file through a link": ("to-texts", "texts/deep/b.txt", "contains"),
    "a file that a folder holds by a link": ("elsewhere/c.txt", "texts", "is"),
    "above a file that a folder holds by a link": ("elsewhere", "texts", "contains"),
    "a file that a folder holds by another hard link": ("same-b.txt", "texts", "is"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("absolute", [False, True])
def test_an_output_that_overlaps_with_an_input_is_rejected(case: str, absolute: bool, place: Path) -> None:
    output, read, relation = REFUSED[case]
    given = place / output if absolute else Path(output)
    with pytest.raises(OutputError) as caught:
        check_apart([Path("fine"), given], [("the corpus", Path(read))])
    assert f" {relation} the corpus {str(Path(read))!r}" in str(caught.value)


@pytest.mark.parametrize("output", ["run", "texts-run", "elsewhere/run", "words.txt2", "texts2/a.txt", "TEXTS2"])
def test_an_output_outside_the_inputs_is_accepted(output: str, place: Path) -> None:
    inputs = [("the corpus", Path("texts")), ("the words", Path("words.txt")), ("nothing", Path("nowhere"))]
    check_apart([Path(output), None], inputs)


def test_names_that_differ_in_case_are_the_same_file_if_the_disk_ignores_case(place: Path, monkeypatch) -> None:
    """Imitates such a disk by a stat() that converts the name to lower case."""
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: real(str(path).replace("WORDS", "words"), **options))
    with pytest.raises(OutputError, match="is the corpus"):
        check_apart([Path("WORDS.txt")], [("the corpus", Path("words.txt"))])


@pytest.mark.parametrize("second", ["a.csv", "./a.csv", "texts/../a.csv"])
def test_two_outputs_of_one_name_are_rejected(second: str, place: Path) -> None:
    with pytest.raises(OutputError, match="use a separate file for each"):
        check_apart([Path("a.csv"), Path(second)], [])


def test_two_outputs_that_are_one_file_by_a_link_are_rejected(place: Path) -> None:
    for other in ("to-words", "same-words.txt"):
        with pytest.raises(OutputError, match="use a separate file for each"):
            check_apart([Path("words.txt"), Path(other)], [])


def test_a_thousand_nested_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("fish")
    Path("deep").mkdir()
    os.chdir("deep")
    try:
        for _ in range(1_050):
            os.mkdir("d")
            os.chdir("d")
        Path("linked.txt").symlink_to(tmp_path / "words.txt")
        os.chdir(tmp_path)
        check_apart([Path("counts")], [("the corpus", Path("deep"))])
        with pytest.raises(OutputError, match="is the corpus"):
            check_apart([Path("words.txt")], [("the corpus", Path("deep"))])
    finally:  # pytest cannot remove such a deep folder
        os.chdir(tmp_path)
        subprocess.run(["rm", "-r", "deep"], check=True)
