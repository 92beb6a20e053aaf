"""`compare`: one table of all models and baselines, interrupted and resumed."""

import contextlib
import csv
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.command_line import SECONDS, Warm, assert_refused, one_json, snapshot, start, wait_for
from tests.support.corpora import THEMES, themed_documents
from topicnet.cli.printing.scores import show_model_comparison
from topicnet.errors import InputError, OutputError, TopicnetError
from topicnet.evaluate.perplexity import unigram_perplexity
from topicnet.evaluate.stability import stability
from topicnet.experiments import worker
from topicnet.experiments.baselines import NMF
from topicnet.experiments.compare import Comparison, compare
from topicnet.experiments.job import ExperimentJob
from topicnet.experiments.worker import Cell, FailedCell, FittedCell, Workers, read_answer
from topicnet.experiments.workspace import split
from topicnet.runtime.reporter import Reporter
from topicnet.storage.formats import json_text
from topicnet.storage.run_folder import Destination
from topicnet.text.corpus import Corpus
from topicnet.text.tokens.options import TextOptions
from topicnet.workflows.config import read_config
from topicnet.workflows.scores import CONVENTIONS, halves

TOMOTOPY = importlib.util.find_spec("tomotopy") is not None
ALWAYS = ["lda", *["lda-tomotopy"] * TOMOTOPY]  # baselines of every table
NUMBERS = ("npmi", "c_v", "topic_diversity", "inferred", "refined", "nmi")
MEASURED = ("seconds", "peak_memory_mb")  # depends on the machine
TWO_SEEDS = ("--models", "nmf", "--seeds", "2", "-k", "3")


def write_corpus(path: Path, texts: list[str], **columns: Callable[[int], Any]) -> Path:
    rows = ({"text": text} | {name: of(d) for name, of in columns.items()} for d, text in enumerate(texts))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def label_of(d: int) -> str | None:
    return list(THEMES)[d % 4] if d % 7 else None


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sixty documents in four themes, most of them labelled."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "news.jsonl", themed_documents(), label=label_of)


class Compared:
    """Runs `compare` in this process without tomotopy, which is faster; records notices and fitted cells."""

    def __init__(self, folder: Path, in_full: bool = False) -> None:
        self.folder, self.in_full = folder, in_full
        self.fitted: list[str] = []
        self.messages: list[str] = []

    def workers(self, folder: Path) -> SimpleNamespace:
        def run(cell: Cell, seconds: float | None = None) -> FittedCell | FailedCell:
            self.fitted.append(cell.name)
            return read_answer(cell, worker._answer(folder, json.dumps(asdict(cell))))

        return SimpleNamespace(run=run, close=lambda: None)

    def __call__(
        self, corpus: Path, models: str = "nmf", seeds: int = 1, topics: int = 3, test: Path | None = None, **more: Any
    ) -> dict[str, Any]:
        given = {name: more.pop(name) for name in ("min_df", "max_df", "max_vocab") if name in more}
        config = read_config(None, {"corpus": str(corpus), "topics": topics} | given)
        tested = None if test is None else read_config(None, {"corpus": str(test)})
        self.fitted.clear()
        self.messages.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("topicnet.experiments.workspace.Workers", self.workers)
            patch.setattr("topicnet.experiments.compare.installed", lambda name: name != "lda-tomotopy")
            if not self.in_full:  # the figure and the intervals take longer than the fits
                patch.setattr("topicnet.experiments.compare.quality_against_time", lambda rows, unigram, corpus: None)
                patch.setattr("topicnet.experiments.compare.html_of", lambda figure: "")
                patch.setattr("topicnet.evaluate.bootstrap.RESAMPLES", 10)
                patch.setattr("topicnet.experiments.baselines.FEW", 0)  # a fifth of the passes over the corpus
            job = ExperimentJob(config, models.split(","), tested, Destination(self.folder / "out", **more))
            self.comparison = compare(job, seeds, Reporter(self.messages.append))
        record: dict[str, Any] = json.loads(json_text(self.comparison.json()))
        assert record_of(self.comparison.folder)["table"] == record["table"]
        return record


def printed(comparison: Comparison) -> str:
    """Return the table of a comparison."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        show_model_comparison(comparison)
    return stdout.getvalue()


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    return Compared(tmp_path)


@pytest.fixture(scope="module")
def two_seeds(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Return a comparison of two seeds; tests must not change it."""
    runner = Compared(tmp_path_factory.mktemp("two-seeds"), in_full=True)
    runner(corpus, seeds=2)
    return runner


@pytest.fixture(scope="module")
def out(two_seeds: Compared) -> Path:
    """Return its folder."""
    return two_seeds.folder / "out"


def record_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = one_json((out / "compare.json").read_text("utf-8"))
    return found


def csv_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "compare.csv").open(encoding="utf-8", newline="") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def row_of(record: dict[str, Any], model: str) -> dict[str, Any]:
    return next(row for row in record["table"] if row["model"] == model)


def numbers(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the table without values that vary between runs: times, memory, and scores of parallel Gibbs sampling."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in record["table"]
        if row["model"] != "lda-tomotopy"
    ]


# ---------------------------------------------------------------- output


def test_lda_is_in_every_table_and_each_fit_is_reported(two_seeds: Compared, out: Path) -> None:
    record = record_of(out)
    assert record["status"] == "complete"
    assert record["models"] == [row["model"] for row in record["table"]] == ["nmf", "lda"]
    assert (record["topics"], record["seeds"], record["corpus"]["name"]) == (3, 2, "news")
    assert [row["fits"] for row in record["table"]] == [2] * len(record["table"])
    assert all(row["errors"] == [] for row in record["table"])
    cells = [(seed, name) for seed in (0, 1) for name in ("nmf", "lda")]
    for number, (seed, name) in enumerate(cells, 1):
        reseeded, ended = two_seeds.messages[2 * number - 2 : 2 * number]
        assert reseeded == f"{number}/4 {name}, seed {seed}: fitting"
        assert ended.startswith(f"{number}/4 {name}, seed {seed}: NPMI ")
    assert {path.name for path in out.iterdir()} == {
        "train", "test", "cells", "compare.json", "compare.csv", "compare.html"
    }  # fmt: skip


def test_the_table_holds_mean_and_spread_of_the_cells(out: Path) -> None:
    record = record_of(out)
    for row in record["table"]:
        cells = [cell for cell in record["cells"] if cell["model"] == row["model"]]
        assert sorted(cell["seed"] for cell in cells) == [0, 1]
        for cell in cells:
            scores = cell["scores"]
            values = {name: scores["coherence"][name]["value"] for name in ("npmi", "c_v")}
            values["topic_diversity"] = scores["diversity"]["topic_diversity"]["value"]
            values |= {name: scores["perplexity"]["scores"][name]["value"] for name in ("inferred", "refined")}
            values |= {"nmi": scores["labels"]["scores"]["nmi"]["value"], "seconds": cell["seconds"]}
            values["peak_memory_mb"] = cell["peak_memory_bytes"] / 2**20
            for name, value in values.items():
                assert row[name]["values"][cell["seed"]] == value
        for name in (*NUMBERS, *MEASURED):
            assert row[name]["mean"] == pytest.approx(np.mean(row[name]["values"]))
            assert row[name]["sd"] == pytest.approx(np.std(row[name]["values"], ddof=1))
        assert row["seconds"]["mean"] > 0
        assert 10 < row["peak_memory_mb"]["mean"] < 10_000


def test_every_score_of_a_cell_has_its_convention(out: Path) -> None:
    for cell in record_of(out)["cells"]:
        scores = cell["scores"]
        for table in (scores["coherence"], scores["diversity"], scores["perplexity"]["scores"]):
            for name, one in table.items():
                assert one["convention"] == CONVENTIONS[name]
                assert isinstance(one["value"], float)
        assert scores["labels"]["without_label"] > 0


def test_the_csv_agrees_and_has_a_line_for_the_unigram(out: Path) -> None:
    record, table = record_of(out), csv_of(out)
    assert list(table) == ["nmf", "lda", "unigram"]
    for row in record["table"]:
        assert table[row["model"]]["fits"] == "2"
        for name in (*NUMBERS, *MEASURED):
            assert float(table[row["model"]][name]) == row[name]["mean"]
            assert float(table[row["model"]][f"{name}_sd"]) == row[name]["sd"]
        assert float(table[row["model"]]["stability"]) == row["stability"]["mean"]
        assert table[row["model"]]["stability_sd"] == ""  # two seeds are one pair
    filled = {name: value for name, value in table["unigram"].items() if value}
    assert filled == {"model": "unigram", "inferred": str(record["unigram_perplexity"])}


def test_the_printed_table_agrees(two_seeds: Compared, out: Path) -> None:
    record = record_of(out)
    heading, *lines = (line for line in printed(two_seeds.comparison).splitlines()[1:] if line)
    assert heading.split()[0] == "model"
    for name in ("NPMI", "C_V", "diversity", "perplexity", "seconds"):
        assert name in heading
    for row, line in zip(record["table"], lines[: len(record["table"])], strict=True):
        assert line.startswith(row["title"])
        for name in ("npmi", "c_v"):
            assert f"{row[name]['mean']:.3f} ± {row[name]['sd']:.3f}" in line
        assert f"{row['refined']['mean']:.0f} ± {row['refined']['sd']:.0f}" in line
    unigram = lines[len(record["table"])]
    assert unigram.split() == ["unigram", f"{record['unigram_perplexity']:.0f}"]
    assert unigram.rstrip().endswith(f"{record['unigram_perplexity']:.0f}")


def test_the_figure_needs_no_network(out: Path) -> None:
    page = (out / "compare.html").read_text("utf-8")
    assert len(page) > 1_000_000  # it includes plotly
    assert not re.search(r"<script[^>]*\ssrc\s*=", page)
    assert not re.search(r"<link[^>]*\shref\s*=", page)
    for row in record_of(out)["table"]:
        assert row["title"] in page


def test_the_unigram_is_fitted_and_scored_on_the_split(out: Path) -> None:
    train, test = (Corpus.load(out / part) for part in ("train", "test"))
    assert (train.n_docs, test.n_docs) == (54, 6)
    assert sorted(map(int, train.ids + test.ids)) == list(range(1, 61))
    expected = unigram_perplexity(train.counts, halves(test.counts)[1])
    assert record_of(out)["unigram_perplexity"] == pytest.approx(expected)


def test_stability_is_that_of_the_kept_topics(out: Path) -> None:
    for row in record_of(out)["table"]:
        topics = [np.load(out / "cells" / f"{row['model']}-3-{seed}.npy", allow_pickle=False) for seed in (0, 1)]
        assert not np.array_equal(*topics)
        assert row["stability"]["mean"] == pytest.approx(stability(topics).value)
        assert 0 < row["stability"]["mean"] < 1


# ---------------------------------------------------------------- interrupted


def workers_on(out: Path) -> list[int]:
    """Return the worker processes of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # the process has ended
            continue
        if b"topicnet.experiments.worker" in words and os.fsencode(out) in words:
            found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def interrupted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a comparison that Ctrl-C interrupted after the first fit of a neural model, and its files then."""
    folder = tmp_path_factory.mktemp("interrupted")
    out = folder / "out"
    options = ("compare", str(corpus), "--models", "nmf,etm", "--seeds", "1", "-k", "3", "--out", str(out))
    with start(*options, cwd=folder) as process:
        wait_for(process, "1/")
        wait_for(process, "1/")
        wait_for(process, f"2/{2 + len(ALWAYS)} etm, seed 0: fitting")
        time.sleep(0.2)
        fitting = workers_on(out)
        process.send_signal(signal.SIGINT)
        printed, message = process.communicate(timeout=SECONDS)
    cell = out / "cells" / "nmf-3-0.json"
    return SimpleNamespace(
        out=out, options=options, status=process.returncode, printed=printed, message=message, fitting=fitting,
        left=workers_on(out), record=record_of(out), table=csv_of(out), files=snapshot(out),
        kept=(cell, cell.read_bytes(), cell.stat().st_mtime_ns),
    )  # fmt: skip


@pytest.fixture(scope="module")
def resumed(interrupted: SimpleNamespace, warm: Warm) -> subprocess.CompletedProcess[str]:
    """Return the same command with --resume."""
    done = warm(*interrupted.options, "--resume", cwd=interrupted.out.parent)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_ctrl_c_keeps_finished_fits(interrupted: SimpleNamespace) -> None:
    assert interrupted.status == 130, interrupted.message
    assert "Traceback" not in interrupted.message
    assert "Warning" not in interrupted.message
    assert interrupted.message.splitlines()[-1].startswith("topicnet: interrupted")
    assert "--resume" in interrupted.message.splitlines()[-1]
    assert interrupted.record["status"] == "interrupted"
    assert [cell["model"] for cell in interrupted.record["cells"]] == ["nmf"]
    assert row_of(interrupted.record, "nmf")["fits"] == 1
    assert row_of(interrupted.record, "etm")["fits"] == 0
    assert interrupted.table["nmf"]["npmi"] != ""
    assert interrupted.table["etm"]["npmi"] == ""  # instead of 0
    assert "NMF" in interrupted.printed


@pytest.mark.slow
def test_ctrl_c_ends_the_running_fit(interrupted: SimpleNamespace) -> None:
    """It ends at once; a fit takes seconds here and may take an hour."""
    cells = {name for name in interrupted.files if name.startswith("cells/")}
    assert cells == {"cells/nmf-3-0.json", "cells/nmf-3-0.npy"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="looks for processes in /proc")
def test_ctrl_c_leaves_no_process_behind(interrupted: SimpleNamespace) -> None:
    assert interrupted.fitting != []
    assert interrupted.left == []


@pytest.mark.slow
def test_resume_fits_only_missing_cells(
    interrupted: SimpleNamespace, resumed: subprocess.CompletedProcess[str]
) -> None:
    path, content, changed = interrupted.kept
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == changed
    assert resumed.stderr.splitlines()[0].endswith("(kept)")
    assert "nmf, seed 0: fitting" not in resumed.stderr
    assert f"2/{2 + len(ALWAYS)} etm, seed 0: fitting" in resumed.stderr
    record = record_of(interrupted.out)
    assert record["status"] == "complete"
    assert [cell["model"] for cell in record["cells"]] == ["nmf", "etm", *ALWAYS]
    assert row_of(record, "nmf") == row_of(interrupted.record, "nmf")
    if Path("/proc/self/cmdline").is_file():
        assert workers_on(interrupted.out) == []


@pytest.mark.slow
def test_a_neural_model_is_listed_with_the_baselines(
    interrupted: SimpleNamespace, resumed: subprocess.CompletedProcess[str]
) -> None:
    record = record_of(interrupted.out)
    cell = next(cell for cell in record["cells"] if cell["model"] == "etm")
    assert cell["fit_for_use"] is True
    assert cell["verdict"]
    assert cell["epochs"] >= 1
    row = row_of(record, "etm")
    assert row["npmi"]["mean"] > 0.2  # four clear themes
    assert row["inferred"]["mean"] < record["unigram_perplexity"]
    assert row["stability"] is None  # undefined for one seed
    line = next(line for line in resumed.stdout.splitlines() if line.startswith("etm"))
    assert f"{row['npmi']['mean']:.3f}" in line
    assert "±" not in line
    assert resumed.stdout.splitlines()[-1] == f"wrote {interrupted.out}"


@pytest.mark.slow
def test_json_is_one_document_and_the_record(
    interrupted: SimpleNamespace, resumed: subprocess.CompletedProcess[str], warm: Warm
) -> None:
    again = warm(*interrupted.options, "--resume", "--json", "--quiet", cwd=interrupted.out.parent)
    assert (again.returncode, again.stderr) == (0, "")
    assert one_json(again.stdout) == record_of(interrupted.out)


# ---------------------------------------------------------------- invalid input

REFUSED = {
    # name: arguments, words of the message
    "an existing folder": (["--out", "out"], ["'out' exists already", "--resume", "--overwrite"]),
    "a foreign folder": (["--out", "mine", "--overwrite"], ["'mine'", "refusing to overwrite"]),
    "nothing to resume": (["--out", "new", "--resume"], ["no compare.json in 'new'"]),
    "a foreign folder to resume": (["--out", "mine", "--resume"], ["no compare.json in 'mine'"]),
    "an unknown model": (["--models", "nmf,bertopic"], ["'bertopic'", "etm, nvdm-gsm, w-lda, gmntm, lda", "nmf"]),
    "no seeds": (["--seeds", "0"], ["--seeds", "expected 1 or more"]),
    "no topics": (["-k", "0"], ["topics=0"]),
    "more topics than words": (["-k", "99"], ["-k 99", "48 words"]),
    "resumed with other topics": (["--out", "out", "--resume", "-k", "4"], ["'out'", "-k"]),
    "resumed with other words": (["--out", "out", "--resume", "--max-vocab", "20"], ["'out'", "text options"]),
    "resumed with other test documents": (["--out", "out", "--resume", "--test", "more.txt"], ["'out'"]),
    "test documents in another language": (["--test", "german.txt"], ["none of the 2 documents", "language"]),
    "an empty test file": (["--test", "empty.txt"], ["'empty'"]),
    "a missing test file": (["--test", "nowhere.txt"], ["nowhere.txt"]),
}
OVERWRITE = ("out", "--overwrite")
CORPORA = [
    # corpus, output folder, words of the message
    ("nowhere.txt", ("new",), ["nowhere.txt"]),
    ("empty.txt", ("new",), ["no documents"]),
    ("three.txt", ("new",), ["3 documents", "4 or more"]),
    ("three.txt", OVERWRITE, ["3 documents"]),
    ("more.txt", OVERWRITE, ["2 words"]),
]


@pytest.fixture
def place(out: Path, tmp_path: Path) -> Path:
    """Return a folder with a comparison, files of the user and corpora."""
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    (tmp_path / "german.txt").write_text("Planeten kreisen um die Sonne\nDie Mannschaft spielt\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "more.txt").write_text("goal team\nteam goal\ngoal goal team\nteam team goal\ngoal team goal\n")
    (tmp_path / "three.txt").write_text("".join(f"{words}\n" for words in list(THEMES.values())[:3]))
    return tmp_path


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_options_are_refused(case: str, warm: Warm, corpus: Path, place: Path) -> None:
    arguments, mentions = REFUSED[case]
    before = snapshot(place)
    assert_refused(warm("compare", corpus, *TWO_SEEDS, *arguments, cwd=place), *mentions)
    assert snapshot(place) == before


@pytest.mark.parametrize(("name", "target", "mentions"), CORPORA)
def test_a_corpus_that_cannot_be_compared_is_refused(
    name: str, target: tuple[str, ...], mentions: list[str], warm: Warm, place: Path
) -> None:
    """The results of an earlier comparison are kept."""
    before = snapshot(place)
    assert_refused(warm("compare", name, *TWO_SEEDS, "--out", *target, cwd=place), *mentions)
    assert snapshot(place) == before


def test_another_corpus_is_not_resumed(warm: Warm, place: Path) -> None:
    write_corpus(place / "news.jsonl", themed_documents(59))
    before = snapshot(place)
    assert_refused(warm("compare", "news.jsonl", *TWO_SEEDS, "--out", "out", "--resume", cwd=place), "another corpus")
    assert snapshot(place) == before


def test_a_damaged_record_is_not_resumed(warm: Warm, corpus: Path, place: Path) -> None:
    record = place / "out" / "compare.json"
    record.write_text(record.read_text()[:-20])
    again = ("compare", corpus, *TWO_SEEDS, "--out", "out", "--resume")
    assert_refused(warm(*again, cwd=place), "compare.json", "damaged", "--out")


# ---------------------------------------------------------------- fits and failures


@pytest.mark.slow
def test_the_same_seeds_give_the_same_scores(
    two_seeds: Compared, corpus: Path, interrupted: SimpleNamespace, resumed: subprocess.CompletedProcess[str]
) -> None:
    """Scores do not depend on the processes or on the other models."""
    alone, beside = ({cell["model"]: cell for cell in record_of(o)["cells"] if cell["seed"] == 0}
                     for o in (two_seeds.folder / "out", interrupted.out))  # fmt: skip
    for name in ("nmf", "lda"):
        assert alone[name]["scores"] == beside[name]["scores"]
    assert record_of(interrupted.out)["unigram_perplexity"] == record_of(two_seeds.folder / "out")["unigram_perplexity"]


def test_a_damaged_cell_is_fitted_again(compared: Compared, corpus: Path) -> None:
    before = compared(corpus, seeds=2)
    assert compared.fitted == ["nmf-3-0", "lda-3-0", "nmf-3-1", "lda-3-1"]
    cells = compared.folder / "out" / "cells"
    cut, empty, lost = cells / "nmf-3-0.json", cells / "lda-3-0.json", cells / "nmf-3-1.npy"
    cut.write_bytes(cut.read_bytes()[:-100])
    empty.write_bytes(b"")
    lost.unlink()
    after = compared(corpus, seeds=2, resume=True)
    assert compared.fitted == ["nmf-3-0", "lda-3-0", "nmf-3-1"]
    assert numbers(after) == numbers(before)


def test_a_cell_of_other_parameters_is_fitted_again(compared: Compared, corpus: Path) -> None:
    compared(corpus)
    path = compared.folder / "out" / "cells" / "nmf-3-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parameters": {"hidden_dim": 7}}))
    compared(corpus, resume=True)
    assert compared.fitted == ["nmf-3-0"]


def test_resume_may_add_seeds_and_models(compared: Compared, corpus: Path) -> None:
    compared(corpus, models="lda")
    record = compared(corpus, seeds=2, resume=True)
    assert compared.fitted == ["nmf-3-0", "nmf-3-1", "lda-3-1"]
    assert [row["fits"] for row in record["table"]] == [2, 2]


def test_overwrite_repeats_every_fit(compared: Compared, corpus: Path) -> None:
    compared(corpus, seeds=2)
    compared(corpus, models="lda", topics=2, overwrite=True)
    assert compared.fitted == ["lda-2-0"]
    assert {path.name for path in (compared.folder / "out" / "cells").iterdir()} == {"lda-2-0.json", "lda-2-0.npy"}


def test_without_plotly_only_the_figure_is_left_out(
    compared: Compared, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topicnet.experiments.figures.is_installed", lambda module: module != "plotly")
    compared(corpus)
    assert [one for one in compared.messages if "plotly" in one] == [
        "no figure was drawn: the figure of compare needs plotly, which is not installed: pip install"
        " 'topicnet-neural[plots]'"
    ]
    assert sorted(path.name for path in (compared.folder / "out").glob("compare.*")) == ["compare.csv", "compare.json"]
    compared(corpus, seeds=2, resume=True)
    compared(corpus, overwrite=True)


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"mine")


STRANGERS = {
    "notes": (lambda out: (out / "notes.md").write_text("mine"), "'notes.md'"),
    "notes among the cells": (lambda out: (out / "cells/notes.md").write_text("mine"), "'cells/notes.md'"),
    "notes next to the counts": (lambda out: (out / "train/notes.md").write_text("mine"), "'train/notes.md'"),
    "an edited table": (lambda out: edit(out / "compare.csv"), "'compare.csv (changed)'"),
    "an edited cell": (lambda out: edit(out / "cells/nmf-3-0.json"), "'cells/nmf-3-0.json (changed)'"),
    "edited words": (lambda out: edit(out / "test/vocabulary.txt"), "'test/vocabulary.txt'"),
}


@pytest.fixture
def finished(two_seeds: Compared, tmp_path: Path) -> Compared:
    """Return a finished comparison to extend."""
    shutil.copytree(two_seeds.folder / "out", tmp_path / "out")
    return Compared(tmp_path)


@pytest.mark.parametrize("case", STRANGERS)
def test_a_comparison_with_files_of_the_user_is_never_replaced(case: str, finished: Compared, corpus: Path) -> None:
    change, mentions = STRANGERS[case]
    change(finished.folder / "out")
    before = snapshot(finished.folder)
    with pytest.raises(OutputError, match="did not write") as caught:
        finished(corpus, overwrite=True)
    assert mentions in str(caught.value)
    assert snapshot(finished.folder) == before


def test_a_table_that_the_user_edited_is_not_lost_by_resume(finished: Compared, corpus: Path) -> None:
    edit(finished.folder / "out/compare.csv")
    before = snapshot(finished.folder)
    with pytest.raises(OutputError, match="was changed"):
        finished(corpus, seeds=2, resume=True)
    assert snapshot(finished.folder) == before


def test_a_killed_or_old_comparison_is_replaced(finished: Compared, corpus: Path) -> None:
    """A killed comparison has cells that no record lists; a record of 0.1.0 lists no files and has no checksum."""
    out = finished.folder / "out"
    record = record_of(out)
    for name in ("files", "checksum"):
        record.pop(name)
    (out / "compare.json").write_text(json.dumps(record))
    (out / ".train.abcd1234.part").mkdir()
    (out / ".train.abcd1234.part/data.npy").write_bytes(b"half")
    (out / "cells/nmf-3-1.json").unlink()
    finished(corpus, models="lda", topics=2, overwrite=True)
    assert {path.name for path in (out / "cells").iterdir()} == {"lda-2-0.json", "lda-2-0.npy"}
    assert not list(out.glob(".*"))


def test_a_failed_fit_is_reported_and_tried_again(
    compared: Compared, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: NMF, X: Any) -> NMF:
        raise InputError("too little of everything: give more")

    with monkeypatch.context() as patch:
        patch.setattr(NMF, "fit", fail)
        record = compared(corpus)
    row = row_of(record, "nmf")
    assert (row["fits"], row["errors"]) == (0, ["too little of everything: give more"])
    assert all(row[name] is None for name in (*NUMBERS, *MEASURED))
    assert row_of(record, "lda")["fits"] == 1
    shown = printed(compared.comparison)
    assert "NMF (scikit-learn) failed: too little of everything" in shown
    line = next(line for line in shown.splitlines() if line.startswith("NMF (scikit-learn)  "))
    assert "0" not in line  # a failure has no score, not a score of 0
    assert set(csv_of(compared.folder / "out")["nmf"].values()) == {"nmf", "0", ""}
    again = compared(corpus, resume=True)
    assert compared.fitted == ["nmf-3-0"]
    assert row_of(again, "nmf")["fits"] == 1


def test_an_infinite_perplexity_is_null_and_printed_as_infinite(compared: Compared, tmp_path: Path) -> None:
    """NMF gives probability 0 to a word that no document of the fit contains."""
    names = [chr(97 + d // 26) + chr(97 + d % 26) + "q" for d in range(60)]
    texts = [" ".join([text, *[name] * 6]) for text, name in zip(themed_documents(), names, strict=True)]
    compared.in_full = True
    record = compared(write_corpus(tmp_path / "rare.jsonl", texts), min_df=1, seeds=2)
    row = row_of(record, "nmf")
    for name in ("inferred", "refined"):
        assert row[name] == {"mean": None, "sd": None, "values": [None, None]}
        assert row_of(record, "lda")[name]["mean"] > 1
    assert row["npmi"]["mean"] is not None
    for cell in record["cells"]:
        one = cell["scores"]["perplexity"]["scores"]["inferred"]
        assert (one["value"] is None) == (cell["model"] == "nmf")
        assert ("low" in one) == (cell["model"] != "nmf")
    table = csv_of(compared.folder / "out")["nmf"]
    assert table["inferred"] in ("", "inf")
    line = next(line for line in printed(compared.comparison).splitlines() if line.startswith("NMF"))
    assert line.count("infinite") == 2


def test_test_documents_can_be_given(compared: Compared, corpus: Path, tmp_path: Path) -> None:
    texts = [*themed_documents(30)[20:], "", "zyzzyva"]
    test = write_corpus(tmp_path / "later.jsonl", texts)
    record = compared(corpus, test=test)
    train, held_out = (Corpus.load(compared.folder / "out" / part) for part in ("train", "test"))
    assert (train.n_docs, held_out.n_docs) == (60, 12)
    assert held_out.vocabulary == train.vocabulary
    expected = Corpus.from_texts(texts, vocabulary=train.vocabulary)
    np.testing.assert_array_equal(held_out.counts.toarray(), expected.counts.toarray())
    assert held_out.source["name"] == "later"
    perplexity = record["cells"][0]["scores"]["perplexity"]
    assert (perplexity["documents"], perplexity["left_out"]) == (10, 2)
    compared(corpus, test=test, resume=True)
    assert compared.fitted == []


def test_empty_documents_are_allowed(compared: Compared, tmp_path: Path) -> None:
    texts = ["", "1 2 3", *themed_documents(20), ""]
    record = compared(write_corpus(tmp_path / "holes.jsonl", texts), seeds=2)
    assert all(row["fits"] == 2 for row in record["table"])
    assert all(row["nmi"] is None for row in record["table"])  # without labels
    assert csv_of(compared.folder / "out")["nmf"]["nmi"] == ""


def test_one_topic(compared: Compared, corpus: Path) -> None:
    for row in compared(corpus, topics=1, seeds=2)["table"]:
        assert row["nmi"]["mean"] == 0
        assert row["topic_diversity"]["mean"] == 1
        assert row["stability"] is None  # a single topic is the word distribution of the corpus, for every seed


def test_a_vocabulary_of_one_word(compared: Compared, tmp_path: Path) -> None:
    record = compared(write_corpus(tmp_path / "one.jsonl", ["goal goal goal goal"] * 12), topics=1, seeds=2)
    for row in record["table"]:
        assert (row["fits"], row["npmi"]) == (2, None)
        assert row["inferred"]["mean"] == pytest.approx(1)
    assert "nan" not in printed(compared.comparison)


def test_four_documents_are_enough(compared: Compared, tmp_path: Path) -> None:
    record = compared(write_corpus(tmp_path / "four.jsonl", themed_documents(4)), topics=2)
    assert all(row["fits"] == 1 for row in record["table"])


def test_a_label_column_without_a_label(compared: Compared, tmp_path: Path) -> None:
    """A label column without any label is treated as missing."""
    record = compared(write_corpus(tmp_path / "bare.jsonl", themed_documents(), label=lambda d: None))
    assert [row["errors"] for row in record["table"]] == [[], []]
    assert [row["fits"] for row in record["table"]] == [1, 1]


def test_test_documents_that_cannot_be_scored_are_refused_before_the_first_fit(
    compared: Compared, corpus: Path, tmp_path: Path
) -> None:
    words = [words.split()[d % 3] for d, words in enumerate(list(THEMES.values()) * 6)]
    test = write_corpus(tmp_path / "words.jsonl", words)
    with pytest.raises(InputError):
        compared(corpus, test=test)
    assert compared.fitted == []


def test_a_model_whose_library_is_missing_is_refused(
    compared: Compared, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topicnet.experiments.baselines.installed", lambda name: name != "lda-tomotopy")
    with pytest.raises(InputError, match="tomotopy"):
        compared(corpus, models="lda-tomotopy")
    assert not (compared.folder / "out").exists()


def cut_short(compared: Compared, *arguments: Any, **more: Any) -> None:
    """Run `compare` with Ctrl-C while the second part of the corpus is written."""
    save, saved = Corpus.save, []

    def interrupted_save(self: Corpus, folder: Path) -> None:
        saved.append(folder)
        if len(saved) == 2:
            raise KeyboardInterrupt
        save(self, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Corpus, "save", interrupted_save)
        with pytest.raises(KeyboardInterrupt):
            compared(*arguments, **more)


def test_a_comparison_interrupted_before_the_first_fit_can_be_repeated(compared: Compared, corpus: Path) -> None:
    cut_short(compared, corpus)
    tried: list[str] = []
    for way in ("overwrite", "resume"):
        try:
            tried.append(compared(corpus, **{way: True})["status"])
        except TopicnetError as error:
            tried.append(str(error))
    assert "complete" in tried, tried


def test_ctrl_c_while_overwriting_mixes_no_corpora(compared: Compared, corpus: Path, tmp_path: Path) -> None:
    """The record of the earlier comparison must not be valid for the corpus of the new one."""
    compared(corpus)
    other = write_corpus(tmp_path / "other.jsonl", themed_documents(40))
    cut_short(compared, other, overwrite=True)
    try:
        compared(corpus, resume=True)
    except TopicnetError:
        return
    assert Corpus.load(compared.folder / "out" / "train").n_docs == 54


# ---------------------------------------------------------------- split and worker


def test_a_tenth_of_the_documents_with_words_is_held_out() -> None:
    texts = [text if d % 3 else "" for d, text in enumerate(themed_documents(120))]
    corpus = Corpus.from_texts(texts, options=TextOptions())
    train, test = split(corpus)
    assert test.n_docs == 8  # of 80
    assert (test.status == "ok").all()
    assert sorted(map(int, train.ids + test.ids)) == list(range(1, 121))
    assert split(corpus)[1].ids == test.ids
    assert train.source["name"] == "texts" != test.source["name"]


@pytest.mark.parametrize("n_docs", [0, 1, 3])
def test_too_few_documents_to_hold_some_out(n_docs: int) -> None:
    corpus = Corpus.from_texts(["goal team"] * n_docs + [""] * 20, vocabulary=["goal", "team"])
    with pytest.raises(InputError, match=f"{n_docs} documents"):
        split(corpus)


def test_a_killed_worker_is_an_error_and_does_not_hang(tmp_path: Path) -> None:
    by = Workers(tmp_path)
    try:
        os.kill(by.process.pid, signal.SIGKILL)
        by.process.wait(timeout=SECONDS)
        found = by.run(Cell("lda", 2, 0))
    finally:
        by.close()
    assert isinstance(found, FailedCell)
    assert "was killed" in found.error
