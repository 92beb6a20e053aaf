"""Counter-based random numbers that depend only on seed, epoch and document.

A training step uses no random generator. Each document of a batch has a key, made of the seed, the epoch and the
document's number in the corpus; each random number is a hash of this key, a stream id and a position. A document
therefore gets the same numbers in any batch, on any device and in any process, and a resumed run has no generator
state to restore.
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

# Stream ids: each use of random numbers within a batch has its own.
LATENT, DROPOUT, THETA, PRIOR, COMPONENT, PIXEL, CATEGORY, UPPER, ORDER, PROJECTION = range(1, 11)

WEYL = 0x9E3779B9  # 2^32 divided by the golden ratio; its multiples are evenly spread
# Multipliers of a 32-bit hash with low bias, found by search (C. Wellons, hash-prospector).
FIRST, SECOND = 0x7FEB352D, 0x846CA68B
QUANTILES = 1 << 16  # entries in the table of a distribution drawn by inversion


@dataclass(frozen=True)
class Noise:
    """Source of random numbers for the documents of a batch.

    Attributes
    ----------
    keys : Tensor
        (B,) int32, one key per document.

    Examples
    --------
    >>> noise = Noise.of(seed=0, documents=np.array([7, 3]), device=torch.device("cpu"))
    >>> alone = Noise.of(seed=0, documents=np.array([3]), device=torch.device("cpu"))
    >>> torch.equal(noise.normal(LATENT, torch.empty(2, 5))[1:], alone.normal(LATENT, torch.empty(1, 5)))
    True
    """

    keys: Tensor

    @classmethod
    def of(cls, seed: int, documents: NDArray[np.int64], device: torch.device) -> Noise:
        """Make the keys of the documents with these numbers in the corpus, (B,), under a seed."""
        start = np.uint32(_hash(np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)).sum(dtype=np.uint32))
        words = np.asarray(documents).astype(np.uint32) * np.uint32(WEYL)
        keys = _hash(_hash(words + start) ^ (np.asarray(documents) >> 32).astype(np.uint32))
        return cls(torch.as_tensor(keys.view(np.int32)).to(device, non_blocking=True))

    def repeated(self, n: int) -> Noise:
        """Return noise for `n` draws per document, (n * B,): the whole batch n times, each time with other numbers."""
        turns = torch.arange(n, dtype=torch.int32, device=self.keys.device)[:, None]
        # The first repetition equals this noise itself.
        return Noise((self.keys ^ turns.mul_(_signed(SECOND))).view(-1))

    def bits(self, stream: int, n: int) -> Tensor:
        """Return hashes (B, n) int32, uniform over all 32-bit values."""
        x = (self.keys ^ _signed(stream * FIRST))[:, None] + _position_offsets(n, self.keys.device)
        # Right shifts of int32 copy the sign bit; the masks clear those copies.
        x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(_signed(FIRST))
        x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(SECOND))
        return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))

    def normal(self, stream: int, like: Tensor) -> Tensor:
        """Draw standard normal numbers with the shape (B, n) and type of `like`."""
        # 24 bits, taken at the middle of their intervals, so never -1 or 1, where erfinv is infinite.
        centred = ((self.bits(stream, like.shape[1]) >> 8).to(like.dtype) + 0.5) * 2.0**-23
        return centred.erfinv_() * math.sqrt(2.0)

    def uniform(self, stream: int, like: Tensor) -> Tensor:
        """Draw uniform numbers in the open interval (0, 1), with the shape (B, n) and type of `like`."""
        # 23 bits: single precision represents the middle of each interval exactly and rounds none to 0 or 1.
        return ((self.bits(stream, like.shape[1]) >> 9).to(like.dtype) + (0.5 + 2.0**22)) * 2.0**-23

    def gumbel(self, stream: int, like: Tensor) -> Tensor:
        """Draw standard Gumbel numbers with the shape (B, n) and type of `like`."""
        return -(-self.uniform(stream, like).log_()).log_()

    def dropout_mask(self, stream: int, like: Tensor, rate: float) -> Tensor:
        """Draw a dropout mask with the shape (B, n) and type of `like`: 0 with probability `rate`, else 1."""
        lowest_kept = round((rate - 0.5) * 2**32)  # threshold on the signed hashes
        return (self.bits(stream, like.shape[1]) >= lowest_kept).to(like.dtype)

    def log_gamma(self, stream: int, like: Tensor, concentration: float) -> Tensor:
        """Draw logarithms of Gamma(concentration, 1) numbers with the shape (B, n) and type of `like`."""
        table = _log_gamma_quantiles(concentration, like.device, like.dtype)
        entries = (self.bits(stream, like.shape[1]) >> 16).bitwise_and_(QUANTILES - 1)
        return table.index_select(0, entries.view(-1)).view(entries.shape)

    def choice(self, stream: int, n: int) -> Tensor:
        """Draw an integer from 0 to n - 1 for each document, (B, 1) int64."""
        return ((self.bits(stream, 1).to(torch.int64) & 0xFFFFFFFF) * n) >> 32


@lru_cache(maxsize=64)
def _position_offsets(n: int, device: torch.device) -> Tensor:
    places = (np.arange(n, dtype=np.uint32) * np.uint32(WEYL)).view(np.int32)
    return torch.as_tensor(places).to(device)


@lru_cache(maxsize=8)
def _log_gamma_quantiles(concentration: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the log quantiles at the midpoints of `QUANTILES` intervals of equal probability."""
    p = (np.arange(QUANTILES) + 0.5) / QUANTILES
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(p < 0.5, gammaincinv(concentration, p), gammainccinv(concentration, 1 - p)))
    # Where the quantile itself underflows, use P(x) = x^a / Gamma(a + 1) near 0.
    near_zero = (np.log(p) + gammaln(concentration + 1)) / concentration
    logs = np.where(logs > -600.0, logs, near_zero)
    return torch.as_tensor(logs).to(device=device, dtype=dtype)


def _signed(x: int) -> int:
    """Reinterpret an unsigned 32-bit number as int32."""
    x &= 0xFFFFFFFF
    return x - 2**32 if x >= 2**31 else x


def _hash(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(FIRST)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(SECOND)
    hashed: NDArray[np.uint32] = x ^ (x >> np.uint32(16))
    return hashed
