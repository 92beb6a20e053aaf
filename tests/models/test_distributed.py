"""Two processes that fit together give the fit of one with twice the batch size; as a module, this runs one of them."""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.corpora import planted
from tests.support.processes import ended, started
from topicnet.core import sparse
from topicnet.errors import InputError, ParallelError
from topicnet.models import MODELS, fitting
from topicnet.runtime.distributed import distributed
from topicnet.runtime.interrupt import FitInterrupted

SIZE, BATCH, K = 2, 40, 5
QUICK = {"max_epochs": 4, "random_state": 0}
CASES = {
    "etm, gradients sparse in rows": ("etm", {"dropout": 0.2, "hidden_dim": 32}),
    "nvdm-gsm": ("nvdm-gsm", {"dropout": 0.2, "latent_dim": 4}),
    "w-lda": ("w-lda", {"dropout": 0.2}),
    "w-lda of a mixture, imq": ("w-lda", {"prior": "gaussian-mixture", "kernel": "imq", "init": "random"}),
    "w-lda, sinkhorn": ("w-lda", {"divergence": "sinkhorn"}),
    "w-lda, spherical slices": (
        "w-lda", {"divergence": "spherical-sliced", "prior": "vmf-mixture", "encoder": "gaussian"},
    ),
    "gmntm": ("gmntm", {"dropout": 0.2, "n_components": 3, "pretrain_epochs": 2}),
    # A random start loses topics, which are reseeded.
    "etm, reseeded": ("etm", {"init": "random", "decoder": "product"}),
}  # fmt: skip


def corpus():
    """Plant 323 documents, 307 of them for training: not a multiple of the number of processes."""
    return planted(323, 90, K, seed=1)[0]


def model_of(case, batch_size):
    name, parameters = CASES[case]
    return MODELS[name](**({"n_topics": K, "batch_size": batch_size} | QUICK | parameters))


def fit(model, counts, **options):
    """Fit with a short start and warm-up, and row-sparse gradients if the first layer is as small as in one case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "EM_PASSES", 20)
        patch.setattr(fitting, "WARM_UP_STEPS", 10)
        patch.setattr(fitting, "RESEED_WARM_UP_STEPS", 10)
        if model.hidden_dim == 32:
            patch.setattr(sparse, "ROW_SPARSE_ENTRIES", 100)
        return model.fit(counts, **options)


def summary_of(model):
    """Collect the history without seconds, the outcome, a digest of the weights, and the weights."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in model.history_]
    weights = {name: value.numpy() for name, value in model.network_.state_dict().items()}
    digest = hashlib.sha256(b"".join(value.tobytes() for value in weights.values())).hexdigest()
    return {"history": history, "ending": repr(model.ending()), "digest": digest}, weights


def work(out):
    """Run one process: every case, then a fit that is interrupted in one process and resumed."""
    counts, found = corpus(), {}
    with distributed() as world:
        for case in CASES:
            found[case], weights = summary_of(fit(model_of(case, BATCH), counts))
            if world.is_rank_zero:
                np.savez(out / f"{case}.npz", **weights)

        def press(progress):
            if (progress.stage, progress.done, world.rank) == ("train", 2, 1):
                signal.raise_signal(signal.SIGINT)

        interrupted = model_of("gmntm", BATCH)
        with pytest.raises(FitInterrupted):
            fit(interrupted, counts, listener=press, checkpoints=out / "checkpoints")
        found["interrupted"], _ = summary_of(interrupted)
        found["resumed"], _ = summary_of(fit(model_of("gmntm", BATCH), counts, checkpoints=out / "checkpoints"))
        with pytest.raises(InputError, match=r"checkpoints in .* are of a fit with another value of batch_size"):
            fit(model_of("gmntm", BATCH + 1), counts, checkpoints=out / "checkpoints")
        with pytest.raises(
            InputError, match="process 1 of 2 was given different documents or parameters than process 0"
        ):
            fit(model_of("gmntm", BATCH), counts[world.rank :])
        found["without a seed"], _ = summary_of(fit(model_of("gmntm", BATCH).set_params(random_state=None), counts))
    (out / f"{world.rank}.json").write_text(json.dumps(found))


def lose(out):
    """Run one of two processes: the second stops responding, then kills the first."""
    began = time.monotonic()

    def pause(progress):
        if progress.stage == "train" and progress.done == 2:
            while not (out / "gone").exists():
                time.sleep(0.05)
            os.kill(int((out / "gone").read_text()), signal.SIGKILL)

    with distributed() as world:
        try:
            model = model_of("w-lda of a mixture, imq", BATCH)
            fit(model, corpus(), listener=pause if world.rank else None)
        except ParallelError as error:
            (out / f"{world.rank}.txt").write_text(f"{time.monotonic() - began} {error}")
            if world.is_rank_zero:
                (out / "gone").write_text(str(os.getpid()))
                time.sleep(60)  # until this process is killed


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Run both processes; return the results of each and the folder of the weights."""
    out = tmp_path_factory.mktemp("together")
    for status, _, stderr in ended(started(SIZE, ["-m", "tests.models.test_distributed", "work", out])):
        assert status == 0, stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(SIZE)], out


@pytest.mark.parametrize("case", CASES)
def test_two_processes_fit_what_one_fits_with_twice_the_batch(together, case):
    found, out = together
    alone, weights = summary_of(fit(model_of(case, SIZE * BATCH), corpus()))
    assert len(found[0][case]["history"]) == len(alone["history"])
    for row, expected in zip(found[0][case]["history"], alone["history"], strict=True):
        assert row.keys() == expected.keys()
        for name in row:
            if name not in ("dead_topics", "duplicate_pairs", "active_units"):
                assert row[name] == pytest.approx(expected[name], rel=1e-3), (row["epoch"], name)
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    with np.load(out / f"{case}.npz") as saved:
        assert saved.keys() == weights.keys()
        for name, value in weights.items():
            difference = np.linalg.norm(saved[name] - value) / max(1e-3, np.linalg.norm(value))
            assert difference < 1e-3, name


@pytest.mark.parametrize("case", [*CASES, "interrupted", "resumed", "without a seed"])
def test_all_processes_end_with_the_same_bits(together, case):
    found, _ = together
    assert found[0][case] == found[1][case]


def test_lost_topics_are_reseeded_in_all_processes(together):
    found, _ = together
    assert "'reseeded': 0" not in found[0]["etm, reseeded"]["ending"]


def test_an_interrupt_of_one_process_stops_all_and_resuming_gives_the_same_bits(together):
    found, _ = together
    assert "'stopped': 'interrupted'" in found[1]["interrupted"]["ending"]
    assert len(found[0]["interrupted"]["history"]) == 2
    assert found[0]["resumed"] == found[0]["gmntm"]


@pytest.mark.slow
def test_a_process_that_hangs_or_dies_ends_the_others(tmp_path):
    arguments = ["-m", "tests.models.test_distributed", "lose", tmp_path]
    (killed, *_), (status, _, stderr) = ended(started(2, arguments, TOPICNET_TIMEOUT_SECONDS=4))
    assert killed == -signal.SIGKILL
    assert status == 0, stderr
    for rank in range(2):
        seconds, _, line = (tmp_path / f"{rank}.txt").read_text().partition(" ")
        assert line.startswith(f"process {rank} of 2 lost contact with the others (")
        assert float(seconds) < 60


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"work": work, "lose": lose}[sys.argv[1]](Path(sys.argv[2]))
