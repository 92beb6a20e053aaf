"""Estimates of the time and memory of a fit."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from topicnet.models import MODELS, fitting
from topicnet.models import cost_estimate as module
from topicnet.models.cost_estimate import COPIES, START_COPIES, forecast
from topicnet.models.fitting import em_passes

RESIDENT = 10**8  # bytes that the process holds, as reported to the estimate


@pytest.fixture(autouse=True)
def _known_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resident_memory", lambda: RESIDENT)


@pytest.fixture(scope="module")
def counts() -> csr_matrix:
    return csr_matrix(np.random.default_rng(0).poisson(0.5, (400, 60)).astype(np.int32))


@pytest.mark.parametrize("name", MODELS)
def test_memory_includes_parameters_and_theta_of_the_start(name: str, counts: csr_matrix) -> None:
    few, many = (MODELS[name](k, hidden_dim=16) for k in (10, 800))
    estimates = [forecast(model, counts, tables=False) for model in (few, many)]
    parameters = [sum(p.numel() for p in model.build_network(60).parameters()) for model in (few, many)]
    more = 4 * COPIES * (parameters[1] - parameters[0]) + 4 * START_COPIES * 790 * 400
    assert estimates[1].memory_bytes - estimates[0].memory_bytes == more
    assert all(one.memory_bytes > RESIDENT and one.seconds > 0 for one in estimates)
    assert estimates[1].line().startswith("estimate: up to ")


def test_tables_add_memory_only_beyond_that_of_the_start(counts: csr_matrix) -> None:
    model = MODELS["etm"](2_000, hidden_dim=16, init="random")
    # The start has five copies of theta, the tables three: for 400 documents the start needs more.
    before, after = (forecast(model, counts, tables=tables).memory_bytes for tables in (False, True))
    assert after == before


def test_an_estimate_does_not_change_the_fit(counts: csr_matrix) -> None:
    model = MODELS["nvdm-gsm"](5, hidden_dim=16, max_epochs=1, random_state=0)
    alone = model.fit(counts).components_
    forecast(model, counts)
    assert (model.fit(counts).components_ == alone).all()


@pytest.mark.full_warm_up
def test_many_topics_have_fewer_em_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [em_passes(k) for k in (1, 50, 100, 150, 300, 5_000)] == [60, 60, 60, 40, 20, 20]
    monkeypatch.setattr(fitting, "EM_PASSES", 5)
    assert [em_passes(k) for k in (2, 300)] == [5, 5]
