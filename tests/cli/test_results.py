"""`topics`, `transform`, `export` and `corpora`: the tables of a run, equal in every format."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support.command_line import COMMAND, ENVIRONMENT, SECONDS, Topicnet, Warm, one_json, snapshot
from tests.support.corpora import themed_documents


def read_theta(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Return ids, status and theta of a written table."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["doc_id"].tolist(), arrays["status"].tolist(), arrays["theta"]
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        return table["doc_id"].to_list(), table["status"].to_list(), table.select("^topic_.*$").to_numpy()
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["doc_id", "status", "top_topic"]
    theta = np.array([row[3:] for row in rows], dtype=np.float32)
    return [row[0] for row in rows], [row[1] for row in rows], theta


def test_topics_prints_a_line_per_topic(topicnet: Topicnet, lee_run: Path) -> None:
    done = topicnet("topics", lee_run, "--top", "3")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 5
    topics = one_json((lee_run / "topics.json").read_text("utf-8"))
    for line, topic in zip(lines[1:], topics, strict=True):
        number, share, *words = line.split()
        assert int(number) == topic["topic"]
        assert float(share.rstrip("%")) == pytest.approx(100 * topic["size"], abs=0.051)
        assert words == topic["words"][:3]


@pytest.mark.parametrize("top", [1, 10, 10**6])
def test_topics_json_is_one_document(top: int, warm: Warm, lee_run: Path) -> None:
    done = warm("topics", lee_run, "--json", "--top", str(top), cwd=lee_run.parent)
    assert done.returncode == 0
    assert done.stderr == ""
    topics = one_json(done.stdout)["topics"]
    vocabulary = (lee_run / "model/vocabulary.txt").read_text("utf-8").split()
    assert [topic["topic"] for topic in topics] == list(range(5))
    assert [len(topic["words"]) for topic in topics] == [min(top, len(vocabulary))] * 5
    assert sum(topic["size"] for topic in topics) == pytest.approx(1, abs=1e-5)
    written = one_json((lee_run / "topics.json").read_text("utf-8"))
    for topic, record in zip(topics, written, strict=True):
        assert topic["words"][:10] == record["words"][:top]
        assert topic["npmi"] == pytest.approx(record["scores"]["npmi"])


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(lee_run: Path) -> None:
    """As with `topicnet topics RUN | head -1`: the output exceeds the buffer of a pipe."""
    with subprocess.Popen(
        [*COMMAND, "topics", lee_run, "--top", "3000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("topic")
        process.stdout.close()
        message = process.stderr.read()
        assert process.wait(timeout=SECONDS) == 0, message
    assert message == ""


def test_reading_a_run_changes_nothing_in_it(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    before = snapshot(lee_run)
    for arguments in (("topics", lee_run), ("export", lee_run, "--doc-topic", "a.csv")):
        assert warm(*arguments, cwd=tmp_path).returncode == 0
    assert snapshot(lee_run) == before


def test_transform_of_the_training_corpus_is_doc_topic(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    done = warm("transform", lee_run, "lee", "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "wrote theta.csv" in done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (lee_run / "doc_topic.csv").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["theta.csv"]


def test_transform_writes_the_same_in_every_format(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("The president met union leaders\n\nzyzzyva\nFires near Sydney spread\n")
    tables = []
    for ending in ("csv", "parquet", "npz"):
        done = warm("transform", lee_run, "new.txt", "--out", f"theta.{ending}", "--quiet", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        tables.append(read_theta(tmp_path / f"theta.{ending}"))
    for ids, status, theta in tables:
        assert ids == ["1", "2", "3", "4"]
        assert status == ["ok", "empty", "oov", "ok"]
        assert theta.dtype == np.float32
        assert np.array_equal(theta, tables[0][2])
        assert theta.sum(1) == pytest.approx(np.ones(4), abs=1e-6)
        assert np.array_equal(theta[1], theta[2])


def test_transform_does_not_depend_on_the_other_documents(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    texts = ["The president met union leaders", "Fires near Sydney spread", "Australia won the test in Perth"]
    (tmp_path / "all.txt").write_text("\n".join(texts))
    warm("transform", lee_run, "all.txt", "--out", "all.npz", cwd=tmp_path)
    together = read_theta(tmp_path / "all.npz")[2]
    for row, text in enumerate(texts):
        assert warm("transform", lee_run, "-", "--out", f"{row}.npz", cwd=tmp_path, stdin=text).returncode == 0
        assert read_theta(tmp_path / f"{row}.npz")[2][0] == pytest.approx(together[row], abs=1e-6)


def test_refining_changes_theta_and_keeps_it_a_distribution(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    done = warm("transform", lee_run, "lee", "--out", "theta.npz", "--refine", "10", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refined = read_theta(tmp_path / "theta.npz")[2]
    assert refined.sum(1) == pytest.approx(np.ones(300), abs=1e-6)
    assert (refined >= 0).all()
    assert abs(refined - read_theta(lee_run / "doc_topic.csv")[2]).max() > 0.01


def test_export_writes_the_tables_of_the_run_in_every_format(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    done = warm("export", lee_run, "--doc-topic", "d.csv", "--topic-word", "w.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (tmp_path / "d.csv").read_bytes() == (lee_run / "doc_topic.csv").read_bytes()
    assert (tmp_path / "w.csv").read_bytes() == (lee_run / "topic_word.csv").read_bytes()


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_exported_tables_agree_with_the_csv(ending: str, warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    # With --format, the ending of the file may be anything.
    arguments = ("--doc-topic", "d.bin", "--topic-word", "w.bin", "--format", ending, "--top", "0", "--quiet")
    done = warm("export", lee_run, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (tmp_path / "d.bin").rename(tmp_path / f"d.{ending}")
    expected = read_theta(lee_run / "doc_topic.csv")
    found = read_theta(tmp_path / f"d.{ending}")
    assert found[:2] == expected[:2]
    assert np.array_equal(found[2], expected[2])
    words = pl.read_csv(lee_run / "topic_word.csv").filter(topic=0)
    vocabulary = (lee_run / "model/vocabulary.txt").read_text("utf-8").split()
    if ending == "npz":
        with np.load(tmp_path / "w.bin", allow_pickle=False) as arrays:
            beta, named = arrays["beta"], arrays["vocabulary"].tolist()
        assert named == vocabulary
        assert beta.shape == (5, len(vocabulary))
    else:
        table = pl.read_parquet(tmp_path / "w.bin")
        assert table.height == 5 * len(vocabulary)
        assert sorted(table.filter(topic=0)["word"]) == vocabulary
        order = table.sort("topic", "word")["probability"].to_numpy()
        beta = order.reshape(5, -1)
    assert beta.sum(1) == pytest.approx(np.ones(5), abs=1e-5)
    at = {word: i for i, word in enumerate(vocabulary)}
    assert beta[0, [at[word] for word in words["word"]]] == pytest.approx(words["probability"].to_numpy(), rel=1e-6)


def test_export_replaces_a_file_only_with_overwrite(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("old\n")
    assert warm("export", lee_run, "--doc-topic", "d.csv", cwd=tmp_path).returncode == 2
    assert (tmp_path / "d.csv").read_text() == "old\n"
    assert warm("export", lee_run, "--doc-topic", "d.csv", "--overwrite", cwd=tmp_path).returncode == 2
    assert (tmp_path / "d.csv").read_text() == "old\n"
    (tmp_path / "d.csv").write_text("doc_id,status,top_topic,topic_0\n")
    assert warm("export", lee_run, "--doc-topic", "d.csv", "--overwrite", cwd=tmp_path).returncode == 0
    assert (tmp_path / "d.csv").read_bytes() == (lee_run / "doc_topic.csv").read_bytes()


def test_top_limits_the_words_of_an_exported_topic(warm: Warm, lee_run: Path, tmp_path: Path) -> None:
    assert warm("export", lee_run, "--topic-word", "w.csv", "--top", "3", cwd=tmp_path).returncode == 0
    assert pl.read_csv(tmp_path / "w.csv")["rank"].to_list() == [1, 2, 3] * 5


def test_corpora_lists_the_named_corpora(warm: Warm, tmp_path: Path) -> None:
    done = warm("corpora", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"lee", "20newsgroups"}


def test_corpora_as_json(warm: Warm, tmp_path: Path) -> None:
    done = warm("corpora", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = {corpus["name"]: corpus for corpus in one_json(done.stdout)["corpora"]}
    assert found["lee"]["documents"] == 300
    assert not found["lee"]["download"]
    assert found["20newsgroups"]["download"]
    assert all(corpus["licence"] for corpus in found.values())


def test_transform_reads_the_columns_the_fit_read(warm: Warm, tmp_path: Path) -> None:
    rows = [f'{n},"{text}"' for n, text in enumerate(themed_documents(), 100)]
    (tmp_path / "survey.csv").write_text("\n".join(["who,answer", *rows]) + "\n")
    options = ["--text-column", "answer", "--id-column", "who", "--epochs", "1", "-k", "3", "--out", "run"]
    assert warm("fit", "survey.csv", *options, cwd=tmp_path).returncode == 0
    done = warm("transform", "run", "survey.csv", "--out", "new.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "run" / "doc_topic.csv").read_bytes()
    refused = warm("fit", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "a run of topicnet, expected a corpus" in refused.stderr
