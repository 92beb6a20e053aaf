"""Error of `topicnet.transport` and of critics against closed forms.

Usage: python benchmarks/transport.py [--publish NAME]

Prints the exact value, the estimate, and the difference. Gaussians on the line are grids of quantiles; critics and
generators are those of the tests, and take about two minutes. The last rows are Wasserstein GANs of points.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from publish import add_option, publish

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.support

from scipy.stats import norm

from tests.support.generators import (
    CASES,
    LINE,
    line_generator,
    modes_found,
    ring_points,
    ring_samples,
    share_in_modes,
)
from topicnet import transport

COLUMNS = ["case", "by", "exact", "found", "difference"]
A, B, SHIFT = [[1.0, 0.3], [0.3, 0.5]], [[0.6, -0.2], [-0.2, 1.2]], [1.0, 2.0]
Row = tuple[str, str, float, float]


def entropic(m: float, a: float, b: float, epsilon: float) -> float:
    """Closed form of regularised transport between N(0, a) and N(m, b)."""
    s = epsilon / 2
    d = math.sqrt(4 * a * b + s * s)
    return m * m + a + b - d + s * (1 - math.log(2 * s)) + s * math.log(d + s)


def closed_forms() -> Iterator[Row]:
    """Yield the cases without a critic."""
    exact = transport.gaussian_wasserstein([0.0], [[1.0]], [2.0], [[0.25]])
    yield "W₂² of N(0, 1) and N(2, 1/4)", "`gaussian_wasserstein`", 4.25, float(exact.cost)
    levels = (np.arange(2000) + 0.5) / 2000
    grids = norm.ppf(levels), norm.ppf(levels, 2, 0.5)
    yield "the same, 2,000 quantiles", "`wasserstein_1d`", 4.25, float(transport.wasserstein_1d(*grids).cost)
    plane = transport.gaussian_wasserstein([0.0, 0.0], A, SHIFT, B)
    root = np.linalg.cholesky(np.array(A))
    cross = np.sqrt(np.linalg.eigvalsh(root.T @ np.array(B) @ root)).sum()
    in_plane = float(np.square(SHIFT).sum() + np.trace(A) + np.trace(B) - 2 * cross)
    yield "W₂² of two Gaussians in the plane", "`gaussian_wasserstein`", in_plane, float(plane.cost)
    points = torch.as_tensor(np.random.default_rng(0).normal(size=(200, 2)))
    moved = transport.wasserstein(points, points + torch.tensor([3.0, 4.0]), p=1)
    yield "W₁ of a translation by (3, 4)", "`wasserstein`", 5.0, float(moved.distance)
    x, y = (torch.as_tensor(norm.ppf((np.arange(800) + 0.5) / 800, m, s))[:, None] for m, s in ((0, 1), (2, 0.5)))
    for epsilon in (0.5, 0.05):
        truth = entropic(2, 1, 0.25, epsilon)
        found = transport.sinkhorn(transport.ground_cost(x, y), epsilon)
        yield f"OT of N(0, 1) and N(2, 1/4), ε = {epsilon}, 800 quantiles", "`sinkhorn`", truth, float(found.cost)
        truth -= (entropic(0, 1, 1, epsilon) + entropic(0, 0.25, 0.25, epsilon)) / 2
        divergence = transport.sinkhorn_divergence(x, y, epsilon)
        yield f"S of the same, ε = {epsilon}", "`sinkhorn_divergence`", truth, float(divergence.cost)


def critics() -> Iterator[Row]:
    """Yield W_1 by critics under each constraint."""
    for name, (x, y, truth) in CASES.items():
        yield f"W₁ of {name}", "critic, penalty, λ = 100", truth, transport.critic_wasserstein(x, y).value
        clipped = transport.critic_wasserstein(x, y, "clipping")
        yield "the same", "critic, clipping, value / slope", truth, clipped.distance
    x, y, truth = CASES[LINE]
    yield f"W₁ of {LINE}", "critic, penalty, λ = 10", truth, transport.critic_wasserstein(x, y, lam=10.0).value
    yield "the same", "critic, clipping, value", truth, transport.critic_wasserstein(x, y, "clipping").value
    for seed in (0, 1):
        found = transport.critic_wasserstein(x, y, "two-sided-penalty", lam=10.0, seed=seed)
        yield "the same", f"critic, two-sided penalty, λ = 10, seed {seed}", truth, found.value


def generators() -> Iterator[Row]:
    """Yield what generators trained as Wasserstein GANs reach."""
    slope, offset = line_generator()
    yield "generator a z + b on N(2, 1/4): b", "wgan-gp", 2.0, offset
    yield "the same: |a|", "wgan-gp", 0.5, abs(slope)
    samples, others = ring_samples(), ring_points(1000, 1)
    case = "ring of 8 Gaussians: modes with half of their samples or more"
    yield case, "wgan-gp", 8.0, float(modes_found(samples))
    inside = 1 - math.exp(-4.5)  # of a Gaussian in the plane within 3 standard deviations
    yield "the same: share of the samples within 3 deviations of a mode", "wgan-gp", inside, share_in_modes(samples)
    for by, found in (("wgan-gp", samples), ("the ring itself", ring_points(1000, 2))):
        reached = float(transport.wasserstein(found, others).distance)
        yield "the same: W₂ of 1,000 samples and 1,000 other points", by, 0.0, reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_option(parser)
    arguments = parser.parse_args()
    rows = []
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n")
    for part in (closed_forms, critics, generators):
        for case, by, exact, found in part():
            rows.append([case, by, f"{exact:.6g}", f"{found:.6g}", f"{found - exact:+.1e}"])
            print(f"| {' | '.join(rows[-1])} |", flush=True)
    if arguments.publish:
        publish(arguments.publish, "Distances and generators against closed forms", COLUMNS, rows)


if __name__ == "__main__":
    main()
