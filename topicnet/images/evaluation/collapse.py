"""Signs of collapse in an image model: categories or levels of latents that the model does not use."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.images.evaluation.aggregated import active_units
from topicnet.images.evaluation.measures import CategoryReport, category_report, majority_accuracy
from topicnet.images.model.variants import variant_of

INFORMATIVE = 0.05  # least I(c;x) of an informative code, as a fraction of log K
ONE_CATEGORY = 0.9  # KL(q(c) || 1/K), as a fraction of log K, from which one category holds nearly all images
ABOVE_CHANCE = 0.02  # least gain in accuracy over the most frequent label
LEAST_NATS = 0.1  # least KL of a level of latents in use

LENGTHEN = "lengthen the warm-up (warm_up=0.3) or train for more epochs"
REMEDIES = {
    "indp": "nothing in this variant's objective rewards categories: use cp-vae, indq or vmi-c",
    "indqp": "nothing in this variant's objective rewards categories: use cp-vae, indq or vmi-c",
    "joint-vae": "raise capacity_c, or use vmi-c",
    "vmi-c": "raise lambda, keep the temperature near 1, or train for more epochs",
    "vade": "try another seed: the categories begin as clusters of a pretrained code",
    "gmvae": "set least_kl_c, such as 0.5, or try another seed",
}
OF_CATEGORIES = f"{LENGTHEN}; a temperature above 0.3 makes it more likely"


def signs_of_collapse(
    variant: str,
    codes: Tensor,
    parts: Mapping[str, float],
    log_q_c: Tensor | None = None,
    labels: NDArray[np.int64] | None = None,
) -> list[str]:
    """Find signs that a fitted model ignores some of its latents, each with what to do about it.

    Parameters
    ----------
    variant : str
        Name of the variant.
    codes : Tensor of shape (N, Z)
        Posterior means; of two-level variants the lower level first.
    parts : mapping of str to float
        Parts of the negative evidence lower bound, nats per image; empty without a bound.
    log_q_c : Tensor of shape (N, K), optional
        log q(c | x).
    labels : ndarray of shape (N,), optional
        Labels of the images.

    Returns
    -------
    list of str
        One line per sign; empty if all latents are used.

    Examples
    --------
    >>> signs_of_collapse("vae", torch.zeros(5, 2), {"kl_z": 0.0})[0]
    'no dimension of z varies over the images: lengthen the warm-up (warm_up=0.3) or train for more epochs'
    """
    if len(codes) < 2:
        return []
    found = []
    if log_q_c is not None and log_q_c.shape[1] > 1:
        found += _of_categories(variant, category_report(log_q_c), log_q_c, labels)
    if active_units(codes) == 0:
        found.append(f"no dimension of z varies over the images: {LENGTHEN}")
    elif variant_of(variant).latents == "two-level":
        found += _of_levels(variant, codes, parts)
    return found


def _of_categories(
    variant: str, report: CategoryReport, log_q_c: Tensor, labels: NDArray[np.int64] | None
) -> list[str]:
    most = math.log(len(report.marginal))
    if report.mutual_information < INFORMATIVE * most:
        what = "the categories carry no information about the images"
        if report.marginal_kl > ONE_CATEGORY * most:
            what = f"the categories have collapsed to one, q(c) = {max(report.marginal):.2f}"
        figures = f"I(c;x) {report.mutual_information:.2f} and KL_c {report.mean_kl:.2f}, log K {most:.2f} nats"
        return [f"{what} ({figures}): {REMEDIES.get(variant, OF_CATEGORIES)}"]
    if labels is None or len(np.unique(labels)) < 2:
        return []
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    accuracy = majority_accuracy(log_q_c.argmax(1), torch.as_tensor(labels))
    if accuracy >= chance + ABOVE_CHANCE:
        return []
    return [
        f"the categories are unrelated to the labels (majority accuracy {accuracy:.2f}, {chance:.2f} for the most"
        " frequent label alone): they describe something else, which their galleries show, or nothing: try more epochs"
        " or another seed"
    ]


def _of_levels(variant: str, codes: Tensor, parts: Mapping[str, float]) -> list[str]:
    found, width = [], codes.shape[1] // 2
    instead = "use a vae" if variant == "hvae" else "use a vampprior"
    for level, columns, name in ((1, codes[:, :width], "lower"), (2, codes[:, width:], "upper")):
        nats, active = parts.get(f"kl_z{level}", math.inf), active_units(columns)
        if active == 0 or nats < LEAST_NATS:
            figures = f"KL {nats:.2f} nats, {active} of {width} dimensions in use"
            found.append(f"the {name} level z{level} is not used ({figures}): {LENGTHEN}, or {instead}")
    return found
