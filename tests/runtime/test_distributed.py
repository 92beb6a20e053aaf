"""Distributed computation equals that of one process; run as a module, this file is one of the processes."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_csr
from torch import nn

from tests.support.processes import ended, started
from topicnet.core.divergences import KERNELS, mmd
from topicnet.core.nets import batch_normalised
from topicnet.core.sparse import SparseBatches
from topicnet.errors import InputError, ParallelError
from topicnet.runtime import distributed as module
from topicnet.runtime.distributed import World, current, distributed, is_rank_zero, on_rank_zero
from topicnet.runtime.shard import Shard

SIZE = 3
N_DOCS, WIDTHS = 11, (4, 3)  # not a multiple of the number of processes
CPU = torch.device("cpu")


def drawn(*shape):
    return torch.as_tensor(np.random.default_rng(math.prod(shape)).normal(size=shape))


def norms():
    made = [nn.BatchNorm1d(width, dtype=torch.float64) for width in WIDTHS]
    for norm in made:
        nn.init.uniform_(norm.weight)
        nn.init.normal_(norm.bias)
    return made


def normalised(shard, mine):
    """Compute a loss over normalised rows twice, and return everything that its gradient reaches."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = norms()
    # Far from zero, where computing the variance from squares would lose precision.
    inputs = [(1e4 + drawn(N_DOCS, width))[mine].requires_grad_() for width in WIDTHS]
    weights = [drawn(N_DOCS, width)[mine] for width in WIDTHS]
    for _ in range(2):
        outputs = batch_normalised(made, inputs, shard)
        sum((out.square() * w).sum() for out, w in zip(outputs, weights, strict=True)).backward()
    found = {f"out{i}": out.detach() for i, out in enumerate(outputs)}
    found |= {f"input{i}": x.grad for i, x in enumerate(inputs)}
    for i, norm in enumerate(made):
        found |= {f"weight{i}": norm.weight.grad, f"bias{i}": norm.bias.grad}
        found |= {f"state{i}.{name}": value for name, value in norm.state_dict().items()}
    return found


def discrepancies(shard, mine):
    """Compute the MMD of two samples under each kernel, and its gradient."""
    points = [drawn(N_DOCS, 5, n)[..., 0].softmax(-1).sqrt()[mine] for n in (1, 2)]
    found = {}
    for name, kernel in KERNELS.items():
        a, b = points[0].clone().requires_grad_(), points[1]
        value = mmd(a, b, lambda x, y, k=kernel: k(x, y, 1.0), shard)
        (value * (1.0 if shard is None else shard.weight)).backward()
        found |= {f"value {name}": value.detach(), f"gradient {name}": a.grad}
    return found


class Two(nn.Module):
    """Network with a row-sparse gradient, two dense ones, and a parameter without a gradient."""

    def __init__(self, rank):
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(7, 2))
        self.first, self.second, self.idle = (nn.Parameter(torch.zeros(n)) for n in (3, 2, 4))
        own = torch.tensor([[rank, 2 * rank + 2]])
        values = torch.tensor([[1.0, 10.0], [100.0, 1000.0]]) * (rank + 1)
        self.rows.grad = torch.sparse_coo_tensor(own, values, (7, 2), is_coalesced=True, check_invariants=True)
        self.first.grad, self.second.grad = torch.full((3,), rank + 1.0), torch.arange(2.0) * rank


def summed(world):
    """Sum gradients over all ranks, in one bucket and in many."""
    found = {}
    for entries in (module.BUCKET_ENTRIES, 2):
        module.BUCKET_ENTRIES = entries
        network = Two(world.rank)
        tally = world.sum_gradients(network, torch.tensor([1.0, float(world.rank)]))
        assert network.idle.grad is None
        assert network.rows.grad.is_coalesced()
        found[f"{entries} rows"] = network.rows.grad.to_dense()
        found[f"{entries} touched"] = network.rows.grad.indices()[0]
        found |= {f"{entries} first": network.first.grad, f"{entries} second": network.second.grad}
        found[f"{entries} tally"] = tally
    return found


def shared_values(world):
    """Check that values and errors of rank zero reach all ranks unchanged."""

    def make():
        assert world.is_rank_zero
        big = {"state": 2**127 + 1, "loss": math.nan, "rate": 0.1, "none": None}
        return {"values": big, "tensors": [torch.arange(6).reshape(2, 3), torch.tensor(1.5, dtype=torch.float64)]}

    def fail():
        raise InputError("7 given, expected 8")

    made = world.from_rank_zero(make)
    with pytest.raises(InputError, match=r"^7 given, expected 8$"):
        world.from_rank_zero(fail)
    world.check_same({"batch_size": 3}, "parameters")
    with pytest.raises(InputError, match="process 2 of 3 was given different parameters than process 0"):
        world.check_same({"batch_size": 3 + (world.rank == 2)}, "parameters")
    flags = [world.any(False), world.any(world.rank == 1), on_rank_zero(world, lambda: world.rank == 0), is_rank_zero()]
    return repr(made), flags


def work(out):
    """Run all of the above on one rank's shard and save the results."""
    assert current() is None
    with distributed() as world, distributed() as again:
        assert again is world is current()
        shard = Shard.of(world, N_DOCS)
        tensors = normalised(shard, shard.mine) | discrepancies(shard, shard.mine) | summed(world)
        made, flags = shared_values(world)
        weights = nn.Linear(2, 2)
        world.broadcast(weights.state_dict().values())
        tensors |= {"broadcast": weights.weight.detach(), "gathered": shard.gathered(drawn(N_DOCS, 2)[shard.mine])}
    assert current() is None
    np.savez(out / f"{world.rank}.npz", **{name: value.numpy() for name, value in tensors.items()})
    (out / f"{world.rank}.json").write_text(json.dumps([made, flags]))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Results of each rank."""
    out = tmp_path_factory.mktemp("ranks")
    for status, _, stderr in ended(started(SIZE, ["-m", "tests.runtime.test_distributed", out])):
        assert status == 0, stderr
    arrays = [dict(np.load(out / f"{rank}.npz")) for rank in range(SIZE)]
    return arrays, [json.loads((out / f"{rank}.json").read_text()) for rank in range(SIZE)]


@pytest.mark.slow  # covered by fits of two processes in tests/models
def test_batch_normalisation_uses_the_whole_batch(ranks):
    parts, _ = ranks
    for name, expected in normalised(None, slice(None)).items():
        found = [part[name] for part in parts]
        if name.startswith(("out", "input")):
            whole = np.concatenate(found)
        elif name.startswith("state"):
            whole = found[0]
            assert all(np.array_equal(one, whole) for one in found), name
        else:  # a parameter's gradient, summed with all others
            whole = sum(found)
        assert np.allclose(whole, expected, rtol=1e-9, atol=1e-9), name


@pytest.mark.slow  # covered by fits of two processes in tests/models
def test_the_discrepancy_uses_all_points(ranks):
    parts, _ = ranks
    sizes = Shard.of(World(0, SIZE), N_DOCS).sizes
    assert sizes == (4, 4, 3)
    for name, expected in discrepancies(None, slice(None)).items():
        found = [part[name] for part in parts]
        is_value = name.startswith("value")
        whole = np.average(found, weights=sizes) if is_value else np.concatenate(found)
        assert np.allclose(whole, expected, rtol=1e-9, atol=1e-12), name


@pytest.mark.slow  # covered by fits of two processes in tests/models
@pytest.mark.parametrize("entries", [2**22, 2])
def test_gradients_are_summed_and_stay_row_sparse(ranks, entries):
    parts, _ = ranks
    rows = np.zeros((7, 2))
    for rank in range(SIZE):
        rows[[rank, 2 * rank + 2]] += np.array([[1, 10], [100, 1000]]) * (rank + 1)
    for part in parts:
        assert part[f"{entries} touched"].tolist() == [0, 1, 2, 4, 6]
        assert np.array_equal(part[f"{entries} rows"], rows)
        assert part[f"{entries} first"].tolist() == [6.0] * 3
        assert part[f"{entries} second"].tolist() == [0.0, 3.0]
        assert part[f"{entries} tally"].tolist() == [3.0, 3.0]


@pytest.mark.slow  # covered by fits of two processes in tests/models
def test_values_of_rank_zero_reach_all_ranks(ranks):
    parts, values = ranks
    assert {made for made, _ in values} == {
        f"{{'values': {{'state': {2**127 + 1}, 'loss': nan, 'rate': 0.1, 'none': None}}, 'tensors':"
        " [tensor([[0, 1, 2],\n        [3, 4, 5]]), tensor(1.5000, dtype=torch.float64)]}"
    }
    assert [flags for _, flags in values] == [[False, True, True, rank == 0] for rank in range(SIZE)]
    for part in parts:
        assert np.array_equal(part["broadcast"], parts[0]["broadcast"])
        assert np.array_equal(part["gathered"], drawn(N_DOCS, 2).numpy())


@pytest.mark.parametrize(("n_docs", "batch_size"), [(103, 10), (7, 2), (3, 50)])
def test_shards_of_a_batch_make_up_the_whole_batch(n_docs, batch_size):
    """Concatenated over ranks, documents, counts and noise equal those of one process with a larger batch."""
    counts = random_csr(n_docs, 20, 0.3, format="csr", rng=np.random.default_rng(0), dtype=np.float32)
    whole = SparseBatches(counts, batch_size * SIZE, CPU)
    parts = [SparseBatches(counts, batch_size, CPU, World(rank, SIZE)) for rank in range(SIZE)]
    assert {len(part) for part in parts} == {len(whole)}
    cut = [list(part.shuffled(np.random.default_rng(1), skip=1 if len(whole) > 1 else 0)) for part in parts]
    for batch, *shards in zip(list(whole.shuffled(np.random.default_rng(1)))[-len(cut[0]) :], *cut, strict=True):
        assert torch.equal(torch.cat([shard.index for shard in shards]), batch.index)
        assert torch.equal(torch.cat([shard.counts for shard in shards]), batch.counts)
        assert torch.equal(torch.cat([shard.noise.keys for shard in shards]), batch.noise.keys)
        assert sum(shard.shard.weight for shard in shards) == pytest.approx(1)
        assert [shard.n_docs for shard in shards] == list(shards[0].shard.sizes)
        assert batch.shard is None


def test_more_processes_than_documents_are_rejected():
    counts = random_csr(2, 5, 1.0, format="csr", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="2 documents given to 3 processes: start at most one process per document"):
        SparseBatches(counts, 10, CPU, World(0, SIZE))


def test_a_single_process_is_not_distributed(monkeypatch):
    for name in module.LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    with distributed() as world:
        assert world is current() is None
        assert is_rank_zero()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # which some clusters set for every job
    with distributed() as world:
        assert world is None
    for name, value in zip(module.LAUNCHED, ("0", "1", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    with distributed() as world:
        assert world is None
    batches = SparseBatches(random_csr(4, 3, 1.0, format="csr", rng=np.random.default_rng(0)), 2, CPU, current())
    assert [batch.shard for batch in batches] == [None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RANK": "1"}, "RANK is set in the environment, but WORLD_SIZE and MASTER_ADDR and MASTER_PORT are not"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 given, expected a number below WORLD_SIZE=2"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK='-1' given, expected a whole number, 0 or more"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE='two' given, expected a whole number, 1 or more"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "x"}, "LOCAL_RANK='x' given, expected a whole number"),
        ({"RANK": "0", "WORLD_SIZE": "2", module.VARIABLE: "-5"}, "TIMEOUT_SECONDS='-5' given, expected a number"),
    ],
)
def test_an_incomplete_environment_is_rejected(monkeypatch, given, message):
    for name in (*module.LAUNCHED, "LOCAL_RANK", module.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    if "WORLD_SIZE" in given:
        given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"} | given
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message), distributed():
        pass


def test_missing_processes_raise_a_parallel_error(monkeypatch):
    for name, value in zip(module.LAUNCHED, ("1", "2", "127.0.0.1", "9"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(module.VARIABLE, "0.5")
    with pytest.raises(ParallelError, match=r"process 1 of 2 found no other process at 127\.0\.0\.1:9"), distributed():
        pass


if __name__ == "__main__":
    work(Path(sys.argv[1]))
