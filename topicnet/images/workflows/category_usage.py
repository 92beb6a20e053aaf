"""What the categories of a run are used for: q(c), and q(c | label), of its training images."""

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
LABEL = "label_"  # begins the name of a label's column


@dataclass(frozen=True)
class CategoryUsage:
    """How probable categories are."""

    q_c: NDArray[np.float64]  # (K,) q(c): the mean of q(c | x) over the training images
    labels: list[int]  # (L,) in ascending order; none where they are not known
    q_c_given_label: NDArray[np.float64]  # (L, K) q(c | label): the mean of q(c | x) over the images of a label

    def table(self) -> pl.DataFrame:
        """The table of categories.csv: a row a category, a column for q(c) and one for each label."""
        columns = {"category": np.arange(len(self.q_c)), "q_c": self.q_c}
        return pl.DataFrame(
            columns | {f"{LABEL}{label}": q for label, q in zip(self.labels, self.q_c_given_label, strict=True)}
        )


def category_usage_of(model: ImageVAE, split: Split) -> CategoryUsage | None:
    """Take the means of q(c | x) over some images; nothing of a model without categories."""
    if model.network_.latents.n_categories is None:
        return None
    q = model.category_probabilities(split.pixels)
    if not np.isfinite(q).all():  # of a model that was led astray; the rest of its run is still written
        return None
    labels = [] if split.labels is None else np.unique(split.labels).tolist()
    q_c_given_label = [q[split.labels == label].mean(0, dtype=np.float64) for label in labels]
    return CategoryUsage(
        q.mean(0, dtype=np.float64), labels, np.array(q_c_given_label).reshape(len(labels), q.shape[1])
    )


def read_category_usage(path: Path, n_categories: int) -> CategoryUsage | None:
    """Read categories.csv; nothing where there is none, as in runs of older versions.

    Raises
    ------
    BundleError
        It holds something else.
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
    return BundleError(f"{FILE} in {str(path.parent)!r} is damaged: copy the run again or fit anew")
