"""Fits depend neither on torch settings of the caller nor on concurrent fits, and leave those settings unchanged."""

import random
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from tests.support.corpora import planted
from topicnet import ETM
from topicnet.errors import InputError
from topicnet.models import MODELS
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads

COUNTS, _ = planted(120, 40, 3, seed=0)


def model(name: str = "etm", **given: Any) -> Any:
    return MODELS[name](3, max_epochs=2, random_state=given.pop("seed", 0), device="cpu", **given)


def bits(name: str = "etm", **given: Any) -> bytes:
    fitted = model(name, **given).fit(COUNTS)
    return bytes(fitted.components_.tobytes() + fitted.transform(COUNTS).tobytes())


def state() -> list[Any]:
    """Collect all global state that a fit could change."""
    return [
        torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(), torch.is_anomaly_enabled(), torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(), torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(), np.geterr(), list(warnings.filters),
        sorted((found["filepath"], found["num_threads"]) for found in threadpool_info()),
    ]  # fmt: skip


@contextmanager
def changed(set_: Callable[..., Any], value: Any, back: Any) -> Iterator[None]:
    set_(value)
    try:
        yield
    finally:
        set_(back)


CHANGES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "dtype": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "half": lambda: changed(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "no-grad": torch.no_grad,
    "inference": torch.inference_mode,
    "device": lambda: torch.device("meta"),
    "default-device": lambda: changed(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "precision": lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "threads": lambda: changed(torch.set_num_threads, 3, torch.get_num_threads()),
    "seed": lambda: torch.random.fork_rng(devices=[]),
    "errors": lambda: np.errstate(all="raise"),
}


@cache
def alone() -> bytes:
    return bits()


@pytest.mark.parametrize("change", CHANGES)
def test_torch_settings_of_the_caller_do_not_change_a_fit_and_are_kept(change: str) -> None:
    expected = alone()
    with CHANGES[change]():
        before = state()
        assert bits() == expected
        fitted = model().fit(COUNTS)
        with pytest.raises(InputError):
            model().fit(COUNTS[:1])
        assert state() == before
    # The network has ordinary parameters, which can be trained further.
    parameters = list(fitted.network_.parameters())
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    assert not any(parameter.is_inference() for parameter in parameters)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_does_not_use_global_generators(name: str) -> None:
    before = state()
    bits(name)
    assert state() == before


def test_fits_in_threads_give_the_same_bits_as_one_at_a_time() -> None:
    before = state()
    options = [{"seed": seed, "init": init} for seed in range(3) for init in ("em", "random")]
    expected = [bits(**one) for one in options]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda one: bits(**one), options)) == expected
    assert state() == before


def test_a_seeded_block_draws_as_the_global_generator_would() -> None:
    def draws() -> list[torch.Tensor]:
        layer = torch.nn.Linear(5, 7)
        return [layer.weight, layer.bias, torch.empty(30).normal_(), torch.randn(3), torch.rand(2), torch.randperm(9)]

    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(3)
        expected = draws()
        unchanged = torch.random.get_rng_state()
        with seeded(3):
            found = draws()
        assert torch.equal(torch.random.get_rng_state(), unchanged)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_thread_counts_are_restored_when_two_blocks_overlap() -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        first, second = chosen_threads(), chosen_threads()
        first.__enter__()
        pool.submit(second.__enter__).result()
        first.__exit__(None, None, None)
        assert torch.get_num_threads() == before
        assert pool.submit(torch.get_num_threads).result() == 1
        pool.submit(second.__exit__, None, None, None).result()
    assert torch.get_num_threads() == before


def test_restoring_a_model_does_not_depend_on_torch_settings() -> None:
    fitted = ETM(3, max_epochs=1, init="random", random_state=0, device="cpu").fit(COUNTS)
    tensors = {name: value.clone() for name, value in fitted.network_.state_dict().items()}
    with torch.inference_mode(), changed(torch.set_default_dtype, torch.float64, torch.float32):
        other = ETM(3)
        other.restore(40, tensors, fitted.history_, fitted.ending())
        assert (other.transform(COUNTS) == fitted.transform(COUNTS)).all()
    assert not any(parameter.is_inference() for parameter in other.network_.parameters())
