"""Surfaces and metrics whose geodesic distances are known in closed form."""

import math

import torch

from topicnet.core.geometry import expected_pullback, fisher_rao_gaussian, metric_from_tensor, pullback


def sphere(z):
    """Map angles (theta, phi) to the unit sphere."""
    return torch.stack([z[0].sin() * z[1].cos(), z[0].sin() * z[1].sin(), z[0].cos()])


def swiss_roll(z):
    return torch.stack([z[0] * z[0].cos(), z[1], z[0] * z[0].sin()])


def paraboloid(z):
    return torch.cat([z, z.square().sum()[None] / 2])


def polar_paraboloid(z):
    """Map (r, phi) to the paraboloid of height r^2 / 2."""
    return torch.stack([z[0] * z[1].cos(), z[0] * z[1].sin(), z[0] ** 2 / 2])


def arc_length(t):
    """Length of the parabola t^2 / 2, and of the spiral t (cos t, sin t), from 0 to t."""
    return (t * math.sqrt(1 + t * t) + math.asinh(t)) / 2


def cone_distance(a, b, slope):
    """Distance on the cone of this height per unit of radius, unrolled into the plane."""
    ra, rb = math.hypot(*a), math.hypot(*b)
    angle = math.acos((a[0] * b[0] + a[1] * b[1]) / (ra * rb)) / math.sqrt(1 + slope**2)
    return math.sqrt(1 + slope**2) * math.sqrt(ra**2 + rb**2 - 2 * ra * rb * math.cos(angle))


def half_plane_distance(a, b):
    return math.acosh(1 + ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2 * a[1] * b[1]))


def gaussian_distance(a, b):
    """Fisher-Rao distance of N(m, s) with standard deviation s."""
    return math.sqrt(2) * math.acosh(1 + ((a[0] - b[0]) ** 2 / 2 + (a[1] - b[1]) ** 2) / (2 * a[1] * b[1]))


def stochastic_cone(slope=0.8):
    """Metric I + slope^2 n n^T of mean z and scale 0.3 + slope / sqrt(2) |z| in both outputs."""
    return expected_pullback(lambda z: z, lambda z: 0.3 + slope / math.sqrt(2) * z.norm())


HALF_PLANE = metric_from_tensor(lambda z: torch.eye(2, dtype=z.dtype) / z[1] ** 2)
SPHERE_POINTS = ([math.pi / 2 - 0.6, 0.2], [math.pi / 2 + 0.5, 1.9])
# Metric, start, end and exact distance.
CASES = {
    "sphere": (pullback(sphere), *SPHERE_POINTS, 1.9433832812),
    "swiss roll": (
        pullback(swiss_roll), [3.0, 0.0], [9.0, 4.0], math.hypot(arc_length(9) - arc_length(3), 4),
    ),
    "stochastic cone": (stochastic_cone(), [1.0, 0.2], [-0.8, 1.1], cone_distance((1, 0.2), (-0.8, 1.1), 0.8)),
    "half-plane": (HALF_PLANE, [0.0, 1.0], [2.0, 1.5], half_plane_distance((0, 1), (2, 1.5))),
    "Gaussians": (
        fisher_rao_gaussian(lambda z: z[:1], lambda z: z[1:]), [0.0, 1.0], [2.0, 1.5],
        gaussian_distance((0, 1), (2, 1.5)),
    ),
}  # fmt: skip
