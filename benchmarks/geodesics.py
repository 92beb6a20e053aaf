"""Error of geodesic lengths: each method of `topicnet.geometry` against closed forms, in double precision.

Usage: python benchmarks/geodesics.py [--publish NAME]

The surfaces are those of the tests. Prints the relative error of the length with 100 segments and 8 knots (the
defaults); the grids have 50 x 50 nodes and paths along 8 directions (radius 1) or 32 (radius 3).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from publish import add_option, publish

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.support

from tests.support.surfaces import CASES
from topicnet import geometry

METHODS = ("energy", "spline", "bvp", "shooting")
RADII = {"grid, 8": 1, "grid, 32": 3}
COLUMNS = ["case", "exact", *METHODS, *RADII]
MARGIN, NODES = 0.3, 50


def errors(metric: Any, start: list[float], end: list[float], exact: float) -> list[float]:
    """Relative error of the length by each method and grid."""
    low, high = np.minimum(start, end) - MARGIN, np.maximum(start, end) + MARGIN
    graphs = [geometry.LatentGraph.on_grid(metric, low, high, NODES, radius) for radius in RADII.values()]
    found = [geometry.geodesic(metric, start, end, method=method) for method in METHODS]
    found += [geometry.geodesic(metric, start, end, method="graph", graph=graph) for graph in graphs]
    return [one.length / exact - 1 for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_option(parser)
    arguments = parser.parse_args()
    rows = []
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n")
    for name, (metric, start, end, exact) in CASES.items():
        rows.append([name, f"{exact:.8f}", *(f"{error:.1e}" for error in errors(metric, start, end, exact))])
        print(f"| {' | '.join(rows[-1])} |", flush=True)
    if arguments.publish:
        publish(arguments.publish, "Relative error of geodesic lengths", COLUMNS, rows)


if __name__ == "__main__":
    main()
