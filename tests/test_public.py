"""The Python interface: `fit`, `Run`, and errors that first-time users make."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

import topicnet
from tests.support.corpora import texts
from topicnet.errors import InputError, OutputError
from topicnet.runtime.interrupt import FitInterrupted

QUICK = {"max_df": 1.0, "hidden_dim": 8, "embedding_dim": 4, "max_epochs": 2}


@pytest.fixture(scope="module")
def run():
    return topicnet.fit([*texts(), "", None, "12345", "zzz"], n_topics=3, **QUICK)


def test_every_public_name_can_be_imported():
    for name in topicnet.__all__:
        assert getattr(topicnet, name) is not None
    assert set(topicnet.__all__) <= set(dir(topicnet))
    with pytest.raises(AttributeError):
        topicnet.nothing  # noqa: B018


def test_every_document_has_a_row(run):
    assert run.theta.shape == (94, 3)
    assert run.status[-4:] == ["empty", "empty", "oov", "oov"]
    table = run.doc_topic()
    assert isinstance(table, pd.DataFrame)
    assert table["doc_id"].tolist() == [str(n) for n in range(1, 95)]
    assert table["top_topic"].isna().tolist() == [False] * 90 + [True] * 4
    assert np.array_equal(table[["topic_0", "topic_1", "topic_2"]].to_numpy(np.float32), run.theta)


def test_sizes_count_only_documents_with_known_words(run):
    assert np.allclose(run.sizes, run.theta[:90].mean(0), atol=1e-6)


def test_topics_is_a_table(run):
    table = run.topics(4)
    assert table.shape == (3, 3)
    assert all(len(words.split()) == 4 for words in table["words"])
    assert table["size"].sum() == pytest.approx(1, abs=1e-5)


def test_theta_is_the_transform_of_the_texts(run):
    assert np.array_equal(run.theta, run.transform([*texts(), "", "", "12345", "zzz"]))


def test_typical_documents_show_their_topic(run):
    for topic in range(3):
        for row in run.typical_documents(topic):
            assert run.theta[row].argmax() == topic


def test_metrics_state_their_conventions(run):
    assert set(run.metrics) == {"npmi", "topic_diversity", "validation_bound"}
    assert all(score["convention"] for score in run.metrics.values())
    assert -1 <= run.metrics["npmi"]["value"] <= 1


def test_saving_twice_is_refused_and_overwriting_works(run, tmp_path):
    run.save(tmp_path / "run")
    with pytest.raises(OutputError, match="overwrite"):
        run.save(tmp_path / "run")
    run.save(tmp_path / "run", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"n_topics": 0}, "n_topics"), ({"n_topics": 999}, "999"), ({"model": "lda"}, "lda"), ({"lang": "xx"}, "xx"),
        ({"nonsense": 1}, "nonsense"), ({"min_df": -1}, "min_df"), ({"random_state": -1}, "random_state"),
        ({"ids": ["a"]}, "ids"),
    ],
)  # fmt: skip
def test_the_error_of_a_bad_argument_names_it(arguments, word):
    with pytest.raises(InputError, match=word):
        topicnet.fit(texts(), **(QUICK | {"n_topics": 3} | arguments))


def test_ctrl_c_leaves_a_fitted_model_and_still_raises():
    corpus = topicnet.Corpus.from_texts(texts(), options=topicnet.TextOptions(pruning=topicnet.Pruning(max_df=1.0)))
    model = topicnet.ETM(3, max_epochs=10**6, patience=10**6, random_state=0)
    seen = threading.Event()

    def press():
        seen.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(FitInterrupted):
        model.fit(corpus.counts, listener=lambda progress: seen.set() if progress.stage == "train" else None)
    thread.join()
    assert issubclass(FitInterrupted, KeyboardInterrupt)
    assert model.stopped_ == "interrupted"
    assert model.transform(corpus.counts).shape == (90, 3)


@pytest.mark.slow
def test_a_run_is_bitwise_reproducible_in_another_process(run, tmp_path):
    script = (
        "import sys, json, topicnet; texts = json.load(sys.stdin);"
        f"run = topicnet.fit(texts, n_topics=3, **{QUICK!r}); run.save(sys.argv[1])"
    )
    given = json.dumps([*texts(), "", None, "12345", "zzz"])
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], input=given, text=True, check=True)
    run.save(tmp_path / "b")
    for name in ("doc_topic.csv", "topic_word.csv", "topics.json", "model/model.safetensors", "model/vocabulary.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_importing_topicnet_is_quick_and_light():
    script = "import sys, topicnet; print([m for m in ('torch', 'sklearn', 'polars', 'pandas') if m in sys.modules])"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "given",
    [{"text": ["a b"]}, {"a b"}, b"a b", None, 5],
    ids=lambda g: type(g).__name__,
)
def test_a_mapping_or_set_is_not_read_as_a_list_of_texts(run, given):
    """Iterating over a mapping gives its keys: silently the wrong number of rows."""
    with pytest.raises(InputError, match="expected a list of texts"):
        run.transform(given)


def test_stop_words_given_as_one_string_are_refused():
    with pytest.raises(InputError, match="brackets"):
        topicnet.fit(texts(), stop_words="the", **QUICK)


def test_a_loaded_run_can_be_saved_again_completely(run, tmp_path):
    run.save(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    topicnet.load(tmp_path / "run").save(tmp_path / "run", overwrite=True)
    after = {p.name: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert after == before


def test_numpy_integers_are_accepted():
    assert topicnet.fit(texts(), n_topics=np.int64(2), **QUICK).theta.shape == (90, 2)
