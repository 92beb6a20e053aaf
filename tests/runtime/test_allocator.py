"""Allocator tuning: freed memory is reused inside the block and released at the end, measured in subprocesses."""

import json
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from topicnet.runtime import allocator
from topicnet.runtime.reporter import Reporter
from topicnet.training.progress import Progress
from topicnet.workflows.config import FitConfig
from topicnet.workflows.engine import LOCAL_ENGINE, ModelPlan, learn, learn_tuned
from topicnet.workflows.follower import engine_of

SCRIPT = """
import contextlib, json, resource, sys
import torch
from topicnet.runtime.allocator import keep_freed_memory

largest = int(sys.argv[1])

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def step():
    arrays = [torch.ones(12_000_000) for _ in range(3)]  # 48 MB each

def pages(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps

step()
without = pages(3)
before = resident()
with keep_freed_memory(largest) as tidy:
    [step() for _ in range(8)]  # a few steps until every array has its place in the heap
    inside = pages(3)
    kept = resident()
    tidy()
    tidied = resident()
afterwards = pages(3)
print(json.dumps({name: value for name, value in globals().items() if isinstance(value, int | float)}))
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")


def measured(largest, **more):
    surrounding = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")} | more
    command = [sys.executable, "-c", SCRIPT, str(largest)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=surrounding)
    return json.loads(done.stdout)


def test_large_arrays_reuse_freed_memory():
    found = measured(allocator.LEAST_ARRAY)
    assert found["without"] > 1_000
    assert found["inside"] < found["without"] / 20
    assert found["kept"] > found["before"] + 140e6  # all three arrays, after they were freed
    assert found["tidied"] < found["before"] + 20e6
    assert found["afterwards"] > found["without"] / 10  # new pages again, for all arrays or some


@pytest.mark.parametrize(
    ("largest", "environment"), [(allocator.LEAST_ARRAY - 1, {}), (1 << 30, {"MALLOC_MMAP_MAX_": "65536"})]
)
def test_nothing_changes_for_small_arrays_or_if_the_environment_configures_malloc(largest, environment):
    found = measured(largest, **environment)
    assert found["inside"] > found["without"] / 2
    assert found["kept"] < found["before"] + 20e6


def test_nothing_changes_with_another_c_library(monkeypatch):
    class Other:
        """C library without glibc's functions."""

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Other())
    allocator._library.cache_clear()
    try:
        assert allocator._library() is None
        with allocator.keep_freed_memory(1 << 30) as tidy:
            tidy()
    finally:
        allocator._library.cache_clear()


def test_only_the_command_line_tunes_malloc():
    assert LOCAL_ENGINE.learn is learn  # as used by topicnet.fit
    with engine_of(FitConfig(corpus="lee")) as engine:
        assert engine.learn is learn_tuned


@pytest.mark.parametrize(("tuned", "n_words"), [(learn, 1 << 22), (learn_tuned, 1 << 22), (learn_tuned, 10)])
def test_memory_is_released_after_epochs_of_large_models(monkeypatch, tuned, n_words):
    done = []

    class Library:
        def mallopt(self, option, value):
            done.append("tuned")

        def malloc_trim(self, left):
            done.append("released")

    class Model:
        n_topics = hidden_dim = 1

        def fit(self, counts, listener, checkpoints):
            for progress in (Progress("start", 1, 2, 0.0), Progress("start", 2, 2, 0.0), Progress("train", 1, 9, 0.0)):
                done.append(progress.stage)
                if listener:
                    listener(progress)

    monkeypatch.setattr(allocator, "_library", Library)
    corpus = SimpleNamespace(counts=None, vocab_size=n_words)
    assert not tuned(ModelPlan("etm", 1, 0, "cpu", {}, None), Model(), corpus, None, Reporter())
    stages = [what for what in done if what != "tuned"]
    if tuned is learn or n_words == 10:
        assert done == ["start", "start", "train"]
    else:
        assert stages == ["start", "start", "released", "train", "released", "released"]
