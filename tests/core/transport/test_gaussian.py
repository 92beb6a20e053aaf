"""The Wasserstein distance between Gaussians, against its closed forms and POT."""

import numpy as np
import ot.gaussian
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from topicnet.core.transport import gaussian_wasserstein
from topicnet.errors import InputError

A, B = torch.tensor([[1, 0.3], [0.3, 0.5]]).double(), torch.tensor([[0.6, -0.2], [-0.2, 1.2]]).double()


def covariance(d, seed):
    root = np.random.default_rng(seed).normal(size=(d, d))
    return torch.as_tensor(root @ root.T)


def test_numbers_by_hand():
    assert float(gaussian_wasserstein([0.0], [[1.0]], [2.0], [[0.25]]).cost) == 4.25
    found = gaussian_wasserstein([0.0, 0.0], A, [1.0, 2.0], B)
    assert float(found.cost) == pytest.approx(5.376967, abs=1e-6)
    assert float(found.distance) == pytest.approx(5.376967**0.5, abs=1e-6)


def test_commuting_covariances_add_the_differences_of_standard_deviations():
    found = gaussian_wasserstein(torch.zeros(3), torch.diag(torch.tensor([4.0, 9.0, 0.0])), torch.ones(3), torch.eye(3))
    assert float(found.cost) == pytest.approx(3 + 1 + 4 + 1)


@examples(25)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_distance_equals_pot_and_is_symmetric(d, seed):
    (a, b), mean = (covariance(d, seed), covariance(d, seed + 1)), torch.arange(d).double()
    found = gaussian_wasserstein(mean, a, 0 * mean, b)
    pot = ot.gaussian.bures_wasserstein_distance(mean.numpy(), 0 * mean.numpy(), a.numpy(), b.numpy())
    assert float(found.distance) == pytest.approx(float(pot), rel=1e-6)  # POT gives W_2, not its square
    assert float(gaussian_wasserstein(0 * mean, b, mean, a).cost) == pytest.approx(float(found.cost))


@pytest.mark.parametrize("cov", [A, torch.eye(2), torch.zeros(2, 2), torch.ones(2, 2)])
def test_equal_gaussians_have_distance_0(cov):
    assert float(gaussian_wasserstein([1.0, 2.0], cov, [1.0, 2.0], cov).cost) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("roots", [(A, B), (torch.eye(2).double(), 2 * torch.eye(2).double())])
def test_gradients_pass_finite_differences(roots):
    """Also at the identity, whose equal eigenvalues break the derivative of an eigenvalue decomposition."""
    means = torch.tensor([0.5, 1.0]).double(), torch.tensor([-0.5, 0.3]).double()

    def cost(mean_a, root_a, mean_b, root_b):
        return gaussian_wasserstein(mean_a, root_a @ root_a.T, mean_b, root_b @ root_b.T).cost

    inputs = [value.clone().requires_grad_() for value in (means[0], roots[0], means[1], roots[1])]
    assert torch.autograd.gradcheck(cost, inputs)


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], r"^cov_b has the eigenvalue -1; expected a positive semidefinite matrix$"),
        ([[1.0, 0.5], [0.0, 1.0]], r"^cov_b is not symmetric; expected a covariance$"),
        ([[1.0]], r"^cov_b has shape \(1, 1\); expected \(2, 2\)$"),
        ([[1.0, float("nan")], [0.0, 1.0]], r"^cov_b holds NaN or infinite values; expected finite numbers$"),
    ],
)
def test_matrices_that_are_no_covariances_are_refused(cov, message):
    with pytest.raises(InputError, match=message):
        gaussian_wasserstein([0.0, 0.0], np.eye(2), [0.0, 0.0], cov)


def test_other_bad_input_is_refused():
    with pytest.raises(InputError, match=r"^mean_a has 1 and mean_b 2 entries; expected one dimension$"):
        gaussian_wasserstein([0.0], [[1.0]], [0.0, 0.0], np.eye(2))
    with pytest.raises(InputError, match=r"^cov_a requires a gradient and is singular; expected a positive definite"):
        gaussian_wasserstein([0.0, 0.0], torch.ones(2, 2, requires_grad=True), [0.0, 0.0], np.eye(2))
