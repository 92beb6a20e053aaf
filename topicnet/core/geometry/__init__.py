"""Riemannian geometry of a latent space: metrics of differentiable maps, and geodesics by five methods.

::

    from topicnet import geometry

    metric = geometry.pullback(decoder)                 # any torch function (d,) -> (D,)
    found = geometry.geodesic(metric, z0, z1)           # curve, length, energy, converged, method
"""

from topicnet.core.geometry.curves import Geodesic, constant_speed, curve_energy, curve_length, straight_line
from topicnet.core.geometry.equations import exponential, logarithm
from topicnet.core.geometry.geodesics import geodesic
from topicnet.core.geometry.graphs import LatentGraph
from topicnet.core.geometry.metrics import (
    Metric,
    expected_pullback,
    fisher_rao_bernoulli,
    fisher_rao_categorical,
    fisher_rao_gaussian,
    metric_from_tensor,
    pullback,
)
from topicnet.core.geometry.precision import RBFPrecision, fit_rbf_precision

__all__ = [
    "Geodesic",
    "LatentGraph",
    "Metric",
    "RBFPrecision",
    "constant_speed",
    "curve_energy",
    "curve_length",
    "expected_pullback",
    "exponential",
    "fisher_rao_bernoulli",
    "fisher_rao_categorical",
    "fisher_rao_gaussian",
    "fit_rbf_precision",
    "geodesic",
    "logarithm",
    "metric_from_tensor",
    "pullback",
    "straight_line",
]
