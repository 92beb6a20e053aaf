"""Paths between two documents: their points, words, documents met, and errors."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support.corpora import themed_documents
from topicnet import explore
from topicnet.errors import InputError
from topicnet.explore.path import path_table, step_words, write_path
from topicnet.explore.words import Mixture


@pytest.fixture(scope="module")
def run() -> topicnet.Run:
    texts = [*themed_documents(60), "", themed_documents(1)[0]]
    return topicnet.fit(
        texts, model="etm", n_topics=4, min_df=1, init="random", max_epochs=3, random_state=0, keep_texts=True
    )


def test_path_runs_from_one_document_to_the_other(run: topicnet.Run) -> None:
    found = run.path(0, 2, steps=5)
    assert [step.step for step in found.steps] == list(range(5))
    assert [step.at for step in found.steps] == [0, 0.25, 0.5, 0.75, 1]
    assert (found.steps[0].row, found.steps[-1].row) == (0, 2)
    np.testing.assert_allclose(found.theta[[0, -1]], run.theta[[0, 2]], rtol=1e-5)
    assert found.direct <= found.lower <= found.length <= found.straight
    assert found.converged
    assert repr(found) == f"DocumentPath('1' to '3': 5 steps, length {found.length:.3f})"


def test_steps_are_equally_far_apart(run: topicnet.Run) -> None:
    found = run.path(0, 2, steps=5)
    words = explore.word_model(run)
    steps = [explore.geodesic(words, a, b).length for a, b in zip(found.theta, found.theta[1:], strict=False)]
    np.testing.assert_allclose(steps, found.length / 4, rtol=0.01)


def test_documents_met_are_the_best_set_of_different_documents(run: topicnet.Run) -> None:
    found = run.path(0, 2, steps=7)
    rows = [step.row for step in found.steps]
    assert len(set(rows)) == 7
    assert 60 not in rows  # the empty document
    words = explore.word_model(run)
    for step, point in zip(found.steps[1:-1], found.theta[1:-1], strict=True):
        assert step.row is not None
        assert step.doc_id == run.ids[step.row]
        theta = run.theta[step.row].astype(float)
        assert step.distance == pytest.approx(explore.geodesic(words, point, theta / theta.sum()).length, rel=1e-4)
        assert run.corpus is not None
        assert run.corpus.texts is not None
        assert step.text == run.corpus.texts[step.row]


def test_each_word_is_listed_once(run: topicnet.Run) -> None:
    words = [word for step in run.path(0, 2).steps for word in step.words]
    assert len(words) == len(set(words))
    assert set(words) <= set(run.vocabulary)


def test_step_words_are_those_above_corpus_and_neighbours() -> None:
    beta = np.array([[0.8, 0.1, 0.05, 0.05], [0.05, 0.8, 0.1, 0.05], [0.05, 0.05, 0.1, 0.8]])
    found = step_words(Mixture(beta), np.eye(3), np.full(3, 1 / 3), ["a", "b", "c", "d"], 1)
    assert found == [["a"], ["b"], ["d"]]


def test_a_corpus_with_fewer_documents_than_steps_leaves_steps_without_one() -> None:
    texts = ["cat dog mouse", "bread butter jam", "cat butter mouse"]
    run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1, random_state=0)
    found = run.path(0, 1, steps=5)
    assert sorted(step.row for step in found.steps if step.row is not None) == [0, 1, 2]
    table = path_table(found)
    assert table["row"].null_count() == table["distance"].null_count() == table["doc_id"].null_count() == 2


def test_texts_that_were_not_kept_are_shown_by_their_words(tmp_path: Path) -> None:
    texts = ["Cat, dog!", "Bread & butter", "cat bread"] * 2
    run = topicnet.fit(texts, n_topics=2, min_df=1, init="random", max_epochs=1, random_state=0)
    loaded = topicnet.load(run.save(tmp_path / "run"))
    assert loaded.path(0, 1, steps=3).steps[0].text == "cat dog"
    assert loaded.neighbours(0, top=1)["text"].to_list() == ["cat dog"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_path_is_written_as_a_table(ending: str, run: topicnet.Run, tmp_path: Path) -> None:
    found = run.path(0, 2, steps=4)
    write_path(found, tmp_path / f"path.{ending}", overwrite=False)
    read = (pl.read_csv if ending == "csv" else pl.read_parquet)(tmp_path / f"path.{ending}")
    assert read.columns == ["step", "at", "doc_id", "row", "distance", "topics", "words", "text"]
    assert read["row"].to_list() == [step.row for step in found.steps]
    assert list(found.table().columns) == read.columns  # pandas


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((0, 0), "given as both ends"),
        ((0, "1"), "given as both ends"),
        ((0, 60), "no counted words"),
        (("nobody", 0), "no document 'nobody'"),
        ((0, 61), "the same topic proportions"),
    ],
)
def test_wrong_ends_are_refused(ends: tuple[str | int, str | int], message: str, run: topicnet.Run) -> None:
    with pytest.raises(InputError, match=message):
        run.path(*ends)


@pytest.mark.parametrize("steps", [2, 201, 3.5, True])
def test_wrong_numbers_of_steps_are_refused(steps: object, run: topicnet.Run) -> None:
    with pytest.raises(InputError, match="steps="):
        run.path(0, 1, steps=steps)  # type: ignore[arg-type]
