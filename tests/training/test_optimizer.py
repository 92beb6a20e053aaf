"""Adam against torch's Adam, and its lazy updates with row-sparse gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from topicnet.training.optimizer import FIRST_DECAY, Adam


class Net(nn.Module):
    def __init__(self, rows=6):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(rows, 3))
        self.bias = nn.Parameter(torch.randn(3))


def gradients(n, shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(n)]


def rows_of(gradient, rows):
    rows = torch.as_tensor(rows)
    return torch.sparse_coo_tensor(
        rows[None], gradient[rows], gradient.shape, is_coalesced=True, check_invariants=False
    )


def test_dense_updates_equal_torch_s_adam():
    ours, theirs = Net(), Net()
    adam = Adam(ours, 0.01, {"bias": 0.5})
    reference = torch.optim.Adam(
        [{"params": [theirs.table], "weight_decay": 0.01}, {"params": [theirs.bias], "lr": 0.05}], lr=0.1
    )
    for table, bias in zip(gradients(20, (6, 3)), gradients(20, (3,), 2), strict=True):
        for net in (ours, theirs):
            net.table.grad, net.bias.grad = table.clone(), bias.clone()
        adam.step(0.1)
        reference.step()
        assert ours.table.grad is None
    assert torch.allclose(ours.table, theirs.table, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)


def test_a_sparse_gradient_of_all_rows_equals_a_dense_one():
    dense, sparse = Net(), Net()
    two = Adam(dense, 0.01, {}), Adam(sparse, 0.01, {})
    for table in gradients(10, (6, 3)):
        dense.table.grad, sparse.table.grad = table.clone(), rows_of(table, range(6))
        for adam in two:
            adam.step(0.1)
    assert torch.allclose(dense.table, sparse.table, atol=1e-6)


def test_rows_without_a_gradient_do_not_move_and_their_moments_decay(monkeypatch):
    monkeypatch.setattr("topicnet.training.optimizer.CHUNK_ENTRIES", 6)  # two rows at a time
    net = Net()
    adam = Adam(net, 0.0, {})
    start = net.table.detach().clone()
    table = gradients(1, (6, 3))[0]
    net.table.grad = rows_of(table, [0, 1, 2, 4, 5])
    adam.step(0.1)
    assert torch.equal(net.table[3], start[3])
    assert (net.table[[0, 1, 2, 4, 5]] != start[[0, 1, 2, 4, 5]]).all()
    for _ in range(4):
        net.table.grad = rows_of(table, [3])
        adam.step(0.1)
    net.table.grad = rows_of(torch.zeros_like(table), [0])
    adam.step(0.1)
    # Five steps without a gradient, and one of zero: the first moment has decayed five times.
    expected = (1 - FIRST_DECAY) * table[0] * FIRST_DECAY**5
    assert torch.allclose(adam.state()["first.table"][0], expected, rtol=1e-5)


def test_moments_of_sparse_rows_equal_those_of_dense_adam():
    """Moments agree; only moves by momentum alone are omitted."""
    dense, sparse = Net(), Net()
    two = Adam(dense, 0.0, {}), Adam(sparse, 0.0, {})
    for step, table in enumerate(gradients(12, (6, 3))):
        rows = [0, 1, 2] if step % 3 else [3, 4, 5]
        masked = torch.zeros_like(table)
        masked[rows] = table[rows]
        dense.table.grad, sparse.table.grad = masked, rows_of(table, rows)
        for adam in two:
            adam.step(0.01)
    states = [adam.state() for adam in two]
    for kind in ("first", "second"):
        last = [0, 1, 2]  # touched in the last step
        assert torch.allclose(states[0][f"{kind}.table"][last], states[1][f"{kind}.table"][last], rtol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_restored_state_continues_to_the_same_bits(sparse):
    def move(net, adam, table):
        net.table.grad = rows_of(table, [1, 4]) if sparse else table.clone()
        net.bias.grad = table[0].clone()
        adam.step(0.05)

    whole, first = Net(), Net()
    adam, half = Adam(whole, 0.01, {}), Adam(first, 0.01, {})
    steps = gradients(8, (6, 3))
    for table in steps:
        move(whole, adam, table)
    for table in steps[:5]:
        move(first, half, table)
    second = Net()
    second.load_state_dict(first.state_dict())
    rest = Adam(second, 0.01, {})
    rest.load(half.state())
    for table in steps[5:]:
        move(second, rest, table)
    assert torch.equal(whole.table, second.table)
    assert torch.equal(whole.bias, second.bias)


def test_a_parameter_without_a_gradient_is_unchanged():
    net = Net()
    adam = Adam(net, 0.1, {})
    before = net.table.detach().clone()
    net.bias.grad = torch.ones(3)
    adam.step(0.1)
    assert torch.equal(net.table, before)
    assert not any("table" in name for name in adam.state())


def test_an_unknown_parameter_name_is_rejected():
    with pytest.raises(KeyError, match="tabel"):
        Adam(Net(), 0.0, {"tabel": 0.5})


def test_the_gradient_of_a_large_weight_holds_only_rows_of_the_batch(monkeypatch):
    from scipy.sparse import csr_matrix

    from topicnet.core import sparse as module
    from topicnet.core.sparse import SparseBatch, sparse_linear

    counts = csr_matrix(np.array([[0, 2, 0, 1, 0], [0, 1, 0, 0, 0]], dtype=np.float32))
    batch = SparseBatch.from_csr(counts, np.arange(2), torch.device("cpu"))
    weight = torch.randn(5, 3, requires_grad=True)
    upstream = torch.randn(2, 3)
    given = []
    for limit in (2**21, 0):
        monkeypatch.setattr(module, "ROW_SPARSE_ENTRIES", limit)
        weight.grad = None
        sparse_linear(batch, batch.counts, weight).backward(upstream)
        given.append(weight.grad)
    assert not given[0].is_sparse
    assert given[1].is_sparse
    assert given[1]._indices().tolist() == [[1, 3]]
    assert torch.equal(given[0], given[1].to_dense())


def test_normalised_gradients_are_divided_by_their_length_per_parameter():
    ours, theirs = Net(), Net()
    adam = Adam(ours, 0.01, {"bias": 0.5}, normalise=True)
    reference = torch.optim.Adam(
        [{"params": [theirs.table], "weight_decay": 0.01}, {"params": [theirs.bias], "lr": 0.05}], lr=0.1
    )
    for step, (table, bias) in enumerate(zip(gradients(20, (6, 3)), gradients(20, (3,), 2), strict=True)):
        ours.table.grad, ours.bias.grad = 10.0 ** (step / 4) * table, bias.clone()
        theirs.table.grad, theirs.bias.grad = table / table.norm(), bias / bias.norm()
        adam.step(0.1)
        reference.step()
    assert torch.allclose(ours.table, theirs.table, atol=1e-5)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-5)


def test_a_zero_gradient_moves_nothing():
    net = Net()
    adam = Adam(net, 0.0, {}, normalise=True)
    before = net.table.detach().clone()
    net.table.grad = torch.zeros(6, 3)
    adam.step(0.1)
    assert torch.equal(net.table, before)


def test_a_restored_normalised_state_continues_to_the_same_bits():
    whole, first = Net(), Net()
    adam, half = (Adam(net, 0.01, {}, normalise=True) for net in (whole, first))
    steps = gradients(6, (6, 3))
    for table in steps:
        whole.table.grad = table.clone()
        adam.step(0.05)
    for table in steps[:3]:
        first.table.grad = table.clone()
        half.step(0.05)
    rest = Adam(first, 0.01, {}, normalise=True)
    rest.load(half.state())
    for table in steps[3:]:
        first.table.grad = table.clone()
        rest.step(0.05)
    assert torch.equal(whole.table, first.table)
