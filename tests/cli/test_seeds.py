"""`fit --seeds N` keeps the best run by a stated rule and marks topics that other seeds do not reproduce."""

import json
import math
import shutil
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import topicnet
from tests.support.command_line import QUICK, Warm, assert_refused, fit_here, one_json
from tests.support.corpora import themed_documents
from topicnet.evaluate.stability import stability
from topicnet.runtime.reporter import Reporter
from topicnet.workflows import fit as workflow
from topicnet.workflows.config import FitConfig
from topicnet.workflows.fit import FitJob, fit_seeds, resolve_job
from topicnet.workflows.run import FRAGILE, Run
from topicnet.workflows.scores import STABILITY, topic_quality

OPTIONS = ("-k", "4", "--epochs", "1")


@pytest.fixture(scope="module")
def done(warm: Warm, themed: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Return the output of a fit of four clear themes with seeds 5, 6 and 7."""
    folder = tmp_path_factory.mktemp("seeds")
    return warm("fit", themed, *OPTIONS, "--seed", "5", "--seeds", "3", "--out", "run", cwd=folder)


@pytest.fixture(scope="module")
def run(done: subprocess.CompletedProcess[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its folder; tests must not change it."""
    assert done.returncode == 0, done.stderr
    return tmp_path_factory.getbasetemp() / "seeds0" / "run"


@pytest.fixture(scope="module")
def vague(themed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return stderr and folder of a short fit with more topics than themes."""
    folder = tmp_path_factory.mktemp("vague")
    options = ("-k", "8", "--epochs", "1", "--init", "random", "--seeds", "2")
    status, _, message = fit_here(themed, *options, "--out", "run", cwd=folder)
    assert status == 0
    return message, folder / "run"


def read(run: Path, name: str) -> Any:
    return one_json((run / f"{name}.json").read_text("utf-8"))


# ---------------------------------------------------------------- output


def test_the_seeds_are_listed_and_the_best_is_kept(run: Path) -> None:
    record, metrics = read(run, "run"), read(run, "metrics")
    assert record["status"] == "complete"
    assert [one["seed"] for one in record["seeds"]] == [5, 6, 7]
    usable = [one for one in record["seeds"] if one["fit_for_use"]]
    kept = metrics["stability"]["kept"]
    assert kept in {one["seed"] for one in usable}
    qualities = {one["seed"]: one["quality"] for one in usable}
    assert qualities[kept] == max(qualities.values())
    assert (record["seed"], record["config"]["seed"], record["config"]["seeds"]) == (kept, 5, 3)
    assert metrics["stability"]["seeds"] == [5, 6, 7]
    assert metrics["stability"]["convention"] == STABILITY
    expected = topic_quality(metrics["npmi"]["value"], metrics["topic_diversity"]["value"])
    assert qualities[kept] == pytest.approx(expected)


@pytest.mark.parametrize("which", ["clear", "vague"])
def test_each_topic_has_a_stability_and_a_mark(which: str, run: Path, vague: tuple[str, Path]) -> None:
    folder = run if which == "clear" else vague[1]
    scores = [topic["scores"] for topic in read(folder, "topics")]
    for one in scores:
        assert 0 <= one["stability"] <= 1
        assert one["fragile"] is (one["stability"] < FRAGILE)
    of_the_run = read(folder, "metrics")["stability"]["value"]
    assert of_the_run == pytest.approx(np.mean([one["stability"] for one in scores]))


def test_clear_themes_are_reproduced_with_every_seed(done: subprocess.CompletedProcess[str], run: Path) -> None:
    scores = [topic["scores"] for topic in read(run, "topics")]
    assert min(one["stability"] for one in scores) > 0.8
    assert not any(one["fragile"] for one in scores)
    stability = read(run, "metrics")["stability"]
    assert stability["value"] > 0.8
    assert stability["of_the_model"] > 0.8
    last = done.stderr.splitlines()[-1]
    assert f"kept seed {stability['kept']} of the seeds 5, 6, 7" in last
    assert "the others reproduce all of its 4 topics" in last
    for number, seed in enumerate((5, 6, 7), 1):
        assert f"seed {seed}, {number} of 3" in done.stderr.splitlines()
    assert f"stability {stability['value']:.3f} over 3 seeds" in done.stdout


def test_vague_topics_are_named(vague: tuple[str, Path]) -> None:
    message, folder = vague
    scores = [topic["scores"] for topic in read(folder, "topics")]
    fragile = [k for k, one in enumerate(scores) if one["fragile"]]
    assert fragile
    last = message.splitlines()[-1]
    assert f"{len(fragile)} of its 8 topics {'is' if len(fragile) == 1 else 'are'} fragile" in last
    assert last.endswith(": " + ", ".join(map(str, fragile)))
    assert read(folder, "metrics")["stability"]["value"] < 0.8
    assert topicnet.load(folder).fragile == fragile


def test_a_fit_of_the_kept_seed_alone_is_the_same(themed: Path, run: Path, warm: Warm, tmp_path: Path) -> None:
    kept = read(run, "metrics")["stability"]["kept"]
    options = (*OPTIONS, "--seed", str(kept), "--seeds", "1")
    done = warm("fit", themed, *options, "--out", "alone", cwd=tmp_path)
    assert done.returncode == 0
    alone = tmp_path / "alone"
    for name in ("doc_topic.csv", "topic_word.csv", "model/model.safetensors"):
        assert (alone / name).read_bytes() == (run / name).read_bytes(), name
    assert "stability" not in read(alone, "metrics")
    assert "seeds" not in read(alone, "run")
    assert all(topic["scores"].keys() == {"npmi"} for topic in read(alone, "topics"))
    assert "fragile" not in done.stderr
    assert topicnet.load(alone).fragile == []
    quality = next(one["quality"] for one in read(run, "run")["seeds"] if one["seed"] == kept)
    metrics = read(alone, "metrics")
    assert quality == topic_quality(metrics["npmi"]["value"], metrics["topic_diversity"]["value"])


def test_loading_and_saving_keeps_the_stability(run: Path, vague: tuple[str, Path], tmp_path: Path) -> None:
    for name, folder in (("clear", run), ("vague", vague[1])):
        saved = topicnet.load(folder).save(tmp_path / name)
        for part in ("topics", "metrics"):
            assert read(saved, part) == read(folder, part)
        assert read(saved, "run")["seeds"] == read(folder, "run")["seeds"]
        assert topicnet.load(saved).fragile == topicnet.load(folder).fragile


def test_a_run_of_several_seeds_is_a_run(warm: Warm, themed: Path, run: Path, tmp_path: Path) -> None:
    done = warm("transform", run, themed, "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (run / "doc_topic.csv").read_bytes()
    done = warm("evaluate", run, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, metrics = one_json(done.stdout), read(run, "metrics")
    assert found["coherence"]["npmi"]["value"] == pytest.approx(metrics["npmi"]["value"])
    assert found["stability"] == metrics["stability"]
    for scored, topic in zip(found["per_topic"], read(run, "topics"), strict=True):
        assert {name: scored[name] for name in ("stability", "fragile")} == {
            name: topic["scores"][name] for name in ("stability", "fragile")
        }
    shown = warm("evaluate", run, cwd=tmp_path).stdout
    assert f"{metrics['stability']['value']:.3f}" in next(line for line in shown.splitlines() if "stability" in line)


def test_several_seeds_in_python() -> None:
    made = topicnet.fit(themed_documents(), n_topics=3, random_state=4, seeds=2, max_epochs=1, init="random")
    assert made.metrics["stability"]["seeds"] == [4, 5]
    assert made.stability is not None
    assert made.stability.shape == (3,)
    assert made.metrics["stability"]["value"] == pytest.approx(made.stability.mean())


# ---------------------------------------------------------------- refused, interrupted


@pytest.mark.parametrize(
    ("options", "mentions"),
    [
        (["--seeds", "0"], ["--seeds"]),
        (["--seeds", "-1"], ["--seeds"]),
        (["--seeds", "many"], ["--seeds"]),
        (["--config", "none.yaml"], ["seeds=0", "1 or more"]),
    ],
)
def test_no_seeds_are_refused(
    options: list[str], mentions: list[str], warm: Warm, themed: Path, tmp_path: Path
) -> None:
    (tmp_path / "none.yaml").write_text("seeds: 0\n")
    assert_refused(warm("fit", themed, *QUICK, *options, "--out", "run", cwd=tmp_path), *mentions)
    assert [path.name for path in tmp_path.iterdir()] == ["none.yaml"]


@pytest.fixture(scope="module")
def interrupted(themed: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a fit that Ctrl-C interrupted during its second seed."""
    folder = tmp_path_factory.mktemp("interrupted")
    fit_corpus, calls = workflow.fit_corpus, []

    def press_ctrl_c(*arguments: Any) -> Run:
        calls.append(arguments)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return fit_corpus(*arguments)

    on_sigint = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topicnet.workflows.fit.fit_corpus", press_ctrl_c)
        status, printed, message = fit_here(themed, *OPTIONS, "--seeds", "3", "--out", "run", cwd=folder)
    signal.signal(signal.SIGINT, on_sigint)
    return SimpleNamespace(run=folder / "run", status=status, printed=printed, message=message)


def test_ctrl_c_during_the_second_seed_keeps_the_first(
    interrupted: SimpleNamespace, warm: Warm, themed: Path, tmp_path: Path
) -> None:
    assert interrupted.status == 130, interrupted.message
    assert "seed 1, 2 of 3" in interrupted.message
    assert "seed 2, 3 of 3" not in interrupted.message
    assert interrupted.message.splitlines()[-1].startswith("topicnet: interrupted")
    assert interrupted.printed.endswith("wrote run\n")
    record = read(interrupted.run, "run")
    assert record["status"] == "interrupted"
    assert [one["seed"] for one in record["seeds"]] == [record["seed"]] == [0]
    assert "stability" not in read(interrupted.run, "metrics")  # a single run has no stability
    assert all("fragile" not in topic["scores"] for topic in read(interrupted.run, "topics"))
    assert sorted(path.name for path in interrupted.run.parent.iterdir()) == ["run", "run.unfinished"]
    shown = warm("topics", interrupted.run, "--json", cwd=tmp_path)
    assert len(one_json(shown.stdout)["topics"]) == 4
    done = warm("transform", interrupted.run, themed, "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (interrupted.run / "doc_topic.csv").read_bytes()


@pytest.mark.slow
def test_several_seeds_are_resumed_to_the_same_run(
    interrupted: SimpleNamespace, warm: Warm, themed: Path, tmp_path: Path
) -> None:
    for name in ("run", "run.unfinished"):
        shutil.copytree(interrupted.run.with_name(name), tmp_path / name)
    fit = ("fit", themed, *OPTIONS, "--out")
    assert_refused(warm(*fit, "run", "--resume", cwd=tmp_path), "seeds=1", "'run'", "--overwrite")
    for arguments in (("run", "--resume"), ("whole",)):
        done = warm(*fit, *arguments, "--seeds", "3", cwd=tmp_path, full_warm_up=True)  # like the interrupted fit
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "whole"]
    resumed, whole = (read(tmp_path / name, "run") for name in ("run", "whole"))
    assert resumed["seeds"] == whole["seeds"]
    assert (resumed["seed"], resumed["status"]) == (whole["seed"], "complete")
    for name in ("doc_topic.csv", "topics.json", "metrics.json", "model/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert_refused(warm(*fit, "run", "--seeds", "3", "--resume", cwd=tmp_path), "'run' is complete")


# ---------------------------------------------------------------- the rule


BETAS = {name: np.random.default_rng(n).dirichlet(np.full(20, 0.2), 3) for n, name in enumerate("abc")}


def fitted(quality: float, fit_for_use: bool = True, *, beta: str = "a", interrupted: bool = False) -> Run:
    """Return the parts of a single-seed fit that the rule uses, with a diversity of 1, so that quality equals NPMI."""
    model = SimpleNamespace(components_=BETAS[beta], health_=SimpleNamespace(fit_for_use=fit_for_use))
    made: Any = SimpleNamespace(
        bundle=SimpleNamespace(model=model), theta=None, ids=[], status=[], sizes=np.full(3, 1 / 3),
        coherence=np.full(3, quality), metrics={"npmi": {"value": quality}, "topic_diversity": {"value": 1.0}},
        record={"status": "interrupted" if interrupted else "complete"},
    )  # fmt: skip
    return Run(**vars(made))


def kept_of(monkeypatch: pytest.MonkeyPatch, *runs: Run, seed: int = 0) -> Run:
    """Return the run that is kept of these, fitted one after the other."""
    waiting = list(runs)

    def fit_corpus(job: FitJob, *rest: Any) -> Run:
        run = waiting.pop(0)
        run.record["seed"] = job.model.seed
        return run

    monkeypatch.setattr("topicnet.workflows.fit.fit_corpus", fit_corpus)
    job = resolve_job(FitConfig(corpus="lee", seed=seed, seeds=len(runs), topics=3))
    nothing: Any = None
    return fit_seeds(job, nothing, None, Reporter())


@pytest.mark.parametrize(
    ("qualities", "usable", "kept"),
    [
        ([0.1, 0.3, 0.2], [True, True, True], 1),
        ([0.1, 0.3, 0.2], [True, False, True], 2),  # a collapsed run is never kept, however coherent
        ([0.1, 0.3, 0.2], [False, False, False], 1),
        ([-0.4, 0.3], [True, False], 0),
        ([0.2, 0.2, 0.1], [True, True, True], 0),  # the first of equals
        ([-0.2, -0.1], [True, True], 1),
        ([math.nan, math.nan], [True, True], 0),  # topics of one word
    ],
)
def test_the_best_of_those_fit_for_use_is_kept(
    qualities: list[float], usable: list[bool], kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [fitted(quality, good) for quality, good in zip(qualities, usable, strict=True)]
    run = kept_of(monkeypatch, *runs, seed=10)
    assert run.record["seed"] == run.metrics["stability"]["kept"] == 10 + kept
    assert [one["seed"] for one in run.record["seeds"]] == [10 + n for n in range(len(runs))]
    assert [one["fit_for_use"] for one in run.record["seeds"]] == usable
    expected = [1.0 if math.isnan(quality) else quality for quality in qualities]
    assert [one["quality"] for one in run.record["seeds"]] == pytest.approx(expected)
    assert run.record["status"] == "complete"
    json.dumps(run.record["seeds"], allow_nan=False)


def test_stability_is_that_of_the_kept_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = kept_of(monkeypatch, fitted(0.1, beta="a"), fitted(0.3, beta="b"), fitted(0.2, beta="c"))
    expected = stability([BETAS["a"], BETAS["b"], BETAS["c"]])
    assert run.stability == pytest.approx(expected.topics[1])
    assert run.metrics["stability"]["value"] == pytest.approx(expected.runs[1])
    assert run.metrics["stability"]["of_the_model"] == pytest.approx(expected.value)
    assert run.fragile == [k for k in range(3) if expected.topics[1][k] < FRAGILE]
    assert run.fragile != []


def test_an_interrupted_fit_is_used_only_if_it_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    run = kept_of(monkeypatch, fitted(0.1), fitted(0.2), fitted(0.9, interrupted=True), fitted(0.9))
    assert [one["seed"] for one in run.record["seeds"]] == [0, 1]
    assert (run.record["seed"], run.record["status"]) == (1, "interrupted")
    assert run.interrupted
    assert run.metrics["stability"]["seeds"] == [0, 1]
    alone = kept_of(monkeypatch, fitted(0.1, interrupted=True), fitted(0.9))
    assert [one["seed"] for one in alone.record["seeds"]] == [0]
    assert alone.interrupted
    assert alone.stability is None


def test_the_seed_after_the_last_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    run = kept_of(monkeypatch, fitted(0.1), fitted(0.2), seed=2**32 - 1)
    assert [one["seed"] for one in run.record["seeds"]] == [2**32 - 1, 0]
