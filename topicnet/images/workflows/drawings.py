"""Pictures of one or several finished runs, as in the papers of the variants: categories, samples and densities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.core.transport.line import wasserstein_1d
from topicnet.errors import InputError
from topicnet.images.data.checks import Split
from topicnet.images.data.load import bimodal_density, gray
from topicnet.images.drawing.blocks import blocks, table
from topicnet.images.drawing.panels import BarPanel, HistogramPanel, bar_panels, density_panels, fraction_panels
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import WITH_CATEGORIES, variant_of
from topicnet.images.workflows.category_usage import CategoryUsage, category_usage_of
from topicnet.images.workflows.fit import ImageRun
from topicnet.images.workflows.pictures import MOST_ROWS, MOST_VALUES, clipped, max_tiles
from topicnet.training.checks import check_count

IMAGES, TOP, TOP_OF_LABEL, TILES = 10, 20, 10, 64  # default numbers of rows, categories and samples
PER_ROW = 8  # tiles per row of a block
DRAWS = 20_000  # default number of sampled values
MOST_DRAWS, MOST_TOP, MOST_COLUMNS = 100_000, 100, 20
COLUMNS, LABEL_COLUMNS = 4, 5  # default numbers of panels per row

Images = NDArray[np.float32]


@dataclass(frozen=True)
class DrawingOptions:
    """Options of a picture; None is its default.

    Attributes
    ----------
    n : int or None
        Number of test images, or of samples of each run.
    top : int or None
        Number of categories.
    columns : int or None
        Panels or blocks per row.
    seed : int
        Seed of the samples.
    """

    n: int | None = None
    top: int | None = None
    columns: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise InputError for a number out of range."""
        for name, value, most in (
            ("-n", self.n, MOST_DRAWS), ("--top", self.top, MOST_TOP), ("--columns", self.columns, MOST_COLUMNS),
        ):  # fmt: skip
            if value is not None:
                check_count(name, value, most=most)


@dataclass(frozen=True)
class NamedRun:
    """A run with the name of its folder."""

    folder: str
    run: ImageRun

    @property
    def model(self) -> ImageVAE:
        """Model of the run."""
        return self.run.model

    def usage(self) -> CategoryUsage:
        """Return the category usage, from categories.csv or, without it, from the training images."""
        usage = self.run.usage or category_usage_of(self.model, self.run.images().train)
        if usage is None:
            raise InputError(f"the model of {self.folder!r} has diverged: its q(c|x) is not finite. Fit it again")
        return usage


@dataclass(frozen=True)
class Drawing:
    """A picture, and lines with the numbers that it shows."""

    png: bytes
    lines: tuple[str, ...] = ()


def draw_picture(name: str, runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw a picture.

    Parameters
    ----------
    name : str
        Key of `PICTURES`.
    runs : sequence of NamedRun
        The runs; one if the picture shows one.
    options : DrawingOptions
        Options of the picture.

    Returns
    -------
    Drawing
        The picture.

    Raises
    ------
    InputError
        A run cannot be drawn in this way, or a library is missing.
    """
    options.check()
    return _DRAWN[name](runs, options)


def titles_of(runs: Sequence[NamedRun]) -> list[str]:
    """Return the variant and K of each run, preceded by its folder if others have the same."""
    short = []
    for one in runs:
        k = one.model.network_.latents.n_categories or one.model.parameters_.get("components")
        short.append(one.model.variant if k is None else f"{one.model.variant}, K = {int(k)}")
    known = Counter(short)
    return [title if known[title] == 1 else f"{one.folder}: {title}" for one, title in zip(runs, short, strict=True)]


def changed_categories(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw test images, each followed by its z decoded with each category; its likeliest category is framed.

    With many categories, those of the images and then those used most in training are drawn.
    """
    run, model, shape = runs[0], runs[0].model, _shape(runs[0], "changed-categories")
    _check_categories("changed-categories", runs)
    if not model.network_.latents.decodes_categories:
        raise InputError(
            f"--picture changed-categories given for a run of {model.variant}, whose decoder depends on z alone:"
            " expected one whose decoder also depends on c, such as cp-vae"
        )
    data = run.run.images()
    top = min(options.top or TOP, model.network_.latents.n_categories or 1)
    n = options.n or max_tiles(data.n_pixels * (top + 1), IMAGES)
    numbers = one_per_label(data.test, n)
    pixels = data.test.pixels[numbers]
    own = model.category_probabilities(pixels).argmax(1)
    shown = _shown_categories(own, run.usage().q_c, top)
    z, one_hot = model.transform(pixels), np.eye(model.network_.latents.n_categories or 1, dtype=np.float32)
    decoded = np.stack([model.decode(z, one_hot[[k] * len(z)]) for k in shown], 1)  # (n, top, P)
    labels = data.test.labels
    rows = [
        (
            f"image {i}" if labels is None else f"image {i}: label {labels[i]}",
            clipped(np.concatenate([gray(image[None]), along])),
        )
        for i, image, along in zip(numbers, pixels, decoded, strict=True)
    ]
    marked = [shown.index(k) + 1 if k in shown else None for k in own.tolist()]
    return Drawing(table(rows, ["original", *(f"c = {k}" for k in shown)], shape, marked))


def one_per_label(split: Split, n: int) -> list[int]:
    """Return the numbers of n images: the first of each label in turn, or the first ones without labels."""
    n = min(n, len(split.pixels))
    if split.labels is None:
        return list(range(n))
    seen: Counter[int] = Counter()
    turns = []
    for label in split.labels.tolist():
        turns.append(seen[label])
        seen[label] += 1
    order = np.lexsort((split.labels, np.array(turns)))
    return [int(i) for i in order[:n]]


def _shown_categories(own: NDArray[np.intp], q_c: NDArray[np.float64], top: int) -> list[int]:
    first = list(dict.fromkeys([*own.tolist(), *np.argsort(-q_c, kind="stable").tolist()]))
    return sorted(int(k) for k in first[:top])


def category_probabilities(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw histograms of q(c|x) of the test images: of the largest probability of each image, and of all."""
    _check_categories("category-probabilities", runs)
    names, lines = titles_of(runs), []
    largest, every = [], []
    for name, one in zip(names, runs, strict=True):
        q = one.model.category_probabilities(one.run.images().test.pixels)
        if not np.isfinite(q).all():
            raise InputError(f"the model of {one.folder!r} has diverged: its q(c|x) is not finite. Fit it again")
        largest.append((name, q.max(1)))
        every.append((name, q.ravel()))
        lines.append(f"{name}: largest q(c|x) {q.max(1).mean():.3f} on average, median {np.median(q.max(1)):.3f}")
    panels = [
        HistogramPanel("largest probability of each image", largest),
        HistogramPanel("all K probabilities, logarithmic", every),
    ]
    title = "q(c|x) of the test images"
    return Drawing(fraction_panels(panels, title, "q(c|x)", logarithmic=(False, True)), tuple(lines))


def label_categories(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw bars of the likeliest categories of each label, q(c|label) over the training images.

    A category belongs to a label if q(c|label) > 1/K; the colour shows whether it belongs to others, too.
    """
    _check_categories("label-categories", runs)
    usage = runs[0].usage()
    if not usage.labels:
        raise InputError(
            "--picture label-categories given for a run whose training images have no labels: expected labelled images"
        )
    q, n_categories = usage.q_c_given_label, len(usage.q_c)
    belongs = q > 1 / n_categories
    n_labels = belongs.sum(0)  # (K,) labels to which each category belongs
    panels = []
    for label, row, its in zip(usage.labels[:MOST_ROWS], q, belongs, strict=False):
        order = np.argsort(-row, kind="stable")[: options.top or TOP_OF_LABEL]
        kinds = [(0 if n_labels[k] == 1 else 1) if its[k] else 2 for k in order]
        panels.append(BarPanel(f"label {label}", [str(k) for k in order], row[order], kinds))
    left_out = f", the first {MOST_ROWS} of {len(q)} labels" if len(q) > MOST_ROWS else ""
    title = f"{titles_of(runs)[0]}: likeliest categories of each label{left_out}"
    key = [
        f"q(c|label) > 1/K = {1 / n_categories:.2g} for this label alone", "for other labels, too", "at most 1/K",
    ]  # fmt: skip
    png = bar_panels(panels, key, title, "q(c|label)", options.columns or LABEL_COLUMNS)
    one, more = int((n_labels == 1).sum()), int((n_labels > 1).sum())
    return Drawing(
        png, (f"{one} categories belong to one label, {more} to several, {n_categories - one - more} to none",)
    )


def uniform_categories(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw samples whose c is drawn from the uniform p(c), next to samples whose c is drawn from q(c)."""
    _check_categories("uniform-categories", runs)
    names, with_images = titles_of(runs), runs[0].run.shape is not None
    if with_images:
        shape, n = _common_shape("uniform-categories", runs), _n_tiles(runs, options, per_run=2)
        series = []
        for name, one in zip(names, runs, strict=True):
            uniform, used = (clipped(images) for images in _of_both(one, n, options.seed, draw=False))
            series += [(f"{name}: c from 1/K", uniform), (f"{name}: c from q(c)", used)]
        return Drawing(blocks(series, shape, PER_ROW, options.columns or 2))
    n = _n_draws(runs, options)
    both = [_of_both(one, n, options.seed, draw=True) for one in runs]
    ways = ("c from 1/K", "c from q(c)")
    series_of = [[(way, images.ravel()) for way, images in zip(ways, pair, strict=True)] for pair in both]
    return _densities("uniform-categories", runs, series_of, options)


def _of_both(one: NamedRun, n: int, seed: int, *, draw: bool) -> tuple[Images, Images]:
    """Draw samples with c from 1/K and from q(c), with the same noise."""
    q_c = one.usage().q_c
    chosen = [np.random.default_rng(seed).choice(len(q_c), n, p=p) for p in (None, q_c / q_c.sum())]
    first, second = (one.model.sample(n, category=c, random_state=seed, draw=draw) for c in chosen)
    return first, second


def samples_side_by_side(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw samples of each run as a block, all with the same noise."""
    shape, n = _common_shape("samples", runs), _n_tiles(runs, options)
    series = [
        (name, clipped(one.model.sample(n, random_state=options.seed)))
        for name, one in zip(titles_of(runs), runs, strict=True)
    ]
    return Drawing(blocks(series, shape, PER_ROW, options.columns or COLUMNS))


def density(runs: Sequence[NamedRun], options: DrawingOptions) -> Drawing:
    """Draw the density of samples of each run against the truth; the samples are drawn from the likelihood."""
    n = _n_draws(runs, options)
    series = [[("samples", one.model.sample(n, random_state=options.seed, draw=True).ravel())] for one in runs]
    return _densities("density", runs, series, options)


def _densities(
    picture: str,
    runs: Sequence[NamedRun],
    series: Sequence[Sequence[tuple[str, NDArray[Any]]]],
    options: DrawingOptions,
) -> Drawing:
    """Draw a panel for each run, and measure the distance of its samples from the test data."""
    for one in runs:
        if one.run.shape is not None:
            expected = "use --picture samples" if picture == "density" else "draw it apart from runs of vectors"
            raise InputError(
                f"--picture {picture} given for {one.folder!r}, a run of pictures, expected vectors: {expected}"
            )
    if len({one.run.record["data"]["sha256"] for one in runs}) > 1:
        raise InputError(f"runs of different data given for --picture {picture}, expected the same: draw them apart")
    data, names = runs[0].run.images(), titles_of(runs)
    test = gray(data.test.pixels).ravel().astype(np.float64)
    known = data.name == "bimodal" and data.n_pixels == 1
    truth = ("true density", bimodal_density) if known else ("test data", test)
    panels = [HistogramPanel(name, pair) for name, pair in zip(names, series, strict=True)]
    x_label = "value" if data.n_pixels == 1 else f"all {data.n_pixels} values"
    png = density_panels(panels, truth, f"{data.name}: density of samples", x_label, options.columns or COLUMNS)
    lines = []
    for name, pair in zip(names, series, strict=True):
        for what, values in pair:
            distance = wasserstein_1d(values.astype(np.float64), test, p=1).cost
            lines.append(f"{name}: {what}, W1 from the test data {float(distance):.4f}")
    return Drawing(png, tuple(lines))


def _check_categories(picture: str, runs: Sequence[NamedRun]) -> None:
    """Raise InputError for a run without categories."""
    for one in runs:
        if not variant_of(one.model.variant).has_categories:
            raise InputError(
                f"--picture {picture} given for {one.folder!r}, a run of {one.model.variant}, which has no categories:"
                f" expected one of {', '.join(WITH_CATEGORIES)}"
            )


def _shape(one: NamedRun, picture: str) -> tuple[int, ...]:
    """Return height and width of the images of a run."""
    if one.run.shape is None:
        raise InputError(
            f"--picture {picture} given for {one.folder!r}, a run of vectors, expected pictures: use --picture density"
        )
    return one.run.shape


def _common_shape(picture: str, runs: Sequence[NamedRun]) -> tuple[int, ...]:
    shapes = {_shape(one, picture) for one in runs}
    if len(shapes) > 1:
        sizes = " and ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))
        raise InputError(f"runs of images of {sizes} pixels given for --picture {picture}, expected one size")
    return shapes.pop()


def _n_tiles(runs: Sequence[NamedRun], options: DrawingOptions, per_run: int = 1) -> int:
    """Return the number of sampled images of each run, by default 64 or as many as fit."""
    return options.n or max_tiles(runs[0].model.n_features_in_ * len(runs) * per_run, TILES)


def _n_draws(runs: Sequence[NamedRun], options: DrawingOptions) -> int:
    """Return the number of sampled vectors of each run, by default with about 20,000 values."""
    return options.n or max(1, min(DRAWS, MOST_VALUES // runs[0].model.n_features_in_))


_DRAWN: Mapping[str, Callable[[Sequence[NamedRun], DrawingOptions], Drawing]] = {
    "changed-categories": changed_categories,
    "category-probabilities": category_probabilities,
    "label-categories": label_categories,
    "uniform-categories": uniform_categories,
    "samples": samples_side_by_side,
    "density": density,
}
