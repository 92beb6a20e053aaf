"""RMSProp and Adam without a first moment, against torch's own."""

import itertools

import pytest
import torch
from torch import nn

from topicnet.training.optimizer import Adam
from topicnet.training.rmsprop import RmsProp


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def losses(model, n):
    """Yield n losses of batches that differ."""
    for seed in range(n):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)).double()
        yield model(x).square().mean() + model(x).mean()


def trained(make, n=6, step=lambda optimizer: optimizer.step(0.01)):
    with torch.random.fork_rng():
        model = network()
    optimizer = make(model)
    for loss in losses(model, n):
        model.zero_grad()
        loss.backward()
        step(optimizer)
    return torch.cat([value.detach().flatten() for value in model.parameters()])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda m: RmsProp(m, 0.99), lambda m: torch.optim.RMSprop(m.parameters(), lr=0.01, alpha=0.99)),
        (
            lambda m: RmsProp(m, 0.9, corrected=True),
            lambda m: torch.optim.Adam(m.parameters(), lr=0.01, betas=(0.0, 0.9)),
        ),
        (
            lambda m: Adam(m, 0.0, {}, first_decay=0.5),
            lambda m: torch.optim.Adam(m.parameters(), lr=0.01, betas=(0.5, 0.999)),
        ),
    ],
    ids=["rmsprop", "adam without a first moment", "adam with a short first moment"],
)
def test_weights_equal_those_of_torch(ours, theirs):
    assert torch.allclose(trained(ours), trained(theirs, step=lambda optimizer: optimizer.step()), atol=1e-9)


def test_a_restored_state_continues_with_the_same_bits():
    with torch.random.fork_rng():
        whole, again = network(), network()
    first, state = RmsProp(whole, 0.9, corrected=True), {}
    for number, loss in enumerate(losses(whole, 6)):
        if number == 3:
            state = {name: value.clone() for name, value in first.state().items()}
            again.load_state_dict(whole.state_dict())
        loss.backward()
        first.step(0.01)
    second = RmsProp(again, 0.9, corrected=True)
    second.load(state)
    assert second.n_steps == 3
    for loss in itertools.islice(losses(again, 6), 3, None):
        loss.backward()
        second.step(0.01)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_weights_are_projected_after_each_step():
    with torch.random.fork_rng():
        model = network()

    def project():
        with torch.no_grad():
            for value in model.parameters():
                value.clamp_(-0.02, 0.02)

    optimizer = RmsProp(model, 0.99, project=project)
    next(losses(model, 1)).backward()
    optimizer.step(0.01)
    assert max(float(value.detach().abs().max()) for value in model.parameters()) == pytest.approx(0.02)
    assert all(value.grad is None for value in model.parameters())


def test_parameters_without_a_gradient_stay():
    with torch.random.fork_rng():
        model = network()
    model[0].requires_grad_(False)
    before = [value.detach().clone() for value in model.parameters()]
    optimizer = RmsProp(model, 0.99)
    next(losses(model, 1)).backward()
    optimizer.step(0.01)
    same = [torch.equal(value, old) for value, old in zip(model.parameters(), before, strict=True)]
    assert same == [True, True, False, False]
    optimizer.step(0.01)  # no gradient at all
