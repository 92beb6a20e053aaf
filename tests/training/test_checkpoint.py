"""Checkpoints: atomic writes, the newest two kept, damaged ones skipped, those of other fits rejected."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from tests.support.examples import examples
from topicnet.errors import InputError, OutputError
from topicnet.training import checkpoint
from topicnet.training.checkpoint import Checkpoints, Saved, checkpoint_seconds, has_checkpoints

FINGERPRINT = {"model": "ETM", "seed": 7, "noise": math.nan}


def saved(number, size=3):
    tensors = {"network.a": torch.full((size, 2), number + 0.25), "b": torch.tensor(number)}
    return Saved(tensors, {"number": number, "loss": math.inf, "rows": [{"x": math.nan, "y": 0.1}]})


def checkpoints(folder, fingerprint=FINGERPRINT, seconds=0.0):
    return Checkpoints(folder, fingerprint, seconds)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def three(tmp_path):
    """Folder in which three checkpoints were saved."""
    kept = checkpoints(tmp_path)
    for number in range(3):
        kept.save(saved(number))
    return tmp_path


def test_the_newest_two_are_kept_and_the_newest_is_read(three):
    assert names(three) == ["checkpoint-000002", "checkpoint-000003"]
    assert names(three / "checkpoint-000003") == ["state.json", "state.safetensors"]
    read = checkpoints(three).newest()
    assert torch.equal(read.tensors["network.a"], saved(2).tensors["network.a"])
    assert read.tensors["b"].dtype == torch.int64
    assert repr(read.values) == repr(saved(2).values)  # NaN too
    json.loads((three / "checkpoint-000003" / "state.json").read_text(), parse_constant=pytest.fail)


def test_nothing_saved(tmp_path):
    assert checkpoints(tmp_path / "none").newest() is None
    assert not has_checkpoints(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))


def change(path):
    path.write_text(path.read_text().replace('"number": 2', '"number": 5'))


def replace(path):
    path.write_text("[]")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("state.safetensors", cut), ("state.safetensors", flip), ("state.safetensors", os.remove),
        ("state.json", cut), ("state.json", change), ("state.json", replace), ("state.json", os.remove),
        ("state.json", lambda path: path.write_bytes(b"\xff\x00")), ("", shutil.rmtree),
    ],
)  # fmt: skip
def test_a_damaged_newest_checkpoint_is_skipped(three, name, damage):
    damage(three / "checkpoint-000003" / name)
    kept = checkpoints(three)
    assert kept.newest().values["number"] == 1
    kept.save(saved(8))
    kept.save(saved(9))
    assert len(names(three)) == 2
    assert checkpoints(three).newest().values["number"] == 9


def test_when_all_are_damaged_there_is_none(three):
    for folder in three.iterdir():
        cut(folder / "state.safetensors")
    kept = checkpoints(three)
    assert kept.newest() is None
    assert has_checkpoints(three)  # damaged ones stay until there is a newer one
    kept.save(saved(5))
    assert names(three) == ["checkpoint-000004"]


@pytest.mark.parametrize(
    ("fingerprint", "name"),
    [(FINGERPRINT | {"seed": 8}, "seed"), (FINGERPRINT | {"extra": 1}, "extra"), ({"model": "ETM"}, "noise")],
)
def test_checkpoints_of_another_fit_are_rejected_and_kept(three, fingerprint, name):
    before = names(three)
    with pytest.raises(InputError, match=f"another value of {name}"):
        checkpoints(three, fingerprint).newest()
    assert names(three) == before


def test_a_newer_format_is_rejected(three, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 0)
    with pytest.raises(InputError, match="format 1, this version of topicnet reads up to 0: update"):
        checkpoints(three).newest()


def test_partial_checkpoints_of_a_killed_process_are_removed(three):
    (three / ".checkpoint-000004.abcdefgh.part").mkdir()
    (three / ".checkpoint-000004.abcdefgh.part" / "state.safetensors").write_bytes(b"half")
    checkpoints(three).newest()
    assert names(three) == ["checkpoint-000002", "checkpoint-000003"]


def test_a_checkpoint_is_due_at_once_and_then_after_the_interval(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept = checkpoints(tmp_path, seconds=20.0)
    assert kept.due()
    kept.save(saved(0))
    for passed, due in ((19.0, False), (20.0, True)):
        now[0] = 100.0 + passed
        assert kept.due() == due
    again = checkpoints(tmp_path, seconds=20.0)
    again.newest()
    assert not again.due()  # the state just read is on disk already
    always = checkpoints(tmp_path, seconds=0.0)
    always.save(saved(1))
    assert always.due()


def test_saving_takes_at_most_its_fraction_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    write = checkpoint.save_file

    def slowly(*arguments):
        now[0] += 3.0
        write(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", slowly)
    kept = checkpoints(tmp_path, seconds=20.0)
    kept.save(saved(0))
    now[0] = 3.0 + 299.0
    assert not kept.due()
    now[0] = 3.0 + 300.0
    assert kept.due()


@pytest.mark.parametrize(
    "error", [OSError(28, "x"), SafetensorError("Error while serializing: I/O error: y (os error 28)")]
)
def test_a_full_disk_leaves_earlier_checkpoints(three, monkeypatch, error):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(checkpoint, "save_file", refuse)
    with pytest.raises(OutputError, match="No space left on device; earlier checkpoints are kept"):
        checkpoints(three).save(saved(3))
    monkeypatch.undo()
    assert names(three) == ["checkpoint-000002", "checkpoint-000003"]
    assert checkpoints(three).newest().values["number"] == 2


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf"])
def test_the_interval_is_a_number_of_seconds(given, monkeypatch):
    monkeypatch.setenv("TOPICNET_CHECKPOINT_SECONDS", given)
    with pytest.raises(InputError, match=f"TOPICNET_CHECKPOINT_SECONDS='{given}' given, expected"):
        checkpoint_seconds()
    monkeypatch.setenv("TOPICNET_CHECKPOINT_SECONDS", "1.5")
    assert checkpoint_seconds() == 1.5
    monkeypatch.delenv("TOPICNET_CHECKPOINT_SECONDS")
    assert checkpoint_seconds() == 20.0


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@examples(50)
@given(st.dictionaries(st.text(), plain.filter(lambda value: value != {"float": "nan"})))
def test_values_are_restored_exactly(values):
    there = json.loads(json.dumps(checkpoint._encode(values), allow_nan=False))
    assert repr(checkpoint._decode(there)) == repr(values)


def test_the_state_of_a_generator_is_restored(tmp_path):
    rng = np.random.default_rng(5)
    rng.normal(size=3)
    checkpoints(tmp_path).save(Saved({}, {"rng": rng.bit_generator.state}))
    other = np.random.default_rng(0)
    other.bit_generator.state = checkpoints(tmp_path).newest().values["rng"]
    assert np.array_equal(other.normal(size=5), rng.normal(size=5))


def _save_for_ever(folder):
    # Tensors small enough that torch uses no thread pool, whose threads a fork does not have.
    kept = checkpoints(folder)
    read = kept.newest()
    number = 0 if read is None else read.values["number"] + 1
    while True:
        kept.save(saved(number, size=5_000))
        number += 1


def test_a_process_killed_while_saving_leaves_an_undamaged_checkpoint(tmp_path):
    """Kill the process twenty times at random moments, many of them during a write."""
    rng = np.random.default_rng(0)
    context = multiprocessing.get_context("fork")
    halves, newest = 0, -1
    for _ in range(20):
        before = set(names(tmp_path))
        process = context.Process(target=_save_for_ever, args=(tmp_path,))
        process.start()
        until = time.monotonic() + 20
        while not any(name.startswith("checkpoint-") for name in set(names(tmp_path)) - before):
            assert time.monotonic() < until
            time.sleep(0.001)
        time.sleep(0.03 * rng.random())
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        halves += any(name.endswith(".part") for name in names(tmp_path))
        read = checkpoints(tmp_path).newest()
        number = read.values["number"]
        assert number > newest
        assert torch.equal(read.tensors["network.a"], saved(number, size=5_000).tensors["network.a"])
        assert all(name.startswith("checkpoint-") for name in names(tmp_path))
        newest = number
    assert halves > 0
    kept = checkpoints(tmp_path)
    kept.newest()
    kept.save(saved(newest + 1))  # also removes old ones that a killed process could not
    assert len(names(tmp_path)) == 2
