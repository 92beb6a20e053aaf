"""Geodesics between images of a run: choice of the images, pictures, tables and records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from topicnet.errors import InputError
from topicnet.images.data.load import ImageData
from topicnet.images.drawing.latent_space import Plane, limits_of, paths_picture
from topicnet.images.geometry.choices import SPLITS, check_choice
from topicnet.images.geometry.latent_space import ImageGeodesic, LatentSpace
from topicnet.images.workflows.fit import ImageRun
from topicnet.images.workflows.views import check_category

MOST_CODES = 2_000  # drawn
VOLUME_SIDE = 90  # grid points along each axis of the background

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RunGeodesic:
    """Geodesic between two images of a run.

    Attributes
    ----------
    run : ImageRun
        The run.
    split : str
        "train", "validation" or "test".
    start, end : int
        Numbers of the images in their split, as in codes.csv.
    metric : str
        Name of the metric.
    space : LatentSpace
        Latent space with this metric.
    path : ImageGeodesic
        The geodesic.
    codes : ndarray of shape (n, Z)
        Codes of the images of the split, at most 2,000.
    labels : ndarray of shape (n,) or None
        Their labels.
    """

    run: ImageRun
    split: str
    start: int
    end: int
    metric: str
    space: LatentSpace
    path: ImageGeodesic
    codes: Array
    labels: NDArray[np.int64] | None

    def summary(self) -> list[str]:
        """Return the result in lines of text."""
        found, path = self.path.geodesic, self.path
        lines = [
            f"{self.metric} metric: length {found.length:.4f}, energy {found.energy:.4f}"
            f" ({'converged' if found.converged else 'not converged'}, method {found.method})",
            f"straight line: length {path.straight_length:.4f}; ratio {path.ratio:.4f}",
        ]
        if self.space.category is not None:
            lines.append(f"category {self.space.category} is held: both images are encoded and decoded with it")
        return lines

    def record(self, run: Path) -> dict[str, Any]:
        """Return the result for a JSON document."""
        found, path = self.path.geodesic, self.path
        return {
            "run": str(run),
            "set": self.split,
            "from": self.start,
            "to": self.end,
            "metric": self.metric,
            "method": found.method,
            "category": self.space.category,
            "length": found.length,
            "energy": found.energy,
            "converged": found.converged,
            "straight_length": path.straight_length,
            "ratio": path.ratio,
            "shape": self.run.shape,
            "times": path.times.tolist(),
            "codes": path.codes.tolist(),
            "straight_codes": path.straight_codes.tolist(),
            "images": path.images.tolist(),
            "straight_images": path.straight_images.tolist(),
        }

    def table(self) -> pl.DataFrame:
        """Return the decoded points: one row per time, with the codes on the geodesic and on the straight line."""
        path, n = self.path, self.path.codes.shape[1]
        columns = {"time": path.times}
        columns |= {f"z_{j}": path.codes[:, j] for j in range(n)}
        columns |= {f"straight_z_{j}": path.straight_codes[:, j] for j in range(n)}
        return pl.DataFrame(columns)

    def picture(self) -> bytes:
        """Draw the paths over the latent space, and the images along them, as a PNG."""
        path = self.path
        strips = [
            (f"geodesic, length {path.geodesic.length:.3f}", path.images),
            (f"straight line, length {path.straight_length:.3f}", path.straight_images),
        ]
        title = f"{self.run.model.variant}: {self.split} image {self.start} to {self.end}, {self.metric} metric"
        return paths_picture(self._plane(), strips, self.run.shape, title)

    def _plane(self) -> Plane:
        curve = self.path.geodesic.curve.numpy()
        ends, marks = curve[[0, -1]], (self.path.codes, self.path.straight_codes)
        d = curve.shape[1]
        if d == 1:
            path = _over_time(np.linspace(0, 1, len(curve)), curve)
            on_path, on_line = (_over_time(self.path.times, z) for z in marks)
            line = _over_time(np.array([0.0, 1.0]), ends)
            return Plane(np.zeros((0, 2)), None, path, line, on_path, on_line, "time", "z_0")
        if d == 2:
            limits = limits_of(np.concatenate([self.codes, curve]))
            volume = self._log_volume(limits)
            return Plane(self.codes, self.labels, curve, ends, marks[0], marks[1], "z_0", "z_1", volume, limits)
        center, axes, fractions = principal_axes(self.codes)
        codes, path, line, on_path, on_line = (
            (points - center) @ axes.T for points in (self.codes, curve, ends, marks[0], marks[1])
        )
        x_label, y_label = (
            f"{which} principal axis of the codes, {fraction:.0%} of their variance"
            for which, fraction in zip(("first", "second"), fractions, strict=True)
        )
        return Plane(codes, self.labels, path, line, on_path, on_line, x_label, y_label)

    def _log_volume(self, limits: tuple[float, float, float, float]) -> Array:
        """Return log10 of the volume element on a grid, (rows, columns)."""
        left, right, bottom, top = limits
        # Centers of the cells that the background is drawn with.
        steps = (np.arange(VOLUME_SIDE) + 0.5) / VOLUME_SIDE
        x, y = np.meshgrid(left + steps * (right - left), bottom + steps * (top - bottom))
        with torch.no_grad():
            volume = self.space.metric.volume(torch.as_tensor(np.stack([x.ravel(), y.ravel()], 1)))
        return np.asarray(np.log10(volume.numpy().clip(1e-12)).reshape(x.shape))


def geodesic_of_run(
    run: ImageRun,
    data: ImageData,
    start: int,
    end: int,
    *,
    split: str = "test",
    metric: str = "expected",
    method: str = "refined",
    n_segments: int = 100,
    n_points: int = 11,
    category: int | None = None,
    seed: int = 0,
) -> RunGeodesic:
    """Find a geodesic between two images of a run, in the metric fitted to its training images.

    Parameters
    ----------
    run : ImageRun
        The run.
    data : ImageData
        Its images.
    start, end : int
        Numbers of the images in their split, counted from 0 as in codes.csv.
    split : {"train", "validation", "test"}
        Split of both images.
    metric, method, n_segments, n_points, seed
        As in `LatentSpace.of` and `LatentSpace.geodesic`.
    category : int, optional
        Category to hold if the decoder takes one; by default the most probable one of the first image.

    Returns
    -------
    RunGeodesic
        The geodesic.

    Raises
    ------
    InputError
        There is no such image, both are the same, or as in `LatentSpace`.
    """
    pixels, labels = images_of(data, split, (start, end))
    latents = run.model.network_.latents
    if category is not None:
        check_category(run.model, category)
    elif latents.decodes_categories:
        category = int(run.model.category_probabilities(pixels[start][None])[0].argmax())
    space = LatentSpace.of(run.model, data.train.pixels, metric=metric, category=category, seed=seed)
    path = space.geodesic(pixels[start], pixels[end], method=method, n_segments=n_segments, n_points=n_points)
    chosen = np.unique(np.linspace(0, len(pixels) - 1, MOST_CODES).astype(int))
    shown = None if labels is None else labels[chosen]
    return RunGeodesic(run, split, start, end, metric, space, path, space.encode(pixels[chosen]).numpy(), shown)


def images_of(data: ImageData, split: str, numbers: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return images and labels of a split, after a check of two numbers of images."""
    check_choice("--set ", split, SPLITS)
    part = getattr(data, split)
    n = len(part.pixels)
    for option, number in zip(("--from", "--to"), numbers, strict=True):
        if not 0 <= number < n:
            raise InputError(f"{option} {number} given, expected a {split} image from 0 to {n - 1}")
    if numbers[0] == numbers[1]:
        raise InputError(f"--from and --to are both {numbers[0]}, expected two different images")
    return part.pixels, part.labels


def _over_time(times: Array, z: Array) -> Array:
    return np.stack([times, z[:, 0]], 1)


def principal_axes(codes: Array) -> tuple[Array, Array, Array]:
    """Return the mean (Z,) of codes (n, Z), their two principal axes (2, Z), and the fractions of variance (2,)."""
    center = codes.mean(0)
    _, scales, axes = np.linalg.svd(codes - center, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2, np.abs(axes[:2]).argmax(1)].diagonal())[:, None]  # a sign that is reproducible
    variances = np.square(scales)
    return center, axes, variances[:2] / max(float(variances.sum()), 1e-300)
