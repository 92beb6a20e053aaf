"""Kernels on the simplex and the maximum mean discrepancy, against their formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.examples import examples
from topicnet.core.divergences import KERNELS, diffusion_kernel, gaussian_kernel, inverse_multiquadratic_kernel, mmd

kernels = pytest.mark.parametrize("name", KERNELS)


def samples(n_points, concentration=0.5, n_topics=4, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).dirichlet(np.full(n_topics, concentration), n_points))


@st.composite
def pairs_of_samples(draw, least=1):
    """Draw two samples of points on one simplex, including zeros and duplicate points."""
    n_topics = draw(st.integers(1, 5))
    sizes = st.integers(least, 6)
    elements = st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0, 1)
    weights = [draw(arrays(np.float64, (draw(sizes), n_topics), elements=elements)) for _ in range(2)]
    for points in weights:
        points[points.sum(1) < 1e-6] = 1.0
    return [torch.as_tensor(points / points.sum(1, keepdims=True)) for points in weights]


def formula(name, p, q, bandwidth):
    """Compute one kernel value in plain floats."""
    distance = sum((x - y) ** 2 for x, y in zip(p, q, strict=True))
    arc = math.acos(min(1.0, sum(math.sqrt(x * y) for x, y in zip(p, q, strict=True))))
    return {
        "diffusion": math.exp(-(arc**2) / bandwidth),
        "gaussian": math.exp(-distance / bandwidth),
        "imq": bandwidth / (bandwidth + distance),
    }[name]


@kernels
@examples(30)
@given(pairs_of_samples(), st.floats(0.1, 10))
def test_kernels_equal_their_formulas(name, both, bandwidth):
    a, b = both
    expected = [[formula(name, p, q, bandwidth) for q in b.tolist()] for p in a.tolist()]
    assert torch.allclose(KERNELS[name](a.sqrt(), b.sqrt(), bandwidth), torch.tensor(expected).double(), atol=1e-7)


@kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_are_symmetric_and_1_on_the_diagonal(name, dtype):
    root = samples(20).to(dtype).sqrt()
    kernel = KERNELS[name](root, root, 1.0)
    assert torch.allclose(kernel.diagonal(), torch.ones(20, dtype=dtype), atol=1e-5)
    assert torch.allclose(kernel, kernel.T)
    assert ((kernel > 0) & (kernel <= 1)).all()


@pytest.mark.parametrize("bandwidth", [0.5, 2.0])
def test_the_bandwidth_divides_inside_the_exponent(bandwidth):
    a, b = samples(5).sqrt(), samples(6, seed=1).sqrt()
    for kernel in (diffusion_kernel, gaussian_kernel):
        assert torch.allclose(kernel(a, b, bandwidth), kernel(a, b, 1.0) ** (1 / bandwidth))


def test_the_multiquadratic_kernel_is_a_half_at_the_bandwidth():
    corners = torch.eye(2)  # squared distance 2
    assert inverse_multiquadratic_kernel(corners, corners, 2.0)[0, 1] == 0.5


# 0.01414 is where the series takes over from arccos.
@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-4, 0.0141, 0.0142, 0.1, 1.0, 1.5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-8)])
def test_the_diffusion_kernel_s_gradient_is_exact_at_any_angle(angle, dtype, tolerance):
    """The derivative in cos(angle) is exp(-angle^2 / tau) 2 angle / (tau sin(angle)), which is 2 / tau at angle 0."""
    a = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=dtype, requires_grad=True)
    b = torch.tensor([[1.0, 0.0]], dtype=dtype)
    diffusion_kernel(a, b, 0.7).sum().backward()
    slope = math.exp(-(angle**2) / 0.7) * 2 * (angle / math.sin(angle) if angle else 1.0) / 0.7
    assert a.grad.tolist() == [[pytest.approx(slope, rel=tolerance), 0.0]]


@kernels
def test_gradients_pass_finite_differences(name):
    a, b = samples(3, 2.0).sqrt().requires_grad_(), samples(4, 2.0, seed=1).sqrt().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: KERNELS[name](a, b, 0.5), (a, b))


@kernels
def test_gradients_are_finite_where_all_points_are_the_same(name):
    """The points of a collapsed encoder must be able to separate again."""
    logits = torch.zeros(6, 4, requires_grad=True)
    root = (logits.log_softmax(-1) / 2).exp()
    mmd(root, samples(6).float().sqrt(), lambda a, b: KERNELS[name](a, b, 1.0)).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() > 1e-4


def looped(a, b, kernel):
    """Compute the U-statistic pair by pair (Gretton et al. 2012, eq. 3)."""

    def k(x, y):
        return float(kernel(x[None], y[None], 1.0))

    own = [
        sum(k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    return sum(own) - 2 * sum(k(x, y) for x in a for y in b) / (len(a) * len(b))


@kernels
@examples(20)
@given(pairs_of_samples(least=2))
def test_mmd_equals_a_double_loop(name, both):
    a, b = (points.sqrt() for points in both)
    kernel = KERNELS[name]
    assert float(mmd(a, b, lambda x, y: kernel(x, y, 1.0))) == pytest.approx(looped(a, b, kernel), abs=1e-7)


@kernels
@examples(20)
@given(pairs_of_samples(), st.randoms(use_true_random=False))
def test_mmd_does_not_depend_on_the_order_of_points_or_samples(name, both, random):
    a, b = (points.sqrt() for points in both)
    shuffled = [points[random.sample(range(len(points)), len(points))] for points in (a, b)]
    given_order = float(mmd(a, b, KERNELS[name]))
    assert float(mmd(*shuffled, KERNELS[name])) == pytest.approx(given_order, abs=1e-7)
    assert float(mmd(b, a, KERNELS[name])) == pytest.approx(given_order, abs=1e-7)


@kernels
def test_mmd_is_zero_on_average_for_samples_of_one_distribution(name):
    values = [
        float(mmd(samples(8, seed=s).sqrt(), samples(8, seed=1000 + s).sqrt(), KERNELS[name])) for s in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(100)
    assert min(values) < 0


@kernels
def test_mmd_distinguishes_distributions(name):
    prior = samples(300, 0.1).sqrt()
    assert abs(float(mmd(prior, samples(300, 0.1, seed=1).sqrt(), KERNELS[name]))) < 0.01
    assert float(mmd(prior, samples(300, 1.0, seed=1).sqrt(), KERNELS[name])) > 0.03


@kernels
def test_the_kernel_of_a_single_point_with_itself_counts_as_1(name):
    a, b = samples(1).sqrt(), samples(1, seed=1).sqrt()
    assert float(mmd(a, b, KERNELS[name])) == pytest.approx(2 - 2 * float(KERNELS[name](a, b, 1.0)))
    assert math.isfinite(float(mmd(a, samples(5).sqrt(), KERNELS[name])))
