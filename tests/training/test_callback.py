"""Callbacks and the log of a fit: each epoch is reported once, and nothing else changes."""

import logging
import math
import random
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import topicnet
from tests.support.corpora import texts
from topicnet.images.model.estimator import ImageVAE
from topicnet.runtime.reporter import Reporter

QUICK = {"hidden_dim": 8, "max_epochs": 3, "init": "random", "device": "cpu"}


@pytest.fixture(scope="module")
def counts():
    options = topicnet.TextOptions(pruning=topicnet.Pruning(max_df=1.0))
    return topicnet.Corpus.from_texts(texts(), options=options).counts


@pytest.mark.parametrize("name", list(topicnet.MODELS))
def test_every_epoch_is_reported_once(name: str, counts) -> None:
    seen: list[topicnet.EpochReport] = []
    model = topicnet.MODELS[name](3, random_state=0, **QUICK).fit(counts, callback=seen.append)
    assert [one.epoch for one in seen] == list(range(1, len(model.history_) + 1))
    for report, row in zip(seen, model.history_, strict=True):
        assert report.total_epochs == 3
        assert report.seconds == row["seconds"] > 0
        assert report.learning_rate == row["learning_rate"]
        assert report.losses.items() <= row.items()
        assert "loss" in report.losses
        assert ("validation_loss" in report.losses) is not math.isnan(row["validation_loss"])
        assert not {"epoch", "seconds", "learning_rate", "active_units"} & set(report.losses)
    with pytest.raises(FrozenInstanceError):
        seen[0].epoch = 5  # type: ignore[misc]


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_the_validation_loss_is_reported_where_documents_are_held_out(fraction: float, counts) -> None:
    seen: list[topicnet.EpochReport] = []
    topicnet.ETM(3, validation_fraction=fraction, random_state=0, **QUICK).fit(counts, callback=seen.append)
    assert ("validation_loss" in seen[0].losses) is (fraction > 0)


def test_a_callback_changes_nothing(counts, tmp_path: Path) -> None:
    def busy(report: topicnet.EpochReport) -> None:
        torch.manual_seed(random.randrange(1_000))
        np.random.default_rng().random()
        torch.rand(3)
        report.losses.clear()

    model = topicnet.ETM(3, random_state=0, **QUICK)
    plain, called = (clone(model).fit(counts, callback=one) for one in (None, busy))
    assert np.array_equal(plain.components_, called.components_)
    assert "callback" not in model.get_params()
    assert [set(row) for row in plain.history_] == [set(row) for row in called.history_]
    # Checkpoints of a fit with a callback are those of the same fit without.
    clone(model).fit(counts, callback=busy, checkpoints=tmp_path / "checkpoints")
    again = clone(model).fit(counts, checkpoints=tmp_path / "checkpoints")
    assert np.array_equal(plain.components_, again.components_)


def test_an_exception_ends_the_fit_and_is_passed_on(counts, tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818 - the user's own
        pass

    def stop(report: topicnet.EpochReport) -> None:
        if report.epoch == 2:
            raise Enough

    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(Enough):
        topicnet.ETM(3, random_state=0, **QUICK).fit(counts, callback=stop, checkpoints=tmp_path / "checkpoints")
    assert {thread.name for thread in threading.enumerate()} <= before
    # The folder of checkpoints is unlocked, and the next fit continues.
    model = topicnet.ETM(3, random_state=0, **QUICK).fit(counts, checkpoints=tmp_path / "checkpoints")
    assert np.array_equal(model.components_, topicnet.ETM(3, random_state=0, **QUICK).fit(counts).components_)


def test_fit_calls_it_for_every_seed() -> None:
    seen: list[tuple[int | None, int]] = []
    given = QUICK | {"max_df": 1.0, "embedding_dim": 4}
    run = topicnet.fit(texts(), n_topics=3, seeds=2, callback=lambda one: seen.append((one.seed, one.epoch)), **given)
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert "callback" not in run.record["config"]


def test_an_image_model_reports_its_epochs() -> None:
    seen: list[topicnet.EpochReport] = []
    pixels = np.random.default_rng(0).random((60, 16)) > 0.5
    ImageVAE(max_epochs=2, hidden_dim=8, latent_dim=2, random_state=0).fit(pixels, callback=seen.append)
    assert [(one.epoch, one.total_epochs, one.seed) for one in seen] == [(1, 2, 0), (2, 2, 0)]


def test_epochs_and_notices_are_logged(counts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="topicnet"):
        topicnet.ETM(3, random_state=0, **QUICK).fit(counts)
        Reporter().notice("50 % of the documents are empty")
    found = [(record.name, record.getMessage()) for record in caplog.records]
    epochs = [line for name, line in found if name == "topicnet.training"]
    assert [line.partition(":")[0] for line in epochs] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "loss " in epochs[0]
    assert found[-1] == ("topicnet.notices", "50 % of the documents are empty")


def test_the_library_prints_no_log_unasked() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("topicnet").handlers)
    assert logging.getLogger("topicnet").level == logging.NOTSET
