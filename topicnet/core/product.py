"""The likelihood of the product decoder p(.|d) = softmax(theta_d W + b), in slices of documents.

Its normaliser runs over all words for every document: a (B, V) array is needed by the mathematics, but never more
than `SLICE_ENTRIES` of it at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topicnet.core.sparse import SparseBatch, sampled_products

SLICE_ENTRIES = 2**23  # 32 MB of float32


def product_log_likelihood(theta: Tensor, weight: Tensor, bias: Tensor, batch: SparseBatch) -> Tensor:
    """Multinomial log-likelihood of the counts under a product of topics, without its constant.

    sum_w x_dw log softmax(theta_d W + b)_w (Srivastava & Sutton 2017, section 3.2; Nan et al. 2019, section 3).

    Parameters
    ----------
    theta : Tensor
        (B, K), rows sum to 1.
    weight, bias : Tensor
        (K, V) and (V,).

    Returns
    -------
    Tensor
        (B,) nats; 0 for an empty document.
    """
    likelihood: Tensor = _ProductLogLikelihood.apply(theta, weight, bias, batch)  # type: ignore[no-untyped-call]
    return likelihood


def _slices(n_docs: int, n_words: int) -> list[slice]:
    step = max(1, SLICE_ENTRIES // n_words)
    return [slice(begin, begin + step) for begin in range(0, n_docs, step)]


class _ProductLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, weight: Tensor, bias: Tensor, batch: SparseBatch) -> Tensor:
        slices = _slices(*batch.pattern.shape)
        logits = [torch.addmm(bias, theta[part], weight) for part in slices[:1]]
        normaliser = [logits[0].logsumexp(-1)]
        normaliser += [torch.addmm(bias, theta[part], weight).logsumexp(-1) for part in slices[1:]]
        at_counts = sampled_products(theta, weight.t().contiguous(), batch.pattern) + bias[batch.pattern.columns]
        n_tokens = batch.row_sums(batch.counts)  # (B,)
        ctx.batch, ctx.n_tokens, ctx.normaliser = batch, n_tokens, torch.cat(normaliser)
        # One slice is kept for the way back; of several, each is made again there.
        ctx.logits = logits if len(slices) == 1 else []
        ctx.save_for_backward(theta, weight, bias)
        likelihood: Tensor = batch.row_sums(batch.counts * at_counts) - n_tokens * ctx.normaliser
        return likelihood

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        theta, weight, bias = ctx.saved_tensors
        batch: SparseBatch = ctx.batch
        ratio = upstream[0][batch.rows] * batch.counts  # (nnz,)
        ratio_t = ratio[batch.order]
        grad_theta = batch.pattern.times(ratio, weight.t())  # (B, K)
        grad_weight = batch.transposed.times(ratio_t, theta).t().contiguous()  # (K, V)
        grad_bias = torch.segment_reduce(ratio_t, "sum", offsets=batch.transposed.starts, axis=0, unsafe=True)
        expected = upstream[0] * ctx.n_tokens  # (B,)
        for part in _slices(*batch.pattern.shape):
            logits = ctx.logits[0] if ctx.logits else torch.addmm(bias, theta[part], weight)
            counts = (logits - ctx.normaliser[part, None]).exp() * expected[part, None]  # expected counts, (b, V)
            grad_theta[part] -= counts @ weight.t()
            grad_weight.addmm_(theta[part].t(), counts, alpha=-1.0)
            grad_bias -= counts.sum(0)
        return grad_theta, grad_weight, grad_bias, None
