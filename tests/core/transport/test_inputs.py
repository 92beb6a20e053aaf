"""Bad input of every function is refused in one line, and never gives a number."""

import math

import numpy as np
import pytest
import torch

import topicnet
from topicnet.errors import InputError

transport = topicnet.transport
X, Y = np.zeros((2, 3)), np.ones((2, 3))
COST = [[0.0, 1.0], [1.0, 0.0]]

ON_COSTS = {
    "exact_transport": transport.exact_transport,
    "sinkhorn": lambda cost, a=None, b=None: transport.sinkhorn(cost, 0.5, a, b),
    "dual_value": lambda cost, a=None, b=None: transport.dual_value(cost, [0.0, 0.0], a, b),
}
ON_POINTS = {
    "wasserstein": transport.wasserstein,
    "sliced_wasserstein": transport.sliced_wasserstein,
    "sinkhorn_divergence": lambda x, y, p=2, a=None, b=None: transport.sinkhorn_divergence(x, y, 0.5, p, a, b),
    "wasserstein_1d": lambda x, y, p=2, a=None, b=None: transport.wasserstein_1d(
        x[:, 0] if np.ndim(x) == 2 else x, y[:, 0] if np.ndim(y) == 2 else y, p, a, b
    ),
}
MASSES = [
    ([0.5, 0.6], "^a sums to 1.1; expected masses that sum to 1: divide them by their sum$"),
    ([1.5, -0.5], "^a has the negative mass -0.5; expected masses of 0 or more$"),
    ([0.5, 0.25, 0.25], "^a has 3 masses for 2 points; expected one mass per point$"),
    ([0.5, math.nan], "^a holds NaN or infinite values; expected finite numbers$"),
    ([[0.5, 0.5]], r"^a has shape \(1, 2\); expected 1 dimensions, none of them empty$"),
    ([0.0, 0.0], "^a sums to 0; expected masses that sum to 1"),
]


@pytest.mark.parametrize("name", ON_COSTS)
@pytest.mark.parametrize(("mass", "message"), MASSES)
def test_masses_between_costs(name, mass, message):
    with pytest.raises(InputError, match=message):
        ON_COSTS[name](COST, a=mass)
    with pytest.raises(InputError, match=message.replace("^a ", "^b ")):
        ON_COSTS[name](COST, b=mass)


@pytest.mark.parametrize("name", ON_POINTS)
@pytest.mark.parametrize(("mass", "message"), MASSES)
def test_masses_of_points(name, mass, message):
    with pytest.raises(InputError, match=message):
        ON_POINTS[name](X, Y, a=mass)
    with pytest.raises(InputError, match=message.replace("^a ", "^b ")):
        ON_POINTS[name](X, Y, b=mass)


@pytest.mark.parametrize("name", ON_COSTS)
@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ([[0.0, math.inf], [1.0, 0.0]], "^cost holds NaN or infinite values; expected finite numbers$"),
        ([[0.0, math.nan], [1.0, 0.0]], "^cost holds NaN or infinite values; expected finite numbers$"),
        ([0.0, 1.0], r"^cost has shape \(2,\); expected 2 dimensions, none of them empty$"),
        (np.zeros((0, 2)), r"^cost has shape \(0, 2\); expected 2 dimensions, none of them empty$"),
        ([[1j]], "^cost holds torch.complex128; expected real numbers$"),
        ([["a"]], "^cost is not an array of numbers; expected 2 dimensions$"),
        ([[0.0], [0.0, 1.0]], "^cost is not an array of numbers; expected 2 dimensions$"),
    ],
)
def test_costs(name, cost, message):
    with pytest.raises(InputError, match=message):
        ON_COSTS[name](cost)


@pytest.mark.parametrize("name", ON_POINTS)
def test_points(name):
    compute = ON_POINTS[name]
    with pytest.raises(InputError, match=r"^x has shape \(0,.*none of them empty$"):
        compute(X[:0], Y)
    with pytest.raises(InputError, match=r"^y holds NaN or infinite values; expected finite numbers$"):
        compute(X, Y * math.inf)
    for p in (0.5, math.inf, math.nan, "2"):
        with pytest.raises(InputError, match=f"^p={p!r} given; expected a finite power of at least 1$"):
            compute(X, Y, p)
    if name != "wasserstein_1d":
        with pytest.raises(InputError, match=r"^x has 3 and y 2 columns; expected points of one space$"):
            compute(X, Y[:, :2])


def test_settings():
    for name, value in (("epsilon", 0.0), ("epsilon", math.nan), ("epsilon", "a"), ("tolerance", -1.0)):
        with pytest.raises(InputError, match=f"^{name}={value!r} given; expected a finite number above 0$"):
            transport.sinkhorn(COST, **({"epsilon": 1.0} | {name: value}))
    with pytest.raises(InputError, match=r"^max_iterations=0 given; expected a whole number of at least 1$"):
        transport.sinkhorn_divergence(X, Y, 1.0, max_iterations=0)
    for count in (0, 2.5):
        with pytest.raises(InputError, match=rf"^n_projections={count} given; expected a whole number of at least 1$"):
            transport.sliced_wasserstein(X, Y, n_projections=count)
    for seed in (-1, 2**64, 1.5):
        with pytest.raises(InputError, match=rf"^seed={seed} given; expected a whole number from 0 to 2\^64 - 1$"):
            transport.sliced_wasserstein(X, Y, seed=seed)


def test_a_cost_beyond_single_precision_is_refused():
    far = torch.full((1, 1), 1e30)
    with pytest.raises(InputError, match=r"^the cost \|x - y\|\^2 exceeds the range of torch.float32; scale"):
        transport.wasserstein(far, -far)


def test_other_costs_that_overflow_are_refused():
    message = r"^the cost exceeds the range of torch.float\d\d; scale the points or costs down$"
    with pytest.raises(InputError, match=message):
        transport.wasserstein_1d([1e200], [-1e200])
    with pytest.raises(InputError, match=message):
        transport.sliced_wasserstein(torch.full((1, 2), 1e30), torch.zeros(1, 2))
    with pytest.raises(InputError, match=message):
        transport.gaussian_wasserstein([1e200], [[1.0]], [0.0], [[1.0]])
    for compute in ON_COSTS.values():
        with pytest.raises(
            InputError, match=r"^the differences of cost exceed the range of torch.float64; scale the cost"
        ):
            compute([[0.0, 1e308], [-1e308, 1e308]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(dtype):
    x = torch.tensor([[0.0, 1.0], [2.0, 0.5]], dtype=dtype)
    for compute in (transport.wasserstein, transport.sliced_wasserstein):
        assert torch.equal(compute(x, x + 1).cost, compute(x.float(), x.float() + 1).cost)


@pytest.mark.parametrize("name", ["wasserstein_1d", "sliced_wasserstein"])
def test_masses_with_a_gradient_need_sinkhorn(name):
    with pytest.raises(InputError, match=r"use sinkhorn, or detach them$"):
        ON_POINTS[name](X, Y, a=torch.tensor([0.5, 0.5], requires_grad=True))


def test_masses_of_a_single_precision_softmax_are_accepted():
    mass = torch.linspace(0, 5, 20_000).softmax(0)
    x = torch.linspace(0, 1, 20_000)
    assert float(transport.wasserstein_1d(x, x, a=mass, b=mass).cost) == 0


def test_lists_arrays_and_whole_numbers_are_points():
    expected = float(transport.wasserstein(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])).cost)
    for kind in (list, np.array):
        assert float(transport.wasserstein(kind([[0], [2]]), kind([[1], [5]])).cost) == expected == 5.0
