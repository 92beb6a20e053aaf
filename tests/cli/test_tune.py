"""`topicnet tune` writes a table, a figure and a recommendation within its budget."""

import csv
import json
import time

import pytest

from tests.support.command_line import assert_refused
from tests.support.corpora import themed_documents
from topicnet.errors import InputError
from topicnet.experiments.job import ExperimentJob
from topicnet.experiments.tune import tune
from topicnet.storage.run_folder import Destination
from topicnet.workflows.config import read_config

pytest.importorskip("optuna", reason="tune needs optuna")
BUDGET = 14.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "news.txt"
    path.write_text("\n".join(themed_documents(120)) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def tuned(corpus, warm, tmp_path_factory):
    """Return the folder, output and seconds of a short search."""
    folder = tmp_path_factory.mktemp("tuned")
    began = time.perf_counter()
    done = warm("tune", corpus, "--topics", "2:12", "--budget", f"{BUDGET:.0f}s", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done, time.perf_counter() - began


def refuse_constant(name):
    raise AssertionError(f"{name} in JSON")


def test_a_search_ends_with_its_budget(tuned):
    """With a margin for a busy machine; without a budget the search would take minutes."""
    assert tuned[2] <= 2 * BUDGET


def test_the_files_agree_with_each_other(tuned):
    folder, done, _ = tuned
    record = json.loads((folder / "out/tune.json").read_text("utf-8"), parse_constant=refuse_constant)
    assert record["status"] == "complete"
    assert record["seconds"] <= 2 * BUDGET
    with (folder / "out/tune.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["model"], int(row["topics"])) for row in rows] == [
        (row["model"], row["topics"]) for row in record["table"]
    ]
    for row in record["table"]:
        for name in ("npmi", "quality", "perplexity", "topic_diversity"):
            score = row[name]
            assert score["low"] <= score["mean"] + 1e-9 <= score["high"] + 2e-9
        if row["fits"] > 1:
            assert 0 <= row["stability"]["mean"] <= 1
    assert record["recommendation"] in done.stdout
    assert "out" in done.stdout.splitlines()[-1]


def test_the_figure_opens_without_a_network(tuned):
    page = (tuned[0] / "out/tune.html").read_text("utf-8")
    assert "How many topics" in page
    assert 'src="http' not in page


@pytest.mark.slow
def test_resume_keeps_finished_fits(tuned, corpus, warm):
    folder = tuned[0]
    cells = sorted((folder / "out/cells").glob("*.json"))
    measured = {row["topics"] for row in json.loads((folder / "out/tune.json").read_text("utf-8"))["table"]}
    before = {path.name: path.stat().st_mtime_ns for path in cells}
    assert before
    given = ["--topics", "2:12", "--budget", "10s", "--out", "out"]
    assert_refused(warm("tune", corpus, *given, cwd=folder), "--resume", "--overwrite")
    done = warm("tune", corpus, *given, "--resume", "--json", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout, parse_constant=refuse_constant)
    assert {row["topics"] for row in found["table"]} >= measured
    assert all((folder / "out/cells" / name).stat().st_mtime_ns == stamp for name, stamp in before.items())


@pytest.mark.slow
def test_a_budget_that_ends_before_the_first_fit_is_an_error(corpus, tmp_path):
    config = read_config(None, {"corpus": str(corpus)})
    with pytest.raises(InputError, match="before one fit was done: give more with --budget"):
        tune(ExperimentJob(config, ["etm"], destination=Destination(tmp_path / "out")), [3], 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--topics", "9:3"], "--topics '9:3'"),
        (["--budget", "soon"], "--budget 'soon'"),
        (["--budget", "5s"], "expected 10s or more"),
        (["--models", "lda"], "--models 'lda' given, expected models of tune: etm"),
        (["--models", ","], "no model was named"),
        (["--topics", "5:5000"], "words are left in the vocabulary"),
        (["--resume"], "no tune.json"),
        (["--test", "other.txt"], "in the same language"),
    ],
)
def test_invalid_input_is_refused_in_one_line(corpus, warm, tmp_path, given, message):
    (tmp_path / "other.txt").write_text("zut alors encore\n")
    done = warm("tune", corpus, "--topics", "2:4", "--budget", "20s", "--out", "out", *given, cwd=tmp_path)
    assert_refused(done, message)
    assert not (tmp_path / "out").exists()
