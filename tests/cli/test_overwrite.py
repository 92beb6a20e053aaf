"""No command deletes files of the user or writes its output among its inputs."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import QUICK, Warm, assert_refused, snapshot
from tests.support.runs import write_counts

FIT = ("fit", "corpus.txt", *QUICK, "--quiet")


@pytest.fixture
def folder(tmp_path: Path, themed: Path, themed_run: Path) -> Path:
    """Return a folder with a corpus in several forms, counts, a run and lists of words."""
    shutil.copy(themed, tmp_path / "corpus.txt")
    shutil.copytree(themed_run, tmp_path / "run")
    write_counts(tmp_path / "counts")
    for name, content in {
        "texts/a.txt": "cats and dogs\n",
        "texts/b.txt": "birds and fish\n",
        "lists/stop.txt": "and\n",
        "lists/vocabulary.txt": "planet\norbit\n",
        "fit.yaml": "topics: 4\n",
        "new.txt": "planet orbit rocket\n",
        "new.csv": "text\nplanet orbit rocket\n",
        "vectors.txt": "planet 0.1 0.2\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "link").symlink_to("texts")
    os.link(tmp_path / "new.csv", tmp_path / "same.csv")
    return tmp_path


AMONG_INPUTS = {
    # output: arguments, words of the message
    "the corpus": (["fit", "corpus.txt", "--out", "corpus.txt"], "is the corpus"),
    "the counts": (["fit", "counts", "--out", "counts"], "is the corpus"),
    "the counts, of tune": (["tune", "counts", "--topics", "2,3", "--out", "counts"], "is the corpus"),
    "the counts, of compare": (["compare", "counts", "-k", "2", "--out", "counts"], "is the corpus"),
    "a file of a pattern": (["fit", "c*.txt", "--out", "corpus.txt"], "is the corpus"),
    "one of several files": (["prepare", "corpus.txt", "new.txt", "--out", "new.txt"], "is the corpus"),
    "within the texts": (["prepare", "texts", "--out", "texts/counts"], "is inside the corpus"),
    "within the texts by a link": (["fit", "texts", "--out", "link/run"], "is inside the corpus"),
    "within the current folder": (["fit", ".", "--format", "txt"], "is inside the corpus"),
    "above the corpus": (["prepare", "texts/a.txt", "--out", "texts"], "contains the corpus"),
    "the configuration": (["fit", "corpus.txt", "--config", "fit.yaml", "--out", "fit.yaml"], "is the configuration"),
    "above the stop words": (
        ["fit", "corpus.txt", "--stop-words", "lists/stop.txt", "--out", "lists"],
        "contains the file of --stop-words",
    ),
    "above the vocabulary": (
        ["prepare", "corpus.txt", "--vocabulary", "lists/vocabulary.txt", "--out", "lists"],
        "contains the file of --vocabulary",
    ),
    "the word vectors": (
        ["fit", "corpus.txt", "--embeddings", "vectors.txt", "--out", "vectors.txt"],
        "is the word vectors",
    ),
    "the test documents": (
        ["compare", "corpus.txt", "-k", "2", "--test", "new.txt", "--out", "new.txt"],
        "is the test documents",
    ),
    "the new documents": (["transform", "run", "new.csv", "--out", "texts/../new.csv"], "is the documents"),
    "the new documents by a hard link": (["transform", "run", "new.csv", "--out", "same.csv"], "is the documents"),
    "a table of the run": (["transform", "run", "new.txt", "--out", "run/doc_topic.csv"], "is inside the run"),
    "an exported table of the run": (["export", "run", "--doc-topic", "run/doc_topic.csv"], "is inside the run"),
    "the words of the counts": (["words", "counts", "--out", "counts/vocabulary.txt"], "is inside the counts"),
    "the images": (["images", "fit", "--data", "texts", "--out", "texts/run"], "is inside the images"),
    "the images of a comparison": (
        ["images", "compare", "--variants", "vae", "--data", "texts", "--out", "texts"],
        "is the images",
    ),
    "two tables": (
        ["export", "run", "--doc-topic", "a.csv", "--topic-word", "./a.csv"],
        "a separate file for each",
    ),
}


@pytest.mark.parametrize("case", AMONG_INPUTS)
def test_an_output_among_the_inputs_is_refused(case: str, warm: Warm, folder: Path) -> None:
    arguments, mentions = AMONG_INPUTS[case]
    before = snapshot(folder)
    assert_refused(warm(*arguments, "--overwrite", cwd=folder), mentions)
    assert snapshot(folder) == before


def test_standard_input_is_an_input(warm: Warm, folder: Path) -> None:
    given = (folder / "new.txt").read_bytes()
    done = warm("transform", "run", "-", "--out", "theta.csv", "--quiet", cwd=folder, stdin=given)
    assert done.returncode == 0, done.stderr
    stdin = warm.folder / "stdin"
    assert_refused(warm("fit", "-", "--out", stdin, "--overwrite", cwd=folder, stdin=given), "is the corpus")
    assert stdin.read_bytes() == given


STRANGERS = {
    "notes": (lambda run: (run / "notes.md").write_text("mine"), "'notes.md'"),
    "edits": (lambda run: (run / "edits.json").write_text("{}"), "'edits.json'"),
    "a corpus in the run": (lambda run: (run / "corpus/texts.txt").write_text("mine"), "'corpus/texts.txt'"),
    "an edited table": (lambda run: (run / "topic_word.csv").write_text("mine"), "'topic_word.csv (changed)'"),
    "an edited record": (lambda run: (run / "run.json").write_text("{}"), "was not created by topicnet"),
}


@pytest.mark.parametrize("case", STRANGERS)
@pytest.mark.parametrize("command", [FIT, ("prepare", "corpus.txt")], ids=["fit", "prepare"])
def test_a_run_with_files_of_the_user_is_never_replaced(case: str, command, warm: Warm, folder: Path) -> None:
    change, mentions = STRANGERS[case]
    change(folder / "run")
    before = snapshot(folder)
    assert_refused(warm(*command, "--out", "run", "--overwrite", cwd=folder), mentions, "--out")
    assert snapshot(folder) == before


def test_an_untouched_run_of_0_1_0_is_replaced(warm: Warm, folder: Path) -> None:
    record = json.loads((folder / "run/run.json").read_text())
    record.pop("checksum")
    (folder / "run/run.json").write_text(json.dumps(record))
    done = warm(*FIT, "--out", "run", "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "checksum" in json.loads((folder / "run/run.json").read_text())
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "run."))]


def test_foreign_files_in_the_work_folder_of_a_fit_are_kept(warm: Warm, folder: Path) -> None:
    for name in ("lock", "notes.md", "checkpoints/notes.md", "checkpoints/checkpoint-000007/notes.md"):
        (folder / "new.unfinished" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "new.unfinished" / name).write_text("" if name == "lock" else "mine")
    before = snapshot(folder / "new.unfinished")
    done = warm(*FIT, "--out", "new", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert before.items() <= snapshot(folder / "new.unfinished").items()


def test_a_refused_target_keeps_the_checkpoints_of_an_interrupted_fit(warm: Warm, folder: Path) -> None:
    saved = folder / "run.unfinished/checkpoints/checkpoint-000001"
    saved.mkdir(parents=True)
    for path in (saved / "state.json", folder / "run.unfinished/lock", folder / "run/notes.md"):
        path.write_text("")
    before = snapshot(folder)
    assert_refused(warm(*FIT, "--out", "run", "--overwrite", cwd=folder), "'notes.md'")
    assert snapshot(folder) == before


PLACES = {
    "the root": ("/", "cannot be replaced"),
    "nothing": ("", "an empty name given"),
    "blanks": (" ", "an empty name given"),
    "the current folder": (".", "cannot be replaced"),
    "the folder above": ("..", "cannot be replaced"),
    "a disk": ("/proc", "cannot be replaced"),
}


@pytest.mark.parametrize("case", PLACES)
@pytest.mark.parametrize("command", [("fit", "lee"), ("prepare", "lee"), ("compare", "lee", "-k", "2")], ids=str)
def test_an_output_that_cannot_be_replaced_is_refused(case: str, command, warm: Warm, tmp_path: Path) -> None:
    out, mentions = PLACES[case]
    (tmp_path / "here").mkdir()
    for overwrite in ([], ["--overwrite"]):
        assert_refused(warm(*command, "--out", out, *overwrite, cwd=tmp_path / "here"), mentions)
    assert snapshot(tmp_path) == {"here": "folder"}


def test_two_numbers_of_topics_have_two_default_folders(warm: Warm, folder: Path) -> None:
    for k in (3, 4):
        done = warm(*FIT, "-k", str(k), cwd=folder)
        assert done.stdout.endswith(f"wrote runs/corpus-etm-{k}\n"), done.stderr
    before = snapshot(folder)
    assert_refused(warm(*FIT, "-k", "3", cwd=folder), "'runs/corpus-etm-3' exists already", "--overwrite")
    assert snapshot(folder) == before


def test_a_list_of_words_of_the_user_is_not_replaced_by_the_words_of_exported_counts(warm: Warm, folder: Path) -> None:
    (folder / "bag.vocab").write_text("mine")
    before = snapshot(folder)
    assert_refused(warm("export", "run", "--counts", "bag.ldac", "--overwrite", cwd=folder), "bag.vocab")
    assert snapshot(folder) == before
    (folder / "bag.vocab").unlink()
    for overwrite in ([], ["--overwrite"]):
        assert warm("export", "run", "--counts", "bag.ldac", *overwrite, cwd=folder).returncode == 0
