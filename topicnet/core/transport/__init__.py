"""Optimal transport between discrete measures, on line and sphere, between Gaussians, and regularised by entropy.

`topicnet.transport` is this package.
"""

from topicnet.core.transport.critic import CriticEstimate, critic_wasserstein
from topicnet.core.transport.dual import c_transform, dual_value, duality_gap
from topicnet.core.transport.entropic import sinkhorn, sinkhorn_divergence
from topicnet.core.transport.exact import exact_transport, wasserstein
from topicnet.core.transport.gaussian import gaussian_wasserstein
from topicnet.core.transport.inputs import ground_cost
from topicnet.core.transport.line import sliced_wasserstein, wasserstein_1d
from topicnet.core.transport.result import Transport
from topicnet.core.transport.sphere import spherical_sliced_wasserstein

__all__ = [
    "CriticEstimate",
    "Transport",
    "c_transform",
    "critic_wasserstein",
    "dual_value",
    "duality_gap",
    "exact_transport",
    "gaussian_wasserstein",
    "ground_cost",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "spherical_sliced_wasserstein",
    "wasserstein",
    "wasserstein_1d",
]
