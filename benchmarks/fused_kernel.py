"""Compare the mixture likelihood and its gradients with a fused numba kernel that passes over the nonzeros once.

Usage: python benchmarks/fused_kernel.py [--corpora 20ng,wide] [--topics 50,200] [--docs 200] [--rounds 5] [--data DIR]

Needs `pip install 'topicnet-neural[bench]'`. Both get the same batches, theta and beta, run on one thread, and
alternate. The times cover the transposition of beta, the log-likelihood, and its gradients for theta and beta. Prints
medians and 10th percentiles in milliseconds, the largest difference of a gradient relative to its largest entry, and
the seconds of numba's import and compilation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from hot_path import CPU, corpora
from measuring import add_data, chosen, in_turn, load, low, machine
from torch import Tensor

from topicnet.core.sparse import SMALLEST_PROBABILITY, SparseBatch, SparseBatches, mixture_log_likelihood
from topicnet.runtime.allocator import keep_freed_memory
from topicnet.runtime.threads import chosen_threads

BATCHES = 40


def compiled() -> tuple[Any, float, float]:
    """Return the kernel, and the seconds for importing numba and compiling it."""
    began = time.perf_counter()
    try:
        import numba
    except ImportError:
        raise SystemExit("numba is not installed: pip install 'topicnet-neural[bench]'") from None
    imported = time.perf_counter() - began
    least = np.float32(SMALLEST_PROBABILITY)

    def kernel(
        starts: Any,
        words: Any,
        counts: Any,
        theta: Any,
        beta_t: Any,
        upstream: Any,
        value: Any,
        of_theta: Any,
        of_beta: Any,
    ) -> None:
        of_beta[:] = 0
        n_topics = theta.shape[1]
        for document in range(theta.shape[0]):
            total = np.float32(0)
            of_theta[document] = 0
            for position in range(starts[document], starts[document + 1]):
                word = words[position]
                p = np.float32(0)
                for topic in range(n_topics):
                    p += theta[document, topic] * beta_t[word, topic]
                p = max(p, least)
                total += counts[position] * np.log(p)
                ratio = upstream[document] * counts[position] / p
                for topic in range(n_topics):
                    of_theta[document, topic] += ratio * beta_t[word, topic]
                    of_beta[word, topic] += ratio * theta[document, topic]
            value[document] = total

    fused = numba.njit(fastmath=True, error_model="numpy")(kernel)
    began = time.perf_counter()
    starts, words = np.array([0, 1], dtype=np.int32), np.zeros(1, dtype=np.int32)
    row, one = np.ones((1, 2), dtype=np.float32), np.ones(1, dtype=np.float32)
    fused(starts, words, one, row, row.copy(), one, one.copy(), row.copy(), row.copy())
    return fused, imported, time.perf_counter() - began


def by_torch(theta: Tensor, beta: Tensor, batch: SparseBatch) -> tuple[Tensor, ...]:
    """Return the log-likelihood (B,) and the gradients of its negative mean."""
    theta, beta = theta.clone().requires_grad_(), beta.clone().requires_grad_()
    value = mixture_log_likelihood(theta, beta, batch)
    (-value.mean()).backward()  # type: ignore[no-untyped-call]
    assert theta.grad is not None
    assert beta.grad is not None
    return value.detach(), theta.grad, beta.grad


def by_numba(fused: Any, theta: Tensor, beta: Tensor, batch: SparseBatch) -> tuple[Tensor, ...]:
    """Return the same as `by_torch`, computed by the numba kernel."""
    theta, beta_t = theta.clone(), beta.clone().t().contiguous()
    value, upstream = torch.empty(batch.n_docs), torch.full((batch.n_docs,), -1.0 / batch.n_docs)
    of_theta, of_beta = torch.empty_like(theta), torch.empty_like(beta_t)
    given = (batch.pattern.starts, batch.pattern.columns, batch.counts, theta, beta_t, upstream)
    fused(*(tensor.numpy() for tensor in (*given, value, of_theta, of_beta)))
    return value, of_theta, of_beta.t()


@dataclass
class Found:
    """Seconds of every call, and the largest relative difference between gradients."""

    torch: list[float] = field(default_factory=list)
    numba: list[float] = field(default_factory=list)
    difference: float = 0.0

    def add(self, fused: Any, theta: Tensor, beta: Tensor, batch: SparseBatch, rounds: int) -> None:
        """Compare and time one batch."""
        for a, b in zip(by_torch(theta, beta, batch), by_numba(fused, theta, beta, batch), strict=True):
            self.difference = max(self.difference, float((a - b).abs().max() / a.abs().max()))
        works = {
            "torch": partial(by_torch, theta, beta, batch),
            "numba": partial(by_numba, fused, theta, beta, batch),
        }
        seconds = in_turn(works, rounds)
        self.torch += seconds["torch"]
        self.numba += seconds["numba"]


def ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.2f} ({1e3 * low(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--corpora", default="20ng,wide")
    parser.add_argument("--topics", default="50,200")
    parser.add_argument("--docs", type=int, default=200, help="Documents per batch.")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    known = corpora(given.data)
    names = chosen(given.corpora, known, "--corpora")
    fused, imported, compilation = compiled()
    print(machine("numba"))
    print(f"numba: {imported:.2f} s to import, {compilation:.2f} s to compile\n")
    print("| corpus | words | K | nonzeros per batch | torch, ms | numba, ms | speed-up | saved, ms | difference |")
    print(f"|{'---|' * 9}")
    for name in names:
        counts = known[name]()
        cut = SparseBatches(counts, given.docs, CPU).shuffled(np.random.default_rng(0))
        batches = [batch for _, batch in zip(range(BATCHES), cut, strict=False)]
        nonzeros = np.mean([len(batch.counts) for batch in batches])
        for n_topics in map(int, given.topics.split(",")):
            drawn = torch.Generator().manual_seed(0)
            beta = torch.randn(n_topics, counts.shape[1], generator=drawn).mul(2).softmax(-1)
            found = Found()
            with chosen_threads(), keep_freed_memory(beta.numel() * beta.element_size()):
                for batch in batches:
                    theta = torch.randn(batch.n_docs, n_topics, generator=drawn).mul(2).softmax(-1)
                    found.add(fused, theta, beta, batch, given.rounds)
            slow, fast = 1e3 * statistics.median(found.torch), 1e3 * statistics.median(found.numba)
            cells = [name, f"{counts.shape[1]:,}", str(n_topics), f"{nonzeros:,.0f}", ms(found.torch), ms(found.numba)]
            cells += [f"{slow / fast:.2f}", f"{slow - fast:.2f}", f"{found.difference:.0e}"]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
