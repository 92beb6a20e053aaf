"""Comparisons of variants: options by variant, failed fits, interruption, and the table."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from topicnet.errors import InputError
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.workflows import comparison
from topicnet.images.workflows.comparison import COLUMNS, Comparison, compare, configs_of
from topicnet.images.workflows.config import ImageConfig
from topicnet.runtime.interrupt import FitInterrupted
from topicnet.runtime.reporter import Reporter
from topicnet.storage.comparison import csv_of

CONFIG = ImageConfig(latent_dim=2, hidden_dim=8, epochs=1, batch_size=400, device="cpu", seed=3)


def run(variants: list[str], seeds: int = 1, config: ImageConfig = CONFIG) -> tuple[Comparison, list[str]]:
    notices: list[str] = []
    found = compare(
        config,
        variants,
        seeds,
        n_importance=2,
        reporter=Reporter(notices.append),
        progress=lambda: nullcontext(Reporter()),
    )
    assert notices[0].startswith("digits: 1,200 training, ")
    return found, notices[1:]


def test_each_variant_gets_the_options_it_accepts() -> None:
    config = CONFIG.model_copy(
        update={
            "categories": 4, "estimator": "enumerate", "likelihood": "gaussian",
            "parameters": {"lambda": 3.0, "components": 7},
        }
    )  # fmt: skip
    vae, vade, cp, wae, mog = configs_of(config, ["vae", "vade", "cp-vae", "wae-mmd", "mog"])
    assert [one.categories for one in (vae, vade, cp, wae, mog)] == [None, 4, 4, None, None]
    assert [one.estimator for one in (vae, vade, cp, wae, mog)] == [None, None, "enumerate", None, None]
    assert [one.likelihood for one in (vae, wae)] == ["gaussian", None]
    assert [one.parameters for one in (vae, wae, mog)] == [{}, {"lambda": 3.0}, {"components": 7}]
    assert config.categories == 4


def test_a_variant_with_its_own_optimiser_or_no_likelihood_is_compared_with_others() -> None:
    config = CONFIG.model_copy(update={"optimizer": "adam_normgrad", "likelihood": "gaussian"})
    vae, wgan = configs_of(config, ["vae", "wgan"])
    assert (vae.optimizer, vae.likelihood) == ("adam_normgrad", "gaussian")
    assert (wgan.optimizer, wgan.likelihood) == ("adam", None)
    (alone,) = configs_of(config, ["wgan-gp"])
    with pytest.raises(InputError, match="this variant generates images without one"):
        run(["wgan-gp"], config=alone)
    compared, notices = run(["wgan"])
    (row,) = compared.record()["table"]
    assert (row["nelbo"], row["squared_error"], row["active_units"]) == (None, None, None)
    assert all(row[name]["mean"] > 0 for name in ("frechet", "w2", "sliced_w2"))
    assert notices[1].startswith("wgan: frechet ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"categories": 4}, "4 categories given for vae, which has none"),
        ({"estimator": "gumbel"}, "this variant draws no categories"),
        ({"parameters": {"beta": 2.0}}, "parameter 'beta' given for vae: it has none"),
        ({"epochs": 0}, "max_epochs=0"),
    ],
)
def test_options_that_no_variant_accepts_are_refused_before_any_work(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(["vae", "hvae"], config=CONFIG.model_copy(update=given))


def test_invalid_names() -> None:
    with pytest.raises(InputError, match="no variants given"):
        run([])
    with pytest.raises(InputError, match="'nonsense'"):
        run(["vae", "nonsense"])


@pytest.mark.slow
def test_the_table_summarises_the_fits() -> None:
    compared, notices = run(["hvae", "cp-vae", "hvae"], seeds=2)
    record = compared.record()
    assert record["status"] == "complete"
    assert [(fit["variant"], fit["seed"]) for fit in record["fits"]] == [
        ("hvae", 3), ("cp-vae", 3), ("hvae", 4), ("cp-vae", 4),
    ]  # fmt: skip
    assert [row["variant"] for row in record["table"]] == ["hvae", "cp-vae"]
    for row in record["table"]:
        found = [fit["evaluation"] for fit in record["fits"] if fit["variant"] == row["variant"]]
        nelbo = [one["bound"]["nelbo"] for one in found]
        assert row["nelbo"]["values"] == nelbo
        assert row["nelbo"]["mean"] == pytest.approx(np.mean(nelbo))
        assert row["nelbo"]["sd"] == pytest.approx(abs(nelbo[0] - nelbo[1]) / math.sqrt(2))
        parts = [row[name]["mean"] for name in ("reconstruction", "kl_z", "kl_c") if row[name] is not None]
        assert sum(parts) == pytest.approx(row["nelbo"]["mean"])  # the divergences of both levels are summed
    assert record["table"][0]["kl_c"] is None
    assert notices[0] == "hvae, seed 3 (1 of 4)"
    assert notices[1].startswith("hvae: nelbo ")
    lines = csv_of(compared.rows, "variant").splitlines()
    assert lines[0].split(",") == ["variant", "fits", *(f"{name}{end}" for name in COLUMNS for end in ("", "_sd"))]
    assert [line.split(",")[:2] for line in lines[1:]] == [["hvae", "2"], ["cp-vae", "2"]]
    assert [line.count(",") for line in lines] == [1 + 2 * len(COLUMNS)] * 3


def test_a_failed_fit_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(model: ImageVAE, *arguments: Any, **options: Any) -> dict[str, Any]:
        if model.variant == "vae":
            raise RuntimeError("no room\nleft")
        return evaluate(model, *arguments, **options)

    evaluate = comparison.evaluate
    monkeypatch.setattr(comparison, "evaluate", failing)
    compared, notices = run(["vae", "wae-mmd"])
    record = compared.record()
    assert record["status"] == "complete"
    assert record["table"][0]["errors"] == ["RuntimeError: no room left"]
    assert (record["table"][0]["fits"], record["table"][0]["nelbo"]) == (0, None)
    assert record["table"][1]["fits"] == 1
    assert "vae failed: RuntimeError: no room left" in notices
    assert csv_of(compared.rows, "variant").splitlines()[1] == "vae,0" + 2 * len(COLUMNS) * ","
    with pytest.raises(InputError, match="none of the 2 fits succeeded: RuntimeError: no room left"):
        run(["vae"], seeds=2)


def test_ctrl_c_keeps_finished_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: ImageVAE, *arguments: Any, **options: Any) -> ImageVAE:
        if self.random_state == 4:
            raise FitInterrupted
        return fit(self, *arguments, **options)

    fit = ImageVAE.fit
    monkeypatch.setattr(ImageVAE, "fit", interrupted)
    compared, _ = run(["vae", "wae-mmd"], seeds=2)
    record = compared.record()
    assert record["status"] == "interrupted"
    assert [row["fits"] for row in record["table"]] == [1, 1]
