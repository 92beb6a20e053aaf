"""Every model on the command line, and the options of single models."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support.command_line import COMMAND, ENVIRONMENT, SECONDS, Warm, snapshot
from tests.support.corpora import themed_documents
from topicnet.models import MODELS

ALL = pytest.mark.parametrize("model", MODELS)
FAST = ["--epochs", "4", "--min-df", "1", "--max-df", "1.0", "-k", "4", "--param", "hidden_dim=16"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "news.txt"
    path.write_text("\n".join([*themed_documents(160), "", "12345"]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def runs(corpus: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of each model, named like the model."""
    folder = tmp_path_factory.mktemp("runs")
    for model in MODELS:
        done = warm("fit", corpus, "--model", model, "--out", model, *FAST, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text("utf-8"))


@ALL
def test_a_run_ends_with_a_health_report(model: str, runs: Path) -> None:
    health = record(runs / model)["health"]
    assert health["verdict"].split(":")[0] in ("healthy", "usable", "unfit")
    assert set(health) == {
        "verdict", "fit_for_use", "findings", "duplicates", "dead", "usage", "active_units", "reseeded", "rollbacks",
    }  # fmt: skip
    history = pl.read_csv(runs / model / "history.csv")
    assert {MODELS[model].DIVERGENCE, "active_units", "duplicate_pairs", "dead_topics"} <= set(history.columns)


@ALL
def test_topics_transform_and_export(model: str, runs: Path, corpus: Path, warm: Warm, tmp_path: Path) -> None:
    run = runs / model
    shown = warm("topics", run, "--json", cwd=tmp_path)
    assert (shown.returncode, len(json.loads(shown.stdout)["topics"])) == (0, 4)
    done = warm("transform", run, corpus, "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (run / "doc_topic.csv").read_bytes()
    done = warm("export", run, "--doc-topic", "d.parquet", "--topic-word", "w.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "d.parquet").height == 162
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert np.allclose(arrays["beta"].sum(1), 1, atol=1e-5)


@ALL
def test_the_same_seed_gives_bitwise_equal_results(
    model: str, runs: Path, corpus: Path, warm: Warm, tmp_path: Path
) -> None:
    done = warm("fit", corpus, "--model", model, "--out", "again", *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, again = snapshot(runs / model), snapshot(tmp_path / "again")
    assert first.keys() == again.keys()
    for name in first:
        if name.endswith((".csv", ".safetensors")) and name != "history.csv":
            assert first[name] == again[name], name


def test_refine_is_refused_for_models_that_are_not_mixtures(
    runs: Path, corpus: Path, warm: Warm, tmp_path: Path
) -> None:
    done = warm("transform", runs / "w-lda", corpus, "--out", "theta.csv", "--refine", "5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "refine=5 given, but under the product decoder" in done.stderr
    assert not (tmp_path / "theta.csv").exists()


def test_components_of_gmntm_are_written_and_exported(runs: Path, warm: Warm, tmp_path: Path) -> None:
    run = runs / "gmntm"
    table = pl.read_csv(run / "doc_component.csv")
    assert table.columns == ["doc_id", "status", "top_component", *(f"component_{c}" for c in range(4))]
    assert table.height == 162
    assert table["top_component"].is_null().to_list() == [False] * 160 + [True] * 2
    shares = table.select(pl.col("^component_.*$")).to_numpy()
    assert np.allclose(shares.sum(1), 1, atol=1e-5)
    done = warm("export", run, "--doc-component", "c.csv", "--component-word", "w.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.csv").read_bytes() == (run / "doc_component.csv").read_bytes()
    assert pl.read_parquet(tmp_path / "w.parquet").columns == ["component", "rank", "word", "probability"]


def test_components_of_gmntm_are_scored_beside_its_topics(runs: Path, warm: Warm, tmp_path: Path) -> None:
    run = runs / "gmntm"
    entries = json.loads((run / "topics.json").read_text("utf-8"))
    components = [one for one in entries if "component" in one]
    assert [one["component"] for one in components] == [0, 1, 2, 3]
    assert [one["topic"] for one in entries[: -len(components)]] == list(range(len(entries) - 4))
    assert sum(one["size"] for one in components) == pytest.approx(1, abs=1e-4)
    scored = json.loads((run / "metrics.json").read_text("utf-8"))["component"]
    assert scored["npmi"]["of_each"] == [one["scores"]["npmi"] for one in components]
    assert scored["npmi"]["value"] == pytest.approx(np.mean(scored["npmi"]["of_each"]))
    assert 0 < scored["topic_diversity"]["value"] <= 1
    few, many = (json.loads(warm("topics", run, "--top", top, "--json", cwd=tmp_path).stdout) for top in ("3", "60"))
    for table in (few, many):  # the second reads the model
        assert [one["npmi"] for one in table["components"]] == scored["npmi"]["of_each"]
        assert [one["words"][:3] for one in table["components"]] == [one["words"][:3] for one in components]
    assert "component  share  top words" in warm("topics", run, cwd=tmp_path).stdout


def test_other_models_have_no_components(runs: Path, warm: Warm, tmp_path: Path) -> None:
    assert not (runs / "etm" / "doc_component.csv").exists()
    done = warm("export", runs / "etm", "--doc-topic", "d.csv", "--doc-component", "c.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "--doc-component given, but etm has no components: only gmntm has them" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_changed_component_table_is_refused(corpus: Path, warm: Warm, tmp_path: Path) -> None:
    done = warm("fit", corpus, "--model", "gmntm", "--out", "run", *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = tmp_path / "run/doc_component.csv"
    table.write_bytes(table.read_bytes().replace(b"ok", b"xx", 1))
    done = warm("export", "run", "--doc-topic", "d.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "doc_component.csv" in done.stderr


# ---------------------------------------------------------------- options


def test_parameters_of_a_model_by_name(corpus: Path, warm: Warm, tmp_path: Path) -> None:
    given = ["--decoder", "product", "--param", "noise=0.1", "--param", "prior=gaussian-mixture"]
    done = warm("fit", corpus, "--model", "w-lda", "--out", "run", *FAST, *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = record(tmp_path / "run")["model_parameters"]
    assert (kept["noise"], kept["prior"], kept["decoder"]) == (0.1, "gaussian-mixture", "product")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--param", "noise"], "NAME=VALUE"),
        (["--param", "=3"], "NAME=VALUE"),
        (["--param", "noise=[1"], "NAME=VALUE"),
        (["--param", "noise=much"], "noise='much'"),
        (["--param", "decoder=banana"], "decoder='banana'"),
        (["--param", "max_epochs=3"], "max_epochs was given twice"),
        (["--param", "weight_decay=-1e-3"], "weight_decay=-0.001"),
        (["--param", "magic=1"], "parameter 'magic' given, w-lda has:"),
        (["--decoder", "mlp"], "decoder='mlp'"),
        (["--embeddings", "train"], "parameter 'embeddings' given, w-lda has:"),
        (["--param", "kernel=rbf"], "kernel='rbf' given, expected one of diffusion, gaussian, imq"),
    ],
)
def test_a_bad_parameter_is_refused_in_one_line(
    corpus: Path, warm: Warm, tmp_path: Path, given: list[str], message: str
) -> None:
    done = warm("fit", corpus, "--model", "w-lda", "--out", "run", *FAST, *given, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["glove", "word2vec", "binary", "train"])
def test_etm_takes_word_vectors(corpus: Path, warm: Warm, tmp_path: Path, form: str) -> None:
    words = ["match", "team", "planet", "orbit", "bank", "Flour"]
    rows = np.random.default_rng(0).normal(size=(len(words), 8)).astype(np.float32)
    header = b"" if form == "glove" else f"{len(words)} 8\n".encode()
    lines = [
        word.encode() + b" " + (row.tobytes() if form == "binary" else " ".join(map(str, row)).encode()) + b"\n"
        for word, row in zip(words, rows, strict=True)
    ]
    (tmp_path / "vectors").write_bytes(header + b"".join(lines))
    given = ["--embeddings", "train" if form == "train" else "vectors", "--param", "embedding_dim=8"]
    frozen = ["--param", "freeze_embeddings=true"]
    done = warm("fit", corpus, "--out", "run", *FAST, *given, *frozen, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "word vectors:" in done.stderr
    if form != "train":
        assert "words have no vector" in done.stderr
    assert record(tmp_path / "run")["model_parameters"]["embeddings"] == given[1]
    done = warm("transform", "run", corpus, "--out", "theta.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theta.csv").read_bytes() == (tmp_path / "run/doc_topic.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "check the path"), (b"match 1 2 nonsense\n", "vectors"), (b"\x80\x04pickle", "vectors"), (b"", "vectors")],
)
def test_unreadable_word_vectors_are_refused_in_one_line(
    corpus: Path, warm: Warm, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "vectors").write_bytes(content)
    done = warm("fit", corpus, "--out", "run", *FAST, "--embeddings", "vectors", "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- health


def test_strict_exits_3_when_the_model_is_unfit(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "same.txt").write_text("the striker scored a late penalty goal\n" * 60, "utf-8")
    given = ["fit", "same.txt", "-k", "4", "--epochs", "3", "--max-df", "1.0", "--quiet"]
    done = warm(*given, "--out", "a", "--strict", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("unfit: ")
    assert "topics duplicate another" in done.stderr
    assert done.stderr.count("\n") == 1
    assert record(tmp_path / "a")["health"]["fit_for_use"] is False
    done = warm(*given, "--out", "b", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_strict_exits_0_when_the_model_is_fit(corpus: Path, warm: Warm, tmp_path: Path) -> None:
    done = warm("fit", corpus, "--out", "run", *FAST, "--strict", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "healthy: no duplicate or unused topics" in done.stderr


# ---------------------------------------------------------------- interrupted


# ETM is tested in test_interrupt.py and test_resume.py; all models share the training loop.
@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["gmntm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nvdm-gsm", "w-lda"))]
)
def test_ctrl_c_leaves_a_run_that_can_be_read_and_resumed(model: str, corpus: Path, warm: Warm, tmp_path: Path) -> None:
    given = ["fit", str(corpus), "--model", model, "--out", "run", *FAST, "--epochs", "150"]
    given += ["--param", "patience=1000"]
    process = subprocess.Popen(
        [*COMMAND, *given], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training"):
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert record(tmp_path / "run")["status"] == "interrupted"
    done = warm("topics", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = warm(*given, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert record(tmp_path / "run")["status"] == "complete"
    epochs = pl.read_csv(tmp_path / "run/history.csv")["epoch"].to_list()
    assert epochs == list(range(1, 151))
