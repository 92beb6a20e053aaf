"""Counter-based random numbers: each document's are the same in any batch, on any device and in any process.

A training step uses no generator. Each document of a batch has a key, made of the seed, the epoch and the document;
every number is a hash of the key, its purpose and its position. So the parts of a batch draw what the whole batch
drew, and a resumed run has no generator to restore.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv, gammaln
from torch import Tensor

# Streams: each use of random numbers in a batch has its own.
LATENT, DROPOUT, THETA, PRIOR, COMPONENT, PIXEL, CATEGORY, UPPER, ORDER = range(1, 10)

WEYL = 0x9E3779B9  # 2^32 over the golden ratio: multiples of it are spread evenly
# Multipliers of a 32-bit hash with low bias, found by search (C. Wellons, hash-prospector).
FIRST, SECOND = 0x7FEB352D, 0x846CA68B
QUANTILES = 1 << 16  # of a distribution drawn by its inverse


@dataclass(frozen=True)
class Noise:
    """Random numbers of the documents of a batch.

    Attributes
    ----------
    keys : Tensor
        (B,) int32.
    """

    keys: Tensor

    @classmethod
    def of(cls, seed: int, documents: NDArray[np.int64], device: torch.device) -> Noise:
        """Keys of documents (B,), by their numbers in the corpus, under a seed."""
        start = np.uint32(_mixed(np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)).sum(dtype=np.uint32))
        words = np.asarray(documents).astype(np.uint32) * np.uint32(WEYL)
        keys = _mixed(_mixed(words + start) ^ (np.asarray(documents) >> 32).astype(np.uint32))
        return cls(torch.as_tensor(keys.view(np.int32)).to(device, non_blocking=True))

    def repeated(self, n: int) -> Noise:
        """Noise for `n` draws of every document, (n * B,): all documents, and all again; other numbers each time."""
        turns = torch.arange(n, dtype=torch.int32, device=self.keys.device)[:, None]
        # The first draw is that of the document itself.
        return Noise((self.keys ^ turns.mul_(_signed(SECOND))).view(-1))

    def bits(self, stream: int, n: int) -> Tensor:
        """Hashes (B, n) int32, all values equally likely."""
        x = (self.keys ^ _signed(stream * FIRST))[:, None] + _places(n, self.keys.device)
        # The shifts of int32 drag the sign along: what they bring in is masked away.
        x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(_signed(FIRST))
        x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(SECOND))
        return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))

    def normal(self, stream: int, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape (B, n) and type of `like`."""
        # 24 bits, in the middle of their intervals: never -1 or 1, whose quantiles are infinite.
        centred = ((self.bits(stream, like.shape[1]) >> 8).to(like.dtype) + 0.5) * 2.0**-23
        return centred.erfinv_() * math.sqrt(2.0)

    def uniform(self, stream: int, like: Tensor) -> Tensor:
        """Numbers between 0 and 1, never either, of the shape (B, n) and type of `like`."""
        # 23 bits: single precision represents the middle of each interval, and rounds none to 0 or 1.
        return ((self.bits(stream, like.shape[1]) >> 9).to(like.dtype) + (0.5 + 2.0**22)) * 2.0**-23

    def gumbel(self, stream: int, like: Tensor) -> Tensor:
        """Standard Gumbel numbers of the shape (B, n) and type of `like`."""
        return -(-self.uniform(stream, like).log_()).log_()

    def dropout_mask(self, stream: int, like: Tensor, rate: float) -> Tensor:
        """Mask of the shape (B, n) and type of `like`: zeros at this rate, ones elsewhere."""
        least = round((rate - 0.5) * 2**32)  # of the signed hashes
        return (self.bits(stream, like.shape[1]) >= least).to(like.dtype)

    def log_gamma(self, stream: int, like: Tensor, concentration: float) -> Tensor:
        """Logs of Gamma(concentration, 1) numbers, of the shape (B, n) and type of `like`."""
        table = _log_gamma_quantiles(concentration, like.device, like.dtype)
        places = (self.bits(stream, like.shape[1]) >> 16).bitwise_and_(QUANTILES - 1)
        return table.index_select(0, places.view(-1)).view(places.shape)

    def choice(self, stream: int, n: int) -> Tensor:
        """A number from 0 to n - 1 for each document, (B, 1) int64."""
        return ((self.bits(stream, 1).to(torch.int64) & 0xFFFFFFFF) * n) >> 32


@lru_cache(maxsize=64)
def _places(n: int, device: torch.device) -> Tensor:
    places = (np.arange(n, dtype=np.uint32) * np.uint32(WEYL)).view(np.int32)
    return torch.as_tensor(places).to(device)


@lru_cache(maxsize=8)
def _log_gamma_quantiles(concentration: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Log quantiles in the middle of `QUANTILES` equal intervals of probability."""
    p = (np.arange(QUANTILES) + 0.5) / QUANTILES
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(p < 0.5, gammaincinv(concentration, p), gammainccinv(concentration, 1 - p)))
    # Where the quantile itself underflows: P(x) = x^a / Gamma(a + 1) near 0.
    near_zero = (np.log(p) + gammaln(concentration + 1)) / concentration
    logs = np.where(logs > -600.0, logs, near_zero)
    return torch.as_tensor(logs).to(device=device, dtype=dtype)


def _signed(x: int) -> int:
    """A number below 2^32 as int32 has it."""
    x &= 0xFFFFFFFF
    return x - 2**32 if x >= 2**31 else x


def _mixed(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(FIRST)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(SECOND)
    mixed: NDArray[np.uint32] = x ^ (x >> np.uint32(16))
    return mixed
