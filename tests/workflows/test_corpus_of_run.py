"""A run is loaded only if the counts in it are those it was fitted to."""

import shutil
from pathlib import Path

import pytest

import topicnet
from topicnet.errors import BundleError, CorpusError
from topicnet.workflows import corpus as workflow
from topicnet.workflows.corpus import counts_of

TEXTS = ["planet orbit moon comet", "tree leaf root flower"] * 10


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two runs with the same vocabulary and different documents."""
    folder = tmp_path_factory.mktemp("runs")
    for name, texts in (("one", TEXTS), ("other", [*TEXTS[2:], *TEXTS[:1], TEXTS[0]])):
        topicnet.fit(texts, n_topics=2, max_epochs=1, init="random", device="cpu").save(folder / name)
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "one", tmp_path / "one"))


@pytest.mark.parametrize("name", ["data.npy", "indices.npy", "tokens.npy", "documents.parquet", "counts.json"])
def test_a_file_of_other_counts_is_refused(run: Path, name: str) -> None:
    content = bytearray((run / "corpus" / name).read_bytes())
    content[-2] ^= 1
    (run / "corpus" / name).write_bytes(content)
    for read in (topicnet.load, counts_of):
        with pytest.raises(BundleError, match=name):
            read(run)


def test_the_corpus_of_another_run_is_refused(runs: Path, run: Path) -> None:
    shutil.rmtree(run / "corpus")
    shutil.copytree(runs / "other" / "corpus", run / "corpus")
    for read in (topicnet.load, counts_of):
        with pytest.raises(BundleError, match="corpus"):
            read(run)


def test_only_the_sizes_of_large_files_are_checked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "CHECKED_BYTES", 0)
    shutil.rmtree(run / "corpus")
    workflow.Corpus.from_texts(TEXTS[:6]).save(run / "corpus")
    with pytest.raises((BundleError, CorpusError)):
        topicnet.load(run)


def test_a_missing_file_is_refused(run: Path) -> None:
    (run / "corpus" / "tokens.npy").unlink()
    with pytest.raises(BundleError, match=r"tokens\.npy"):
        topicnet.load(run)
