"""Category usage of a run: q(c) and q(c | label) of its training images, written to and read from categories.csv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from topicnet.errors import BundleError
from topicnet.images.data.checks import Split
from topicnet.images.model.estimator import ImageVAE

FILE = "categories.csv"
LABEL = "label_"  # prefix of a label's column


@dataclass(frozen=True)
class CategoryUsage:
    """Mean category probabilities of the training images.

    Attributes
    ----------
    q_c : ndarray of shape (K,)
        q(c), the mean of q(c | x) over the training images.
    labels : list of int
        (L,) in ascending order; empty if labels are unknown.
    q_c_given_label : ndarray of shape (L, K)
        q(c | label), the mean of q(c | x) over the images with a label.
    """

    q_c: NDArray[np.float64]
    labels: list[int]
    q_c_given_label: NDArray[np.float64]

    def table(self) -> pl.DataFrame:
        """Return the table of categories.csv: one row per category, a column for q(c) and one for each label."""
        columns = {"category": np.arange(len(self.q_c)), "q_c": self.q_c}
        return pl.DataFrame(
            columns | {f"{LABEL}{label}": q for label, q in zip(self.labels, self.q_c_given_label, strict=True)}
        )


def category_usage_of(model: ImageVAE, split: Split) -> CategoryUsage | None:
    """Average q(c | x) over images; None without categories, or if the model has diverged."""
    if model.network_.latents.n_categories is None:
        return None
    q = model.category_probabilities(split.pixels)
    if not np.isfinite(q).all():  # the model has diverged; the rest of its run is still written
        return None
    labels = [] if split.labels is None else np.unique(split.labels).tolist()
    q_c_given_label = [q[split.labels == label].mean(0, dtype=np.float64) for label in labels]
    return CategoryUsage(
        q.mean(0, dtype=np.float64), labels, np.array(q_c_given_label).reshape(len(labels), q.shape[1])
    )


def read_category_usage(path: Path, n_categories: int) -> CategoryUsage | None:
    """Read categories.csv; None if it does not exist, as in runs of older versions.

    Raises
    ------
    BundleError
        The file does not hold such a table.
    """
    if not path.exists():
        return None
    try:
        table = pl.read_csv(path, glob=False)
        labels = [int(name.removeprefix(LABEL)) for name in table.columns[2:]]
        q = table.drop("category").cast(pl.Float64).to_numpy().T
    except (OSError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise _damaged(path) from error
    columns = ["category", "q_c", *(f"{LABEL}{label}" for label in labels)]
    whole = table.columns == columns and q.shape == (1 + len(labels), n_categories)
    if not (whole and (q >= 0).all() and np.abs(q.sum(1) - 1).max() < 1e-3):
        raise _damaged(path)
    return CategoryUsage(q[0], labels, q[1:])


def _damaged(path: Path) -> BundleError:
    return BundleError(f"{FILE} in {str(path.parent)!r} is damaged: copy the run again or repeat the fit")
