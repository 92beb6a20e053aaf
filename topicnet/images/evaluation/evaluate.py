"""Evaluation of a fitted image model on test images: bound, latent codes, categories, prior and samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.errors import InputError
from topicnet.images.data.load import ImageData
from topicnet.images.evaluation.aggregated import (
    AggregatedSplit,
    active_units,
    aggregated_split,
    divergence_terms,
    information_between,
)
from topicnet.images.evaluation.collapse import signs_of_collapse
from topicnet.images.evaluation.encoded import encoded
from topicnet.images.evaluation.measures import category_report, importance_nll, label_report
from topicnet.images.evaluation.sample_distance import prior_match, sample_scores
from topicnet.images.model.batches import ImageBatch, ImageBatches
from topicnet.images.model.estimator import ROWS, ImageVAE
from topicnet.images.model.hierarchies import ClusteredLatents
from topicnet.images.model.latents import CategoricalLatents, Latents
from topicnet.images.model.settings import MOST_THREADS
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import variant_of
from topicnet.runtime.seeding import draw_seed
from topicnet.runtime.threads import chosen_threads
from topicnet.training.checks import check_count

MOST_ENUMERATED = 10_000  # most images whose pairs are all computed
MOST_DENSITIES = 10**8  # most densities q(z_i|x_j,k) that are computed for I(z;c)
WEIGHTED_IMAGES, DRAWS_AT_ONCE = 100, 50
# Names of B1, B2, C1 and C2 in table 1 of Lavda et al. (2020), by whether q(z|x,c) and p(z|c) depend on c.
_OF_C = {"b2": "I(c; x)", "c2": "KL(q(c) || p(c))"}
NAMES_OF_TERMS = {
    (True, True): {"b1": "I(z; x | c)", "c1": "E KL(q(z|c) || p(z|c))"} | _OF_C,
    (False, True): {"b1": "E KL(q(z|x) || q(z|c))", "c1": "E KL(q(z|c) || p(z|c))"} | _OF_C,
    (True, False): {"b1": "I(z; x, c)", "c1": "KL(q(z) || p(z))"} | _OF_C,
    (False, False): {"b1": "I(z; x)", "c1": "KL(q(z) || p(z))"} | _OF_C,
}


def evaluate(
    model: ImageVAE, data: ImageData, *, n_importance: int = 500, n_resamplings: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Evaluate a fitted model on test images.

    Gray images are binarised once if the model is trained on binarised ones.

    Parameters
    ----------
    model : ImageVAE
        A fitted model.
    data : ImageData
        The images; its test split is evaluated, its training split gives the features for `samples`.
    n_importance : int
        Draws per image for the importance-weighted log-likelihood (Burda et al. 2016, eq. 8).
    n_resamplings : int
        Number of times that the bound is estimated, with new noise each time. Categories are drawn hard, as relaxed
        ones give no valid bound.
    seed : int
        Seed of all draws: the same seed gives the same numbers.

    Returns
    -------
    dict
        JSON values by section; a section that the variant cannot have is None. Without an encoder (wgan, wgan-gp),
        only ``data`` and ``samples`` are given.

        - ``data``: name, number of images and pixels, and whether they were binarised
        - ``bound``: ``nelbo``, the negative evidence lower bound in nats per image; its ``spread``, the standard
          deviation over the resamplings (None for one); its ``parts`` by name; and ``nll`` by importance weighting, in
          nats
        - ``reconstruction``: squared error of images decoded from the posterior means, ``per_image`` and ``per_pixel``
        - ``codes``: ``active_units`` of ``n_dimensions``, and ``split``, in nats, over at most 10,000 images: the mean
          divergence E log q - log p at one draw per image as the sum of the mutual information of images and the
          latents named by ``of`` (at most log N) and the divergence of their aggregated posterior from the prior.
          ``residual`` is the difference between this sum, enumerated in double precision, and the model's own
          divergence. With drawn categories also ``terms``, in nats: B1, B2, C1 and C2 of Lavda et al. (2020, table 1),
          their ``names`` and, if the prior is p(z) p(c), their ``overlap`` I(z; c), over ``n_overlap_images``: there
          B1 + B2 and C1 + C2 are not the information and the divergence, and their sum is right
        - ``categories``: entropies, I(c; x), the divergences of q(c|x) and q(c) from p(c), in nats, the categories with
          q(c) > 1/K and, under ``labels``, their agreement with labels
        - ``collapse``: a list with a line for each sign that some latents are not used: categories without information
          or at the accuracy of chance, an unused z or level of it; with what to do
        - ``prior_match``: MMD^2 between draws of q(z) and p(z) with its permutation p-value, and squared sliced W2
        - ``samples``: squared Frechet distance of drawn samples from the test images in the first 20 principal
          components of the training pixels, and that of training images, the best that samples can reach. It is not
          FID, whose features come from a network trained on other images. ``w2`` and ``sliced_w2``: squared exact and
          sliced Wasserstein distances in pixels of at most 1,000 samples from as many test images, and the same for
          training images

    Raises
    ------
    InputError
        The images have another number of pixels than the model, or a number is out of range.

    See Also
    --------
    ImageVAE.score : The evidence lower bound alone.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from topicnet.images import ImageVAE, evaluate, load_images
    >>> from topicnet.images.data.checks import Split
    >>> images = load_images("digits")
    >>> images = replace(images, test=Split(images.test.pixels[:20], None))
    >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=1, device="cpu").fit(images.train.pixels)
    >>> report = evaluate(model, images, n_importance=2, n_resamplings=2)
    >>> sorted(report["bound"]["parts"]), report["codes"]["n_dimensions"], report["categories"]
    (['kl_z', 'reconstruction'], 2, None)
    """
    check_is_fitted(model)
    check_count("n_importance", n_importance)
    check_count("n_resamplings", n_resamplings)
    check_count("seed", seed, least=0)
    if data.n_pixels != model.n_features_in_:
        raise InputError(f"images of {data.n_pixels} pixels given, expected {model.n_features_in_}, as the model has")
    network, batches = model.network_.eval(), model.batches(data.test.pixels)
    rng = np.random.default_rng(seed)
    seeds = {name: draw_seed(rng) for name in ("bound", "nll", "codes", "match", "samples")}
    with torch.inference_mode(), chosen_threads(MOST_THREADS):
        bound = None
        if variant_of(model.variant).has_bound:
            bound = _bound(network, batches, n_resamplings, seeds["bound"])
            bound |= _nll(network, batches, n_importance, seeds["nll"])
        has_encoder = variant_of(model.variant).has_encoder
        train = model.fixed(data.train.pixels[:MOST_ENUMERATED])
        labels = data.test.labels
        log_q_c = _log_q_c(network.latents, batches)
        codes = torch.cat([network.latents.codes(batch.pixels) for batch in batches]) if has_encoder else None
        parts = {} if bound is None else bound["parts"]
        return {
            "data": {
                "name": data.name,
                "n_images": batches.n_docs,
                "n_pixels": data.n_pixels,
                "binarised": model.binarises,
            },
            "bound": bound,
            "reconstruction": _reconstruction(network, batches) if has_encoder else None,
            "codes": None if codes is None else _codes(network.latents, codes, batches, seeds["codes"]),
            "categories": None if log_q_c is None else _categories(network.latents, log_q_c, labels),
            "collapse": [] if codes is None else signs_of_collapse(model.variant, codes, parts, log_q_c, labels),
            "prior_match": prior_match(network.latents, batches, seeds["match"]) if has_encoder else None,
            "samples": sample_scores(network, train, batches, seeds["samples"]),
        }


def _reconstruction(network: Vae, batches: ImageBatches) -> dict[str, float]:
    error = squared_error(network, batches)
    return {"per_image": error, "per_pixel": error / batches.pixels.shape[1]}


def _bound(network: Vae, batches: ImageBatches, n_resamplings: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    tables = [mean_bound(network, batches.repeat(draw_seed(rng))) for _ in range(n_resamplings)]
    table = np.array([[*parts.values()] for parts in tables])  # (resamplings, parts)
    nelbo = table.sum(1)
    return {
        "nelbo": float(nelbo.mean()),
        "spread": float(nelbo.std(ddof=1)) if n_resamplings > 1 else None,
        "n_resamplings": n_resamplings,
        "parts": dict(zip(tables[0], table.mean(0).tolist(), strict=True)),
    }


def mean_bound(network: Vae, batches: Iterable[ImageBatch]) -> dict[str, float]:
    """Return the parts of the negative evidence lower bound by name, nats per image."""
    parts = [network.bound(batch) for batch in batches]
    return {name: float(torch.cat([part[name] for part in parts]).double().mean()) for name in parts[0]}


def _nll(network: Vae, batches: ImageBatches, n_draws: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    few = ImageBatches(batches.pixels, WEIGHTED_IMAGES, batches.device, binarise=False)
    counts = [min(DRAWS_AT_ONCE, n_draws - begin) for begin in range(0, n_draws, DRAWS_AT_ONCE)]
    repeats = [few.repeat(draw_seed(rng)) for _ in counts]
    nats = []
    for same_images in zip(*repeats, strict=True):
        log_w = [network.log_weights(batch, n) for batch, n in zip(same_images, counts, strict=True)]
        nats.append(importance_nll(torch.cat(log_w)))
    return {"nll": float(torch.cat(nats).mean()), "n_importance": n_draws}


def squared_error(network: Vae, batches: ImageBatches) -> float:
    """Return the squared error per image of images decoded from their posterior means."""
    errors = [(network.reconstruct(x) - x).square().sum(-1) for x in (batch.pixels for batch in batches)]
    return float(torch.cat(errors).double().mean())


def _codes(latents: Latents, means: Tensor, batches: ImageBatches, seed: int) -> dict[str, Any]:
    found = {"active_units": active_units(means), "n_dimensions": means.shape[1]}
    few = ImageBatches(batches.pixels[:MOST_ENUMERATED], ROWS, batches.device, binarise=False)
    draws = encoded(latents, few.repeat(seed))
    if draws is None:
        return found | {"split": None, "terms": None}
    split = aggregated_split(draws.points, draws.log_q_given, draws.log_prior)
    return found | {
        "terms": _terms(latents, split, few, seed) if isinstance(latents, CategoricalLatents) else None,
        "split": {
            "of": draws.of,
            "n_images": few.n_docs,
            "log_n_images": math.log(few.n_docs),
            **asdict(split),
            "residual": split.mutual_information + split.marginal_kl - draws.mean_kl,
        },
    }


def _terms(latents: CategoricalLatents, split: AggregatedSplit, batches: ImageBatches, seed: int) -> dict[str, Any]:
    report = category_report(torch.cat([latents.log_categories(batch.pixels) for batch in batches]))
    overlap, n_images = None, None
    if latents.mixture is None:
        n_categories = len(report.marginal) if latents.conditional else 1
        n_images = min(batches.n_docs, math.isqrt(MOST_DENSITIES // n_categories))
        few = ImageBatches(batches.pixels[:n_images], ROWS, batches.device, binarise=False)
        draws = encoded(latents, few.repeat(seed))
        assert draws is not None
        assert draws.log_q_z_given is not None
        q_c = torch.cat([latents.log_categories(batch.pixels) for batch in few]).double().exp().mean(0)
        z, c = draws.points
        overlap = information_between(z, c, draws.log_q_given, draws.log_q_z_given, q_c)
    found = divergence_terms(split, report.mutual_information, report.marginal_kl, overlap)
    names = dict(NAMES_OF_TERMS[(latents.conditional, latents.mixture is not None)])
    return {"names": names, **asdict(found), "n_overlap_images": n_images}


def _log_q_c(latents: Latents, batches: ImageBatches) -> Tensor | None:
    """Return log q(c|x) (N, K) in double precision, or None without categories."""
    if latents.n_categories is None:
        return None
    return torch.cat([latents.log_categories(batch.pixels) for batch in batches]).double().log_softmax(-1)


def _categories(latents: Latents, log_q: Tensor, labels: NDArray[np.int64] | None) -> dict[str, Any]:
    report = category_report(log_q)
    marginal_kl, mean_kl = report.marginal_kl, report.mean_kl
    if isinstance(latents, ClusteredLatents):  # the others have p(c) = 1/K
        q, log_p = log_q.exp(), latents.mixture.log_weights().double()
        q_c = q.mean(0)
        marginal_kl = float((torch.special.xlogy(q_c, q_c) - q_c * log_p).sum())
        mean_kl = float((torch.special.xlogy(q, q) - q * log_p).sum(-1).mean())
    return {
        "n_categories": latents.n_categories,
        "entropy": report.entropy,
        "conditional_entropy": report.conditional_entropy,
        "mutual_information": report.mutual_information,
        "marginal_kl": marginal_kl,
        "mean_kl": mean_kl,
        "marginal": list(report.marginal),
        "n_in_use": len(report.in_use),
        "in_use": list(report.in_use),
        "labels": None if labels is None else _labels(log_q, labels),
    }


def _labels(log_q: Tensor, labels: NDArray[np.int64]) -> dict[str, Any]:
    report = label_report(log_q, labels)
    rows = zip(report.labels, report.top, report.table, strict=True)
    return {
        "hungarian_accuracy": report.hungarian_accuracy,
        "majority_accuracy": report.majority_accuracy,
        "nmi": report.nmi,
        "n_distinct_top": report.n_distinct_top,
        "shared_top": list(report.shared_top),
        "top": [{"label": name, "categories": list(top), "shares": row[list(top)].tolist()} for name, top, row in rows],
    }
