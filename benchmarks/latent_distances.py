"""Geodesics in two-dimensional latent spaces of images: lengths against straight lines, and labels of neighbours.

Usage: python benchmarks/latent_distances.py [--data FOLDER] [--publish NAME]

Fits a VAE with a two-dimensional latent space to scikit-learn's digits, with three seeds, and to MNIST if FOLDER holds
its idx files (one seed, 6 epochs). Prints the accuracy of labels by the 5 nearest of the training images, by the
Euclidean distance of codes and by shortest paths in a graph of codes whose edges have the length of each metric. The
last columns are geodesics between random pairs of test images, divided by the straight line.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from publish import add_option, publish
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

from topicnet.images import ImageVAE, LatentSpace, load_images

METRICS = ("expected", "pullback", "fisher-rao")
COLUMNS = ["data", "test", "straight", *METRICS, "pairs", "median ratio", "largest ratio", "converged"]
N_NEAREST, N_EDGES = 5, 12
SEEDS, PAIRS = {"digits": 3, "mnist": 1}, 20
MOST_TRAIN, MOST_TEST = 3_000, 1_000
EPOCHS = {"mnist": 6}


def accuracy(distances: Any, train_labels: Any, test_labels: Any) -> float:
    """Fraction of test images whose label is the most frequent one of the nearest; the lowest label wins ties."""
    nearest = train_labels[np.argsort(distances, axis=1, kind="stable")[:, :N_NEAREST]]
    voted = [np.bincount(row).argmax() for row in nearest]
    return float((np.array(voted) == test_labels).mean())


def measured(images: Any, seed: int, epochs: int | None) -> tuple[list[float], list[Any]]:
    """Accuracies by the straight line and by each metric, and the geodesics of random pairs."""
    model = ImageVAE(latent_dim=2, max_epochs=epochs, device="cpu", random_state=seed)
    model.fit(images.train.pixels, validation=images.validation.pixels)
    train, test = images.train.pixels[:MOST_TRAIN], images.test.pixels[:MOST_TEST]
    labels = images.train.labels[:MOST_TRAIN], images.test.labels[:MOST_TEST]
    spaces = [LatentSpace.of(model, images.train.pixels, metric=metric) for metric in METRICS]
    codes = [spaces[0].encode(part) for part in (test, train)]
    found = [accuracy(cdist(codes[0].numpy(), codes[1].numpy()), *labels)]
    for space in spaces:
        lengths = space.graph(torch.cat(codes), N_EDGES).lengths
        distances = dijkstra(lengths, indices=np.arange(len(test)))[:, len(test) :]
        found.append(accuracy(distances, *labels))
    rng = np.random.default_rng(seed)
    pairs = [rng.choice(len(test), 2, replace=False) for _ in range(PAIRS)]
    return found, [spaces[0].geodesic(test[i], test[j]) for i, j in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", help="idx files of MNIST")
    add_option(parser)
    arguments = parser.parse_args()
    sources = {"digits": "digits"} | ({"mnist": arguments.data} if arguments.data else {})
    rows = []
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n")
    for name, source in sources.items():
        images = load_images(source)
        results = [measured(images, seed, EPOCHS.get(name)) for seed in range(SEEDS[name])]
        accuracies = np.mean([found for found, _ in results], axis=0)
        paths = [path for _, several in results for path in several]
        ratios = [path.ratio for path in paths]
        converged = sum(path.geodesic.converged for path in paths)
        cells = [name, f"{min(len(images.test.pixels), MOST_TEST):,}", *(f"{one:.3f}" for one in accuracies)]
        cells += [str(len(paths)), f"{np.median(ratios):.3f}", f"{max(ratios):.4f}", str(converged)]
        rows.append(cells)
        print(f"| {' | '.join(cells)} |", flush=True)
    if arguments.publish:
        title = "Labels by neighbours in a latent space, and lengths of geodesics between images"
        publish(arguments.publish, title, COLUMNS, rows)


if __name__ == "__main__":
    main()
