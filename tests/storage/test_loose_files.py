"""Output files in a folder of the user are replaced only if topicnet wrote them and they are unchanged."""

from pathlib import Path

import pytest

from topicnet.errors import OutputError
from topicnet.storage.loose_files import RECORD, write_files


def write(folder: Path, content: str, *, overwrite: bool = False) -> None:
    names = ("a.csv", "b.json")
    write_files({folder / name: lambda part: part.write_text(content) for name in names}, overwrite=overwrite)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def refused(folder: Path, word: str, *, overwrite: bool = True) -> None:
    before = contents(folder)
    with pytest.raises(OutputError, match=word):
        write(folder, "new", overwrite=overwrite)
    assert contents(folder) == before


def test_files_written_by_topicnet_are_replaced(tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        write(tmp_path / "out", content, overwrite=True)
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.csv", "b.json", RECORD}
        assert (tmp_path / "out/a.csv").read_text() == content
    refused(tmp_path / "out", "exists already", overwrite=False)


def test_files_of_the_user_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    refused(tmp_path, "was not written by topicnet")


def test_a_changed_file_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    (tmp_path / "out/b.json").write_text("mine")
    refused(tmp_path / "out", "or has changed since")


def test_a_changed_record_is_not_trusted(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    record = tmp_path / "out" / RECORD
    record.write_text(record.read_text().replace("topicnet", "others"))
    refused(tmp_path / "out", "was not written by topicnet")


def test_after_a_kill_between_record_and_files_they_can_be_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    write(tmp_path / "out", "two", overwrite=True)
    (tmp_path / "out/a.csv").write_text("one")  # as if the second write had been killed before the rename
    write(tmp_path / "out", "three", overwrite=True)
    assert (tmp_path / "out/a.csv").read_text() == "three"
