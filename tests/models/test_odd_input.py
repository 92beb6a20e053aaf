"""Damaged matrices, absurd counts and odd parameter values: a one-line error, never a crash."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support.corpora import planted
from topicnet import ETM
from topicnet.errors import InputError
from topicnet.models import MODELS
from topicnet.text.corpus import Corpus

COUNTS, _ = planted(40, 30, 3, seed=0)
ODD: list[Any] = [[[1, [2]]], [1], {"a": 1}, [], "", "x", True, -1, 2**62, 10**12, 1e308, "\x1b[2J"]


def swapped(a: np.ndarray) -> np.ndarray:
    a[5], a[6] = a[6] + 3, a[5]
    return a


def with_last(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.append(a[:-1], value)


def with_first(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.append(value, a[1:])


DAMAGE: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "indptr descends": ("indptr", swapped),
    "indptr ends far beyond": ("indptr", with_last(10**8)),
    "indptr begins below 0": ("indptr", with_first(-4)),
    "indptr is short": ("indptr", lambda a: a[:-3]),
    "an index too large": ("indices", with_first(10**6)),
    "an index below 0": ("indices", with_first(-3)),
}


@pytest.fixture(scope="module")
def model() -> ETM:
    return ETM(3, max_epochs=1, init="random", random_state=0, device="cpu").fit(COUNTS)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_matrix_is_refused(damage: str, form: str, kind: Any, model: ETM) -> None:
    name, change = DAMAGE[damage]
    counts = COUNTS.astype(kind).asformat(form)
    setattr(counts, name, change(getattr(counts, name).copy()))
    words = [f"word{k}" for k in range(30)]
    for use in (model.transform, ETM(3, max_epochs=1).fit, lambda X: Corpus.from_counts(X, words)):
        with pytest.raises(InputError, match="damaged"):
            use(counts)


def test_indices_of_a_coordinate_matrix_are_checked(model: ETM) -> None:
    counts = sp.coo_matrix(COUNTS)
    counts.row = with_first(10**6)(counts.row)
    with pytest.raises(InputError, match="damaged"):
        model.transform(counts)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("value", [3e38, 1e30, 2.0**32, np.inf, np.nan, -1.0, -np.inf])
def test_an_impossible_count_is_refused(value: float, dense: bool, model: ETM) -> None:
    counts = COUNTS.toarray().astype(np.float64)
    counts[3, 4] = value
    given = counts if dense else sp.csr_matrix(counts)
    for use in (model.transform, model.score, ETM(3, max_epochs=1).fit):
        with pytest.raises(ValueError, match=r"count|NaN|infinity|Negative"):
            use(given)


@pytest.mark.parametrize("name", MODELS)
def test_the_largest_count_gives_a_finite_theta(name: str) -> None:
    counts = COUNTS.toarray()
    counts[3, 4] = 2**31 - 1
    model = MODELS[name](3, max_epochs=1, random_state=0, device="cpu").fit(counts)
    assert np.isfinite(model.transform(counts)).all()
    assert np.isfinite(model.components_).all()


@pytest.mark.parametrize("name", MODELS)
def test_odd_parameters_are_refused_in_one_line(name: str) -> None:
    refused = []
    for parameter in MODELS[name]().get_params():
        for value in ODD:
            try:
                MODELS[name](**{parameter: value}).check_parameters()
            except InputError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert not [message for message in refused if "\n" in message]
