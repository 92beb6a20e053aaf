"""Training batches sliced on the GPU from a corpus kept in GPU memory.

Slicing a batch on the host takes longer than a training step on the GPU. Row starts are also kept on the host, so that
all sizes are known there and no step waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from topicnet.core.counter_rng import Noise
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import Pattern, SparseBatch, SparseBatches
from topicnet.runtime.distributed import World
from topicnet.storage.mapped import BLOCK_NONZEROS, row_blocks

LARGEST_COUNT = 32_767  # largest 16-bit signed integer
FRACTION_OF_FREE = 0.5  # fraction of the device's free memory that a corpus may occupy


def is_small(counts: csr_matrix) -> bool:
    """Return whether every count is an integer that fits in 16 bits."""
    return counts.dtype.kind in "iu" and int(counts.data.max(initial=0)) <= LARGEST_COUNT


def bytes_needed(documents: Rows) -> int:
    """Estimate the device memory of these documents: 2 or 4 bytes per count, 4 per word id, 8 per row start."""
    return (6 if is_small(documents.counts) else 8) * documents.nonzeros + 8 * (documents.n_docs + 1)


def fits(documents: Rows, device: torch.device) -> bool:
    """Return whether a corpus fits in GPU memory; False on a CPU, where it is in memory already."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return bytes_needed(documents) < FRACTION_OF_FREE * free


def batches_of(
    documents: csr_matrix | Rows, batch_size: int, device: torch.device, world: World | None = None
) -> SparseBatches:
    """Make training batches, sliced on the GPU if it has enough free memory for the corpus, else on the host."""
    if not isinstance(documents, Rows):
        documents = Rows(documents, np.arange(documents.shape[0]))
    kind = ResidentBatches if fits(documents, device) else SparseBatches
    return kind(documents, batch_size, device, world)


class ResidentBatches(SparseBatches):
    """Batches of documents stored on the device, identical to those of `SparseBatches`.

    Parameters
    ----------
    documents, batch_size, device, world
        As for `SparseBatches`.
    """

    def __init__(
        self, documents: csr_matrix | Rows, batch_size: int, device: torch.device, world: World | None = None
    ) -> None:
        super().__init__(documents, batch_size, device, world)
        counts, rows = self.documents.counts, self.documents.rows
        lengths = np.diff(counts.indptr)[rows].astype(np.int64)
        self.host_starts = np.concatenate([[0], np.cumsum(lengths)])  # (n + 1,), on the host
        self.starts = torch.as_tensor(self.host_starts, device=device)
        n_nonzeros = int(self.host_starts[-1])
        self.words = torch.empty(n_nonzeros, dtype=torch.int32, device=device)
        self.data = torch.empty(n_nonzeros, dtype=torch.int16 if is_small(counts) else torch.float32, device=device)
        selected = np.zeros(counts.shape[0], dtype=bool)
        selected[rows] = True
        done = 0
        for where, block in row_blocks(counts, BLOCK_NONZEROS):
            kept = np.repeat(selected[where], np.diff(block.indptr))
            n_kept = int(kept.sum())
            self.words[done : done + n_kept] = torch.as_tensor(block.indices[kept]).to(device)
            self.data[done : done + n_kept] = torch.as_tensor(block.data[kept]).to(device)
            done += n_kept

    def _batches(self, indexes: Sequence[NDArray[np.int64]], seed: int) -> Iterator[SparseBatch]:
        return (self._batch(index, seed) for index in indexes)

    def _batch(self, index: NDArray[np.int64], seed: int) -> SparseBatch:
        n_docs, n_words = len(index), self.documents.vocab_size
        lengths = self.host_starts[index + 1] - self.host_starts[index]
        n_nonzeros = int(lengths.sum())
        chosen = torch.as_tensor(index).to(self.device, non_blocking=True)
        first = self.starts.index_select(0, chosen)
        length = self.starts.index_select(0, chosen + 1) - first
        starts = torch.cat([length.new_zeros(1), length.cumsum(0)])
        rows = torch.repeat_interleave(length, output_size=n_nonzeros)
        positions = torch.arange(n_nonzeros, device=self.device) + (first - starts[:-1]).index_select(0, rows)
        columns = self.words.index_select(0, positions)
        sorted_columns, order = columns.sort(stable=True)
        every_word = torch.arange(n_words + 1, dtype=torch.int32, device=self.device)
        ends = torch.searchsorted(sorted_columns, every_word)
        return SparseBatch(
            counts=self.data.index_select(0, positions).to(torch.get_default_dtype()),
            rows=rows.int(),
            pattern=Pattern(starts.int(), columns, (n_docs, n_words)),
            transposed=Pattern(ends.int(), rows.index_select(0, order).int(), (n_words, n_docs)),
            order=order.int(),
            index=chosen,
            noise=Noise.of(seed, index, self.device),
        )
