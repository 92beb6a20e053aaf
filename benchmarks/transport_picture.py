"""Draw docs/_static/transport-plans.png: the exact and the entropic plan between two samples in the plane.

Usage: python benchmarks/transport_picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from topicnet import transport

TARGET = Path(__file__).resolve().parents[1] / "docs" / "_static" / "transport-plans.png"
N_POINTS, RELATIVE_EPSILON, FAINTEST = 24, 0.05, 0.02


def main() -> None:
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, N_POINTS)
    ring = 2.0 * np.stack([np.cos(angles), np.sin(angles)], 1) + 0.1 * rng.standard_normal((N_POINTS, 2))
    cloud = 0.5 * rng.standard_normal((N_POINTS, 2))
    cost = transport.ground_cost(cloud, ring, 2)
    epsilon = RELATIVE_EPSILON * float(np.median(np.asarray(cost)))
    plans = {
        "exact": transport.exact_transport(cost),
        f"entropic, epsilon {epsilon:.2f}": transport.sinkhorn(cost, epsilon=epsilon),
    }
    figure, all_axes = pyplot.subplots(1, 2, figsize=(8, 4), sharex=True, sharey=True)
    for axes, (name, found) in zip(all_axes, plans.items(), strict=True):
        shares = np.asarray(found.plan) * N_POINTS
        for i, j in np.argwhere(shares > FAINTEST):
            ends = np.stack([cloud[i], ring[j]])
            axes.plot(*ends.T, color="#4c78a8", alpha=min(1.0, float(shares[i, j])), linewidth=1.4, zorder=1)
        axes.scatter(*cloud.T, s=22, color="#d40000", zorder=2)
        axes.scatter(*ring.T, s=22, color="#222222", zorder=2)
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_aspect("equal")
        axes.axis("off")
    figure.tight_layout()
    figure.savefig(TARGET, dpi=90)


if __name__ == "__main__":
    main()
