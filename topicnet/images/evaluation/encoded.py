"""Encoding of a set of images: one draw per image, and the densities needed to evaluate the aggregated posterior."""

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
    """One draw from q(. | x) for each of N images, in the form that `aggregated_split` needs.

    Attributes
    ----------
    of : str
        The latents that are covered.
    points : tuple of Tensor
        (N, ...) each: row i drawn from q(. | x_i).
    log_q_given : callable
        Maps rows of the points to (b, N): log q(point_i | x_j).
    log_prior : callable
        Maps rows of the points to (b,): log p(point_i).
    log_ratio : Tensor of shape (N,)
        log p(point_i) - log q(point_i | x_i), as computed by the model itself.
    log_q_z_given : callable, optional
        With drawn categories, maps rows of z to (b, N): log q(z_i | x_j), summed over categories.
    """

    of: str
    points: tuple[Tensor, ...]
    log_q_given: Callable[..., Tensor]
    log_prior: Callable[..., Tensor]
    log_ratio: Tensor
    log_q_z_given: Callable[[Tensor], Tensor] | None = None

    @property
    def mean_kl(self) -> float:
        """E log q(point | x) - log p(point), nats per image."""
        return -float(self.log_ratio.double().mean())


def encoded(latents: Latents, batches: Iterable[ImageBatch]) -> Encoded | None:
    """Encode images, each with its own noise; None for a deterministic encoder, which has no density."""
    if isinstance(latents, GaussianLatents | ClusteredLatents):
        return _points(latents, batches, "z")
    if isinstance(latents, TwoLevelLatents):
        # q(z1 | x_j, z2_i) for all pairs of images would need a pass through the network for each pair.
        return _points(latents.upper, batches, "z2, the upper level, alone")
    if isinstance(latents, CategoricalLatents):
        return _with_categories(latents, batches)
    if isinstance(latents, WeightedLatents):
        return _with_weights(latents, batches)
    return None


def _points(latents: GaussianLatents | ClusteredLatents, batches: Iterable[ImageBatch], of: str) -> Encoded:
    def tables(batch: ImageBatch) -> tuple[Tensor, ...]:
        q, drawn = latents.posterior(batch.pixels), latents.importance_draw(batch.pixels, batch.noise)
        return drawn.code[0], q.mean, q.log_var, drawn.log_ratio

    z, mean, log_var, log_ratio = _concatenate(map(tables, batches))
    prior = latents.prior if isinstance(latents, GaussianLatents) else latents.mixture

    def log_q_given(rows: Tensor) -> Tensor:
        return gaussian_log_density_matrix(rows, mean, log_var)

    return Encoded(of, (z,), log_q_given, prior.log_density, log_ratio)


def _with_categories(latents: CategoricalLatents, batches: Iterable[ImageBatch]) -> Encoded:
    width = latents.latent_dim

    def tables(batch: ImageBatch) -> tuple[Tensor, ...]:
        drawn = latents.importance_draw(batch.pixels, batch.noise)
        return drawn.code[0], latents.body(batch.pixels), drawn.log_ratio

    code, features, log_ratio = _concatenate(map(tables, batches))  # (N, Z + K), (N, H), (N,)
    order = code[:, width:].argmax(1).argsort(stable=True)  # by category, so that each slice has few of them
    z, c = code[order, :width], code[order, width:].argmax(1)
    hidden = features[order]
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

    def log_q_z_given(rows: Tensor) -> Tensor:
        if not latents.conditional:
            q = given_category(0)
            return gaussian_log_density_matrix(rows, q.mean, q.log_var)
        logs = rows.new_full((len(rows), len(hidden)), -math.inf, dtype=torch.float64)
        for k in range(log_q_c.shape[1]):
            q = given_category(k)
            logs = torch.logaddexp(logs, gaussian_log_density_matrix(rows, q.mean, q.log_var) + log_q_c[:, k].double())
        return logs

    def log_prior(rows: Tensor, of_rows: Tensor) -> Tensor:
        log_p_c = -math.log(log_q_c.shape[1])
        if latents.mixture is None:
            return latents.standard.log_density(rows) + log_p_c
        chosen = latents.mixture.component(one_hot(of_rows, log_q_c[: len(rows)]))
        return chosen.log_density(rows) + log_p_c

    return Encoded("z and c", (z, c), log_q_given, log_prior, log_ratio, log_q_z_given)


def _with_weights(latents: WeightedLatents, batches: Iterable[ImageBatch]) -> Encoded:
    def tables(batch: ImageBatch) -> tuple[Tensor, ...]:
        q, q_w = latents.posteriors(batch.pixels, batch.noise)
        z, w = q.sample(), q_w.sample(UPPER)  # the same draws as in `importance_draw`
        log_ratio = latents.importance_draw(batch.pixels, batch.noise).log_ratio
        log_p = log_ratio + q.log_density(z) + q_w.log_density(w)
        pairs = (z, w), (q.mean, q_w.mean), (q.log_var, q_w.log_var)
        return *(torch.cat(pair, -1) for pair in pairs), log_p, log_ratio

    point, mean, log_var, log_p, log_ratio = _concatenate(map(tables, batches))
    numbers = torch.arange(len(point), device=point.device)

    def log_q_given(rows: Tensor, index: Tensor) -> Tensor:
        return gaussian_log_density_matrix(rows, mean, log_var)

    return Encoded("z and w", (point, numbers), log_q_given, lambda rows, index: log_p[index], log_ratio)


def _concatenate(tables: Iterable[tuple[Tensor, ...]]) -> list[Tensor]:
    """Concatenate the tables of all batches."""
    return [torch.cat(parts) for parts in zip(*tables, strict=True)]
