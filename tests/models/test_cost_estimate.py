"""What a fit will take, said beforehand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from topicnet.models import MODELS, fitting
from topicnet.models import cost_estimate as module
from topicnet.models.cost_estimate import COPIES, START_COPIES, forecast
from topicnet.models.fitting import em_passes

HERE = 10**8  # bytes that the process is said to hold


@pytest.fixture(autouse=True)
def _known_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resident_memory", lambda: HERE)


@pytest.fixture(scope="module")
def counts() -> csr_matrix:
    return csr_matrix(np.random.default_rng(0).poisson(0.5, (400, 60)).astype(np.int32))


@pytest.mark.parametrize("name", MODELS)
def test_it_counts_parameters_and_theta_of_the_start(name: str, counts: csr_matrix) -> None:
    few, many = (MODELS[name](k, hidden_dim=16) for k in (10, 800))
    said = [forecast(model, counts, tables=False) for model in (few, many)]
    parameters = [sum(p.numel() for p in model.build_network(60).parameters()) for model in (few, many)]
    more = 4 * COPIES * (parameters[1] - parameters[0]) + 4 * START_COPIES * 790 * 400
    assert said[1].memory_bytes - said[0].memory_bytes == more
    assert all(one.memory_bytes > HERE and one.seconds > 0 for one in said)
    assert said[1].line().startswith("this takes about ")


def test_tables_count_where_they_are_written_and_larger_than_the_start(counts: csr_matrix) -> None:
    model = MODELS["etm"](2_000, hidden_dim=16, init="random")
    # Five copies of theta in the start, three in its tables: of 400 documents the start is the larger.
    before, after = (forecast(model, counts, tables=tables).memory_bytes for tables in (False, True))
    assert after == before


def test_a_fit_does_not_change_by_it(counts: csr_matrix) -> None:
    model = MODELS["nvdm-gsm"](5, hidden_dim=16, max_epochs=1, random_state=0)
    alone = model.fit(counts).components_
    forecast(model, counts)
    assert (model.fit(counts).components_ == alone).all()


@pytest.mark.full_warm_up
def test_many_topics_start_from_fewer_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [em_passes(k) for k in (1, 50, 100, 150, 300, 5_000)] == [60, 60, 60, 40, 20, 20]
    monkeypatch.setattr(fitting, "EM_PASSES", 5)
    assert [em_passes(k) for k in (2, 300)] == [5, 5]
