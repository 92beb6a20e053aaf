"""Likelihood of the product decoder p(.|d) = softmax(theta_d W + b), computed in slices of documents.

The normaliser runs over all words for every document, which mathematically needs a (B, V) array. No more than
`SLICE_ENTRIES` of it exist at a time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from topicnet.core.sparse import SMALLEST_PROBABILITY, SparseBatch
from topicnet.runtime.threads import map_on_threads

SLICE_ENTRIES = 2**23  # 32 MB of float32
SLICE_ENTRIES_GPU = 2**28
PIECES = 2  # pieces of a batch on the CPU, one per thread; fixed, so that results do not depend on the thread count
LEAST_ENTRIES = 2**19  # smallest batch to divide; below this a second thread saves no time


def product_log_likelihood(theta: Tensor, weight: Tensor, bias: Tensor, batch: SparseBatch) -> Tensor:
    """Multinomial log-likelihood of the counts under a product of topics, without the multinomial coefficient.

    sum_w x_dw log softmax(theta_d W + b)_w (Srivastava & Sutton 2017, section 3.2; Nan et al. 2019, section 3).

    Parameters
    ----------
    theta : Tensor
        (B, K), rows sum to 1.
    weight, bias : Tensor
        (K, V) and (V,).
    batch : SparseBatch
        The counts.

    Returns
    -------
    Tensor
        (B,) nats; 0 for an empty document.
    """
    likelihood: Tensor = _ProductLogLikelihood.apply(theta, weight, bias, batch)  # type: ignore[no-untyped-call]
    return likelihood


class _ProductLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, weight: Tensor, bias: Tensor, batch: SparseBatch) -> Tensor:
        pieces = _pieces(batch)

        def of_piece(slices: list[slice]) -> tuple[Tensor, Tensor | None]:
            parts = []
            p = theta.new_empty(0)
            for part in slices:
                p = torch.addmm(bias, theta[part], weight).softmax(-1)
                parts.append(_at_nonzeros(batch, part, p))
            # The probabilities of a single slice are kept for the backward pass; several are recomputed there.
            return torch.cat(parts), p if len(slices) == 1 else None

        at_counts, kept = zip(*map_on_threads(of_piece, pieces), strict=True)
        ctx.batch, ctx.pieces, ctx.kept = batch, pieces, kept
        ctx.save_for_backward(theta, weight, bias)
        return batch.row_sums(torch.cat(at_counts).clamp_min_(SMALLEST_PROBABILITY).log_().mul_(batch.counts))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        theta, weight, bias = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        if not any(ctx.needs_input_grad[1:3]):
            return _theta_gradient(ctx, upstream[0]), None, None, None
        weight_t = weight.t().contiguous()  # (V, K): the topics of a word are contiguous
        # Expected counts are the probabilities times this factor. Scaling the narrow operand of each product instead
        # saves passes over (B, V).
        scale = upstream[0] * batch.row_sums(batch.counts)  # (B,)
        scaled = theta * scale[:, None]

        def of_piece(number: int) -> tuple[Tensor, Tensor, Tensor]:
            of_theta, of_weight, of_bias = [], torch.zeros_like(weight), torch.zeros_like(bias)
            for part in ctx.pieces[number]:
                p = ctx.kept[number]
                if p is None:
                    p = torch.addmm(bias, theta[part], weight).softmax(-1)  # (b, V)
                of_theta.append(p @ weight_t)
                of_weight.addmm_(scaled[part].t(), p)
                of_bias.addmv_(p.t(), scale[part])
            return torch.cat(of_theta), of_weight, of_bias

        expected = map_on_threads(of_piece, range(len(ctx.pieces)))
        given = upstream[0].index_select(0, batch.rows).mul_(batch.counts)  # (nnz,)
        given_t = given.index_select(0, batch.order)
        grad_theta = batch.pattern.matmul(given, weight_t)  # (B, K)
        grad_weight = batch.transposed.matmul(given_t, theta).t().contiguous()  # (K, V)
        grad_bias = torch.segment_reduce(given_t, "sum", offsets=batch.transposed.starts, axis=0, unsafe=True)
        for _, of_weight, of_bias in expected:
            grad_weight.sub_(of_weight)
            grad_bias.sub_(of_bias)
        grad_theta.addcmul_(torch.cat([of_theta for of_theta, _, _ in expected]), scale[:, None], value=-1.0)
        return grad_theta, grad_weight, grad_bias, None


def _theta_gradient(ctx: Any, upstream: Tensor) -> Tensor:
    """Compute the gradient of theta (B, K) alone, under fixed topics: a batch for inference has no transpose."""
    theta, weight, bias = ctx.saved_tensors
    batch: SparseBatch = ctx.batch
    weight_t = weight.t().contiguous()

    def expected(number: int) -> Tensor:
        kept = ctx.kept[number]
        parts = ctx.pieces[number] if kept is None else [None]
        return torch.cat(
            [
                (torch.addmm(bias, theta[part], weight).softmax(-1) if kept is None else kept) @ weight_t
                for part in parts
            ]
        )

    of_counts = batch.pattern.matmul(batch.counts, weight_t)  # (B, K)
    of_model = torch.cat(map_on_threads(expected, range(len(ctx.pieces))))
    return of_counts.addcmul_(of_model, batch.row_sums(batch.counts)[:, None], value=-1.0).mul_(upstream[:, None])


def _pieces(batch: SparseBatch) -> list[list[slice]]:
    """Divide a batch among threads, and the part of each thread into slices.

    All slices processed at the same time hold at most `SLICE_ENTRIES` entries of the (B, V) array; on the GPU,
    `SLICE_ENTRIES_GPU`.
    """
    n_docs, n_words = batch.pattern.shape
    on_cpu = batch.counts.device.type == "cpu"
    n_pieces = PIECES if on_cpu and n_docs >= PIECES and n_docs * n_words >= LEAST_ENTRIES else 1
    step = max(1, (SLICE_ENTRIES if on_cpu else SLICE_ENTRIES_GPU) // n_words // n_pieces)
    ends = [n_docs * number // n_pieces for number in range(n_pieces + 1)]
    return [
        [slice(start, min(start + step, end)) for start in range(begin, end, step)] for begin, end in pairwise(ends)
    ]


def _at_nonzeros(batch: SparseBatch, part: slice, p: Tensor) -> Tensor:
    """Return the entries of p (b, V), the probabilities of a slice of the batch, at its nonzero counts."""
    rows, columns = batch.rows, batch.pattern.columns
    if len(p) < batch.n_docs:
        first, last = batch.pattern.starts[[part.start, part.stop]].tolist()
        rows, columns = rows[first:last] - part.start, columns[first:last]
    return p.view(-1).index_select(0, rows.long() * p.shape[1] + columns)
