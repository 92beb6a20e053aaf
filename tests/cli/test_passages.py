"""`--passages`: theta of every passage and document in fit, transform and loaded runs."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support.command_line import Warm, assert_refused, snapshot
from tests.support.corpora import themed_documents
from topicnet.errors import InputError

FAST = ("-k", "3", "--epochs", "1", "--init", "random", "--quiet")
BODIES = themed_documents(30)
# Documents of 20, 40 and 60 words, and two without words.
TEXTS = [" ".join(BODIES[n : n + 1 + n % 3]) for n in range(24)] + ["", "12 !"]


@pytest.fixture(scope="module")
def made(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus, its counts, and runs with and without passages; tests must not change it."""
    folder = tmp_path_factory.mktemp("passages")
    rows = ({"id": f"d{n}", "text": text, "part": n % 2} for n, text in enumerate(TEXTS))
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in (
        ("fit", "corpus.jsonl", *FAST, "--passages", "20", "--label-column", "part", "--out", "run"),
        ("fit", "corpus.jsonl", *FAST, "--out", "whole"),
    ):
        done = warm(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def theta(table: pl.DataFrame) -> np.ndarray:
    return table.select("^topic_.*$").to_numpy().astype(np.float64)


def test_passages_have_a_row_each_in_reading_order(made: Path) -> None:
    table = pl.read_csv(made / "run" / "passages.csv")
    assert table.columns == ["doc_id", "passage", "tokens", "top_topic", "topic_0", "topic_1", "topic_2"]
    places = [(f"d{n}", number) for n in range(24) for number in range(1, 2 + n % 3)]
    assert table.select("doc_id", "passage").rows() == [*places, ("d24", 1), ("d25", 1)]
    assert table["tokens"].to_list() == [20] * 48 + [0, 0]
    assert table["top_topic"].null_count() == 2
    assert theta(table).sum(1) == pytest.approx(np.ones(50), abs=1e-5)
    best = theta(table)[:48].argmax(1)
    assert table["top_topic"].to_list()[:48] == best.tolist()


def test_theta_of_a_document_is_the_mean_over_its_passages(made: Path) -> None:
    documents = pl.read_csv(made / "run" / "doc_topic.csv")
    passages = pl.read_csv(made / "run" / "passages.csv")
    assert documents["doc_id"].to_list() == [f"d{n}" for n in range(26)]
    assert documents["status"].to_list() == ["ok"] * 24 + ["empty", "oov"]
    assert documents.columns[-1] == "part"
    for name, row in zip(documents["doc_id"], theta(documents), strict=True):
        assert theta(passages.filter(doc_id=name)).mean(0) == pytest.approx(row, abs=1e-6)


def test_whole_documents_have_no_passages(made: Path) -> None:
    assert not (made / "whole" / "passages.csv").exists()
    assert "passages" not in json.loads((made / "whole" / "model" / "model.json").read_text())["text"]
    assert json.loads((made / "run" / "model" / "model.json").read_text())["text"]["passages"] == 20
    one, other = (theta(pl.read_csv(made / run / "doc_topic.csv")) for run in ("run", "whole"))
    assert not np.allclose(one, other)


def test_the_files_of_passages_are_in_the_record(made: Path) -> None:
    record = json.loads((made / "run" / "run.json").read_text())
    assert "passages.csv" in record["files"]
    assert record["config"]["passages"] == 20


def test_new_documents_are_split_like_those_of_the_fit(warm: Warm, made: Path, tmp_path: Path) -> None:
    new = ("--label-column", "part", "--out", "t.csv", "--by-passage", "p.csv")
    done = warm("transform", made / "run", made / "corpus.jsonl", *new, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t.csv").read_bytes() == (made / "run" / "doc_topic.csv").read_bytes()
    assert (tmp_path / "p.csv").read_bytes() == (made / "run" / "passages.csv").read_bytes()
    (tmp_path / "long.txt").write_text(" ".join(BODIES[:5]) + "\n\nplanet\n")
    done = warm("transform", made / "run", "long.txt", "--out", "l.csv", "--by-passage", "l.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    passages = pl.read_parquet(tmp_path / "l.parquet")
    assert passages["doc_id"].to_list() == ["1"] * 5 + ["2", "3"]
    assert passages["passage"].to_list() == [1, 2, 3, 4, 5, 1, 1]
    assert passages["tokens"].to_list() == [20] * 5 + [0, 1]
    documents = pl.read_csv(tmp_path / "l.csv")
    assert documents["status"].to_list() == ["ok", "empty", "ok"]
    assert theta(passages)[:5].mean(0) == pytest.approx(theta(documents)[0], abs=1e-6)


def test_by_passage_is_refused_for_a_model_of_whole_documents(warm: Warm, made: Path, tmp_path: Path) -> None:
    for run, name, word in (("whole", "p.csv", "--passages"), ("run", "p.npz", ".parquet"), ("run", "p.txt", "p.txt")):
        new = ("transform", made / run, made / "corpus.jsonl", "--out", "t.csv", "--by-passage", name)
        assert_refused(warm(*new, cwd=tmp_path), word)
    (tmp_path / "p.csv").write_text("mine")
    new = ("transform", made / "run", made / "corpus.jsonl", "--out", "t.csv", "--by-passage", "p.csv")
    assert_refused(warm(*new, cwd=tmp_path), "p.csv", "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


@pytest.mark.parametrize("options", [("--no-keep-corpus",), ("--model", "gmntm"), ("--seeds", "2")], ids=" ".join)
def test_passages_can_be_combined_with_other_options(
    options: tuple[str, ...], warm: Warm, made: Path, tmp_path: Path
) -> None:
    done = warm("fit", made / "corpus.jsonl", *FAST, "--passages", "20", *options, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "run" / "passages.csv").height == 50
    done = warm("transform", "run", made / "corpus.jsonl", "--out", "t.csv", "--by-passage", "p.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "run" / "doc_topic.csv").read_bytes()
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "run" / "passages.csv").read_bytes()


def test_a_loaded_run_has_its_passages(made: Path, tmp_path: Path) -> None:
    run = topicnet.load(made / "run")
    table = run.passages()
    expected = pl.read_csv(made / "run" / "passages.csv", schema_overrides={"doc_id": pl.String})
    assert list(table.columns) == expected.columns
    assert [list(row) for row in table[["doc_id", "passage", "tokens"]].itertuples(index=False)] == [
        list(row) for row in expected.select("doc_id", "passage", "tokens").rows()
    ]
    theta = pl.col("^topic_.*$").cast(pl.Float32)
    assert np.array_equal(table.filter(regex="^topic_").to_numpy(), expected.select(theta).to_numpy())
    assert np.array_equal(run.transform(TEXTS), run.theta)
    with pytest.raises(InputError, match="passages=200"):
        topicnet.load(made / "whole").passages()
    again = topicnet.load(run.save(tmp_path / "again"))
    assert again.passages().equals(table)


def test_passages_from_python_are_those_of_the_command_line(made: Path) -> None:
    run = topicnet.fit(
        TEXTS,
        n_topics=3,
        ids=[f"d{n}" for n in range(26)],
        passages=20,
        max_epochs=1,
        init="random",
        device="cpu",
    )
    assert run.passages()["tokens"].to_list() == [20] * 48 + [0, 0]
    assert run.status == topicnet.load(made / "run").status
    assert run.bundle.text["passages"] == 20


@pytest.mark.parametrize("size", ["0", "-1", "few", "1.5"])
def test_an_invalid_size_is_refused(size: str, warm: Warm, made: Path, tmp_path: Path) -> None:
    done = warm("fit", made / "corpus.jsonl", *FAST, "--passages", size, "--out", "run", cwd=tmp_path)
    assert_refused(done, "--passages")
    assert list(tmp_path.iterdir()) == []


def test_counts_without_reading_order_have_no_passages(warm: Warm, made: Path, tmp_path: Path) -> None:
    assert warm("export", made / "run", "--counts", "bag.ldac", cwd=tmp_path).returncode == 0
    before = snapshot(tmp_path)
    done = warm("fit", "bag.ldac", *FAST, "--passages", "20", "--out", "run", cwd=tmp_path)
    assert_refused(done, "passages of 20 words", "order")
    assert snapshot(tmp_path) == before


def test_a_killed_fit_of_passages_can_be_resumed(warm: Warm, made: Path, tmp_path: Path) -> None:
    fit = ("fit", made / "corpus.jsonl", "-k", "3", "--epochs", "30", "--init", "random", "--passages", "20", "--out")
    always = {"TOPICNET_CHECKPOINT_SECONDS": "0"}
    killed = warm(*fit, "run", cwd=tmp_path, env=always, kill_when="run.unfinished/checkpoints/*-000003")
    assert killed.returncode == -9
    other = warm(*fit, "run", "--passages", "30", "--resume", cwd=tmp_path)
    assert_refused(other, "--resume given with passages=30, but 'run' has 20")
    for arguments in (("run", "--resume"), ("whole",)):
        done = warm(*fit, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in ("doc_topic.csv", "passages.csv", "model/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_documents_and_passages_are_written_to_separate_files(warm: Warm, made: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    both = ("--out", "theta.csv", "--by-passage", "theta.csv")
    assert_refused(warm("transform", made / "run", made / "corpus.jsonl", *both, cwd=tmp_path), "theta.csv", "separate")
    whole = ("--out", "theta.csv", "--by-passage", "passages.csv")
    done = warm("transform", made / "whole", made / "corpus.jsonl", *whole, cwd=tmp_path)
    assert_refused(done, "--by-passage", "whole documents")
    assert snapshot(tmp_path) == before


def test_counts_of_another_tool_cannot_be_transformed_by_passage(warm: Warm, made: Path, tmp_path: Path) -> None:
    assert warm("export", made / "run", "--counts", "bag.ldac", cwd=tmp_path).returncode == 0
    done = warm("transform", made / "run", "bag.ldac", "--out", "theta.csv", cwd=tmp_path)
    assert_refused(done, "order of the words")
