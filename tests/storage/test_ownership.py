"""Overwriting removes only files written by topicnet, and a kill at any moment leaves one complete run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import edit_record, write_counts, write_run
from topicnet.errors import OutputError
from topicnet.storage import atomic, ownership
from topicnet.storage.ownership import contents_of
from topicnet.text.corpus import Corpus

FILES = {"model/model.json": "old", "topic_word.csv": "old", "corpus/tokens.npy": "old"}


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def write_old(run: Path) -> None:
    write_run(run, FILES)


def write_new(staged: Path) -> None:
    write_run(staged, dict.fromkeys(FILES, "new"))


def replace(target: Path) -> None:
    with atomic.atomic_folder(target, overwrite=True) as staged:
        write_new(staged)


def refusal(target: Path) -> str:
    """Return the message of a rejected replacement, after checking that nothing has changed."""
    before = contents(target.parent)
    with pytest.raises(OutputError) as caught, atomic.atomic_folder(target, overwrite=True):
        pytest.fail("the block was entered")
    assert contents(target.parent) == before
    assert str(caught.value).isprintable()
    return str(caught.value)


# ---------------------------------------------------------------- files of topicnet and others


WRITERS: dict[str, Callable[[Path], None]] = {
    "run": write_old,
    "run of 0.1.0": lambda folder: write_run(folder, FILES, version_0_1_0=True),
    "counts": write_counts,
    "counts of 0.1.0": lambda folder: write_counts(folder, version_0_1_0=True),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_an_unchanged_folder_of_topicnet_is_replaced(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / "run")
    assert contents_of(tmp_path / "run").foreign == ()
    replace(tmp_path / "run")
    assert (tmp_path / "run/topic_word.csv").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("kind", WRITERS)
def test_foreign_files_are_listed_and_stay(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / "run")
    for name in ("a.md", "plots/b.png", "edits.json", "z.txt"):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    message = refusal(tmp_path / "run")
    assert "'a.md', 'edits.json', 'plots/b.png' and 1 more" in message
    assert "move them away" in message


def link_out(run: Path) -> None:
    (run / "topic_word.csv").unlink()
    (run / "topic_word.csv").symlink_to(run.parent / "thesis.txt")


def link_folder(run: Path) -> None:
    shutil.move(run / "corpus", run.parent / "corpus")
    (run / "corpus").symlink_to(run.parent / "corpus")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda run: (run / "topic_word.csv").write_text("edited"), "topic_word.csv (changed)"),
        (lambda run: (run / "corpus/tokens.npy").write_text("edited"), "corpus/tokens.npy (changed)"),
        (lambda run: (run / "empty").mkdir(), "empty"),
        (link_out, "topic_word.csv"),
        (link_folder, "corpus"),
        (lambda run: os.mkfifo(run / "pipe"), "pipe"),
        (lambda run: (run / "corpus/texts.txt").write_text("the corpus itself"), "corpus/texts.txt"),
    ],
)
def test_changed_or_linked_files_are_foreign(change, name: str, tmp_path: Path) -> None:
    write_old(tmp_path / "run")
    change(tmp_path / "run")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="did not write") as caught:
        atomic.check_folder(tmp_path / "run", overwrite=True)
    assert f"'{name}'" in str(caught.value)
    assert contents(tmp_path) == before


def record_of_others(name: str, content: object) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(json.dumps(content)) and None


@pytest.mark.parametrize(
    "record",
    [
        lambda folder: (folder / "run.json").write_text(""),
        record_of_others("run.json", {}),
        record_of_others("run.json", []),
        record_of_others("run.json", {"files": {"manuscript.txt": "0" * 64}, "status": "complete", "versions": {}}),
        record_of_others("run.json", {"status": "finished", "lap": 7}),
        record_of_others("counts.json", {}),
        record_of_others("counts.json", {"format": 1, "n_docs": 2, "vocab_size": 3, "source": {}}),
    ],
)
def test_a_foreign_record_does_not_allow_overwriting(record, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    record(tmp_path / "thesis")
    (tmp_path / "thesis/manuscript.txt").write_text("years of work")
    assert "was not created by topicnet" in refusal(tmp_path / "thesis")


@pytest.mark.parametrize("write", [write_old, write_counts])
def test_a_record_with_a_wrong_checksum_is_rejected(write, tmp_path: Path) -> None:
    write(tmp_path / "run")
    path = next(path for path in (tmp_path / "run").iterdir() if path.name in ("run.json", "counts.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {"thesis.txt": "0" * 64}}))
    (tmp_path / "run/thesis.txt").write_text("years of work")
    refusal(tmp_path / "run")


def test_files_outside_the_folder_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    write_old(tmp_path / "run")
    files = json.loads((tmp_path / "run/run.json").read_text())["files"]
    outside = {"../thesis.txt": "0" * 64, str(tmp_path / "thesis.txt"): "0" * 64}
    edit_record(tmp_path / "run/run.json", files=files | outside)
    replace(tmp_path / "run")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_change_in_a_sampled_large_file_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "WHOLE_BYTES", 16)
    write_counts(tmp_path / "counts")
    record = json.loads((tmp_path / "counts/counts.json").read_text())
    assert record["files"]["tokens.npy"].startswith("sampled:")
    assert contents_of(tmp_path / "counts").foreign == ()
    tokens = np.load(tmp_path / "counts/tokens.npy")
    np.save(tmp_path / "counts/tokens.npy", tokens[::-1])
    assert contents_of(tmp_path / "counts").foreign == ("tokens.npy (changed)",)


def test_large_arrays_of_a_run_are_compared_by_sampled_checksums(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ownership, "WHOLE_BYTES", 16)
    write_counts(tmp_path / "run/corpus")
    write_run(tmp_path / "run", {"model/model.json": "old"})
    assert contents_of(tmp_path / "run").foreign == ()
    read: list[Path] = []
    whole = ownership.formats.sha256
    monkeypatch.setattr(ownership.formats, "sha256", lambda path: read.append(path) or whole(path))
    contents_of(tmp_path / "run")
    assert tmp_path / "run/corpus/counts.json" in read
    assert tmp_path / "run/corpus/tokens.npy" not in read


def test_saved_counts_can_be_loaded_and_list_each_file(tmp_path: Path) -> None:
    write_counts(tmp_path / "counts")
    listed = json.loads((tmp_path / "counts/counts.json").read_text())["files"]
    assert {*listed, "counts.json"} == {path.name for path in (tmp_path / "counts").iterdir()}
    assert Corpus.load(tmp_path / "counts").n_docs == 2


# ---------------------------------------------------------------- the moment of replacement


def test_files_added_by_the_user_during_a_replacement_are_kept_and_so_is_the_result(tmp_path: Path) -> None:
    write_old(tmp_path / "run")

    def replace_while_the_user_writes() -> None:
        with atomic.atomic_folder(tmp_path / "run", overwrite=True) as staged:
            write_new(staged)
            (tmp_path / "run/notes.md").write_text("mine")

    with pytest.raises(OutputError, match=r"was changed while this ran and is left unchanged.*run-2"):
        replace_while_the_user_writes()
    assert (tmp_path / "run/notes.md").read_text() == "mine"
    assert (tmp_path / "run/topic_word.csv").read_text() == "old"
    assert (tmp_path / "run-2/topic_word.csv").read_text() == "new"


@pytest.mark.parametrize("steps", [False, True], ids=["exchanged", "in steps"])
@pytest.mark.parametrize("at", range(20))
def test_a_kill_at_any_moment_leaves_one_complete_run(at: int, steps: bool, tmp_path: Path, monkeypatch) -> None:
    """A child process replaces the run and ends at the n-th change of a name; then a complete run is found."""
    target = tmp_path / "run"
    write_old(target)
    child = os.fork()
    if child == 0:
        calls = iter(range(1_000))

        def ending(call):
            def ended(*given, **options):
                if next(calls) == at:
                    os._exit(9)
                return call(*given, **options)

            return ended

        if steps:
            atomic._exchange = lambda one, other: False
        else:
            atomic._exchange = ending(atomic._exchange)
        for name in ("rename", "unlink", "rmdir"):
            setattr(Path, name, ending(getattr(Path, name)))
        replace(target)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    atomic.restore(target)
    found = {(target / name).read_text() for name in FILES}
    assert found in ({"old"}, {"new"})
    assert contents_of(target).foreign == ()
    if status == 0:
        assert found == {"new"}
    replace(target)
    assert {(target / name).read_text() for name in FILES} == {"new"}


def test_a_disk_without_exchange_replaces_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    write_old(tmp_path / "run")
    replace(tmp_path / "run")
    assert (tmp_path / "run/topic_word.csv").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# ---------------------------------------------------------------- folders that can never be replaced


@pytest.mark.parametrize("place", ["/", ".", "..", "/proc"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_use_is_rejected(place: str, overwrite: bool, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match=r"cannot be replaced: choose a .*--out, such as"):
        atomic.check_folder(Path(place), overwrite=overwrite)
    assert contents(tmp_path) == {"here": None}
