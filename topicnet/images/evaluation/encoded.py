"""A set of images, encoded: one draw for each, and the densities by which the aggregated posterior is enumerated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topicnet.core.counter_rng import UPPER
from topicnet.core.distributions import Normal
from topicnet.images.evaluation.aggregated import gaussian_log_density_matrix, joint_log_density_matrix
from topicnet.images.model.batches import ImageBatch
from topicnet.images.model.hierarchies import ClusteredLatents, TwoLevelLatents, WeightedLatents
from topicnet.images.model.latents import CategoricalLatents, GaussianLatents, Latents, one_hot


@dataclass(frozen=True)
class Encoded:
    """Draws of q(. | x) for N images, as `aggregated_split` asks for them.

    Attributes
    ----------
    of : str
        What of the latents it speaks of.
    points : tuple of Tensor
        (N, ...) each: row i drawn from q(. | x_i).
    log_q_given : callable
        Rows of the points -> (b, N): log q(point_i | x_j).
    log_prior : callable
        Rows of the points -> (b,): log p(point_i).
    mean_kl : float
        E log q(point | x) - log p(point) of the same draws, as the model itself weighs them: nats per image.
    """

    of: str
    points: tuple[Tensor, ...]
    log_q_given: Callable[..., Tensor]
    log_prior: Callable[..., Tensor]
    mean_kl: float


def encoded(latents: Latents, batches: Iterable[ImageBatch]) -> Encoded | None:
    """Encode images, every one with the noise it comes with; None where the encoder has no density."""
    if isinstance(latents, GaussianLatents | ClusteredLatents):
        return _points(latents, batches, "z")
    if isinstance(latents, TwoLevelLatents):
        # q(z1 | x_j, z2_i) of all pairs of images would take a pass of the network for each of them.
        return _points(latents.upper, batches, "z2, the upper level, alone")
    if isinstance(latents, CategoricalLatents):
        return _with_categories(latents, batches)
    if isinstance(latents, WeightedLatents):
        return _with_weights(latents, batches)
    return None


def _points(latents: GaussianLatents | ClusteredLatents, batches: Iterable[ImageBatch], of: str) -> Encoded:
    z, means, log_vars, ratios = [], [], [], []
    for batch in batches:
        q = latents.posterior(batch.pixels, batch.noise)
        drawn = latents.weighted(batch.pixels, batch.noise)
        z.append(drawn.code[0])
        means.append(q.mean)
        log_vars.append(q.log_var)
        ratios.append(drawn.log_ratio)
    mean, log_var = torch.cat(means), torch.cat(log_vars)
    prior = latents.prior if isinstance(latents, GaussianLatents) else latents.mixture

    def log_q_given(rows: Tensor) -> Tensor:
        return gaussian_log_density_matrix(rows, mean, log_var)

    return Encoded(of, (torch.cat(z),), log_q_given, prior.log_density, _mean_kl(ratios))


def _with_categories(latents: CategoricalLatents, batches: Iterable[ImageBatch]) -> Encoded:
    width = latents.latent_dim
    codes, features, ratios = [], [], []
    for batch in batches:
        drawn = latents.weighted(batch.pixels, batch.noise)
        codes.append(drawn.code[0])
        features.append(latents.body(batch.pixels))
        ratios.append(drawn.log_ratio)
    code = torch.cat(codes)  # (N, Z + K)
    order = code[:, width:].argmax(1).argsort(stable=True)  # by category: a slice then has few of them
    z, c = code[order, :width], code[order, width:].argmax(1)
    hidden = torch.cat(features)[order]
    log_q_c = latents.category(hidden).log_softmax(-1)  # (N, K)

    def given_category(k: int) -> Normal:
        return latents.posterior(hidden, one_hot(torch.full_like(c, k), log_q_c))

    def log_q_given(rows: Tensor, of_rows: Tensor) -> Tensor:
        if not latents.conditional:
            q = given_category(0)
            return joint_log_density_matrix(rows, of_rows, q.mean, q.log_var, log_q_c)
        logs = rows.new_empty(len(rows), len(hidden), dtype=torch.float64)
        for k in np.unique(of_rows.cpu().numpy()).tolist():
            here, q = of_rows == k, given_category(k)
            logs[here] = gaussian_log_density_matrix(rows[here], q.mean, q.log_var) + log_q_c[:, k].double()
        return logs

    def log_prior(rows: Tensor, of_rows: Tensor) -> Tensor:
        log_p_c = -math.log(log_q_c.shape[1])
        if latents.mixture is None:
            return latents.standard.log_density(rows) + log_p_c
        chosen = latents.mixture.component(one_hot(of_rows, log_q_c[: len(rows)]))
        return chosen.log_density(rows) + log_p_c

    return Encoded("z and c", (z, c), log_q_given, log_prior, _mean_kl(ratios))


def _with_weights(latents: WeightedLatents, batches: Iterable[ImageBatch]) -> Encoded:
    points, means, log_vars, priors, ratios = [], [], [], [], []
    for batch in batches:
        hidden = latents.body(batch.pixels)
        q, q_w = latents.head(hidden, batch.noise), latents.w_head(hidden, batch.noise)
        z, w = q.sample(), q_w.sample(UPPER)  # those of `weighted`
        drawn = latents.weighted(batch.pixels, batch.noise)
        points.append(torch.cat([z, w], -1))
        means.append(torch.cat([q.mean, q_w.mean], -1))
        log_vars.append(torch.cat([q.log_var, q_w.log_var], -1))
        priors.append(drawn.log_ratio + q.log_density(z) + q_w.log_density(w))
        ratios.append(drawn.log_ratio)
    point, mean, log_var, log_p = torch.cat(points), torch.cat(means), torch.cat(log_vars), torch.cat(priors)

    def log_q_given(rows: Tensor, index: Tensor) -> Tensor:
        return gaussian_log_density_matrix(rows, mean, log_var)

    def log_prior(rows: Tensor, index: Tensor) -> Tensor:
        return log_p[index]

    numbers = torch.arange(len(point), device=point.device)
    return Encoded("z and w", (point, numbers), log_q_given, log_prior, _mean_kl(ratios))


def _mean_kl(log_ratios: list[Tensor]) -> float:
    return -float(torch.cat(log_ratios).double().mean())
