"""Pictures that a fit writes to its run folder: samples, reconstructions and categories."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.images.data.load import ImageData, gray
from topicnet.images.drawing.charts import bars, histograms
from topicnet.images.drawing.galleries import Picture, gallery, labelled_gallery, pairs_gallery
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.category_usage import CategoryUsage
from topicnet.images.workflows.information import FILE, information_chart, tracked_of

SAMPLES, PAIRS, ROW = 64, 20, 10  # images of the galleries, and tiles per row
WIDEST = 20  # most columns of a square gallery
MOST_ROWS = 60  # rows of a gallery: the categories used most, or the first labels
MOST_SERIES = 6  # series of a histogram: one colour each
MOST_BARS = 1_000
MOST_VALUES = 50_000  # values in a histogram
MOST_TILE_PIXELS = 16_000_000  # pixels of all tiles of a gallery, before enlargement

Images = NDArray[np.float32]


def pictures_of(model: ImageVAE, data: ImageData, usage: CategoryUsage | None) -> Iterator[tuple[str, bytes]]:
    """Draw the pictures of a run, and yield their file names and PNGs.

    ::

        samples.png reconstructions.png             for pictures; the latter with an encoder
        histogram.png                               for vectors
        q_c.png                                     with categories
        categories.png labels.png                   for pictures with categories; the latter with labels
        information.png                             if the fit measured the information of decoded images

    Raises
    ------
    InputError
        The model's output is not finite, a picture is too large, or a chart needs matplotlib, which is not installed.
    """
    if data.shape is None:
        yield "histogram.png", _histogram(model, data, usage)
    else:
        n = max_tiles(data.n_pixels, SAMPLES)
        yield "samples.png", samples_gallery(model.sample(n), data.shape)
        if variant_of(model.variant).has_encoder:
            test = data.test.pixels[: max_tiles(data.n_pixels, PAIRS)]
            yield "reconstructions.png", pairs_gallery(gray(test), clipped(model.reconstruct(test)), data.shape)
    if usage is not None:
        if data.shape is not None:
            yield from category_galleries(model, usage, data.shape)
        yield "q_c.png", _q_c_chart(usage.q_c)
    tracked = tracked_of(model.variant, model.variant, model.sizes_.n_categories, model.history_)
    if tracked is not None:
        title = f"{data.name}: information of decoded images, bound with 95 % interval"
        yield FILE, information_chart([tracked], title)


def category_galleries(
    model: ImageVAE, usage: CategoryUsage, shape: Picture, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Draw samples of each category with q(c) > 1/K and, if labels are known, of each label through q(c | label).

    Columns share their noise, so that rows differ by the category alone.
    """
    n, most = _grid(model)
    rows = [
        (f"{k}: q(c) = {usage.q_c[k]:.3f}", clipped(model.sample(n, category=k, random_state=seed)))
        for k in _used_most(usage.q_c, most)
    ]
    yield "categories.png", labelled_gallery(rows, shape)
    if usage.labels:
        rows = [
            (f"label {label}", clipped(samples_of_label(model, q, n, seed)))
            for label, q in zip(usage.labels[:most], usage.q_c_given_label, strict=False)
        ]
        yield "labels.png", labelled_gallery(rows, shape)


def samples_of_label(model: ImageVAE, q: NDArray[np.float64], n: int, seed: int, *, draw: bool = False) -> Images:
    """Draw c from q(c | label), then z and the image: (n, P)."""
    drawn = np.random.default_rng(seed).choice(len(q), n, p=q / q.sum())
    return model.sample(n, category=drawn, random_state=seed, draw=draw)


def max_tiles(n_pixels: int, wanted: int) -> int:
    """Return how many of the wanted tiles of P pixels fit in a gallery, at least one."""
    return max(1, min(wanted, MOST_TILE_PIXELS // n_pixels))


def samples_gallery(images: Images, shape: Picture) -> bytes:
    """Draw samples (n, P) as a PNG gallery, square if their number is a square."""
    side = math.isqrt(len(images))
    return gallery(clipped(images), shape, side if side * side == len(images) and side <= WIDEST else None)


def clipped(images: Images) -> Images:
    """Clip values to [0, 1], as the mean of a Gaussian likelihood can be outside."""
    return images.clip(0.0, 1.0)


def _used_most(q_c: NDArray[np.float64], most: int) -> list[int]:
    """Return the categories with q(c) > 1/K in ascending order, or the likeliest if there are none."""
    order = np.argsort(-q_c, kind="stable")[:most]
    used = [int(k) for k in order if q_c[k] > 1 / len(q_c)]
    return sorted(used or [int(order[0])])


def _grid(model: ImageVAE) -> tuple[int, int]:
    """Return the tiles per row and the number of rows that fit in a gallery."""
    tiles = max_tiles(model.n_features_in_, ROW * MOST_ROWS)
    return min(ROW, tiles), max(1, tiles // ROW)


def _q_c_chart(q_c: NDArray[np.float64]) -> bytes:
    n_categories = len(q_c)
    title, names = f"q(c) of the training images, and 1/K = 1/{n_categories}", [str(k) for k in range(n_categories)]
    if n_categories > MOST_BARS:
        order = np.argsort(-q_c, kind="stable")[:MOST_BARS]
        title, names, q_c = f"{title}: the {MOST_BARS} largest", [str(k) for k in order], q_c[order]
    return bars(names, q_c, title, "q(c)", threshold=1 / n_categories)


def _histogram(model: ImageVAE, data: ImageData, usage: CategoryUsage | None) -> bytes:
    values: list[tuple[str, NDArray[Any]]] = [("test data", gray(data.test.pixels))]
    n = max(1, min(len(data.test.pixels) * 2, MOST_VALUES // data.n_pixels))
    values.append(("samples", model.sample(n, draw=True)))
    if usage is not None:
        q_c = usage.q_c
        for k in _used_most(q_c, MOST_SERIES - len(values)):
            values.append((f"c = {k}, q(c) = {q_c[k]:.3f}", model.sample(n, category=k, random_state=k, draw=True)))
    what = "value" if data.n_pixels == 1 else f"all {data.n_pixels} values of a vector"
    series = [(name, table[:n].ravel()) for name, table in values]
    return histograms(series, None, f"{data.name}: {model.variant}", what)
