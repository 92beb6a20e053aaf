"""Distributed training over several processes; the only module that uses torch.distributed.

Each rank computes on its shard of every batch. Gradients are summed before each step, so that all ranks make the same
step and hold bit-identical weights. Whatever is decided or measured once is done by rank zero and broadcast.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from topicnet import errors
from topicnet.errors import InputError, ParallelError, TopicnetError

VARIABLE = "TOPICNET_TIMEOUT_SECONDS"
DEFAULT_SECONDS = 1800.0  # long enough for the other ranks to wait for rank zero's initialisation
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # environment variables set by torchrun
BUCKET_ENTRIES = 2**22  # gradient entries per all-reduce, 16 MB; the next bucket is filled during the transfer

T = TypeVar("T")
_current: World | None = None


@dataclass(frozen=True)
class World:
    """Process group that fits one model, from the point of view of one rank.

    Every method is a collective operation: all ranks must call it, in the same order.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and number of processes.
    local_rank : int
        Number of this process on its machine, and of its GPU.
    group : ProcessGroup or None
        The group in torch.distributed; None is the default group of all processes.
    """

    rank: int
    size: int
    local_rank: int = 0
    group: Any = None

    @property
    def is_rank_zero(self) -> bool:
        """True on the rank that decides, prints and writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum the values over all ranks in place, and return them."""
        with self._collective():
            dist.all_reduce(values, group=self.group)
        return values

    def any(self, mine: bool) -> bool:
        """Return whether the flag is true on any rank."""
        return bool(self.sum(torch.tensor(int(mine))))

    def wait(self) -> None:
        """Wait for all ranks, or until one has ended."""
        with suppress(ParallelError):
            self.any(False)

    def gather(self, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """Concatenate the rows (sizes[rank], ...) of all ranks, without gradients."""
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        with self._collective():
            dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @torch.no_grad()
    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors with those of rank zero."""
        with self._collective():
            for tensor in tensors:
                dist.broadcast(tensor, self._first, group=self.group)

    def from_rank_zero(self, make: Callable[[], T]) -> T:
        """Compute a value on rank zero, and return it on all ranks.

        Parameters
        ----------
        make : callable
            Called on rank zero only. Returns JSON values, which may contain tensors; the other ranks get these on the
            CPU. A `TopicnetError` that it raises is raised on all ranks.
        """
        tensors: list[Tensor] = []

        def pack(tensor: Tensor) -> dict[str, int]:
            tensors.append(tensor.detach().cpu().contiguous())
            return {"tensor": len(tensors) - 1}

        def unpack(entries: dict[str, Any]) -> Any:
            return tensors[entries["tensor"]] if entries.keys() == {"tensor"} else entries

        if not self.is_rank_zero:
            kind, text, forms = self._announce(None)
            if kind is not None:
                raise getattr(errors, kind, TopicnetError)(text)
            tensors += [torch.empty(shape, dtype=getattr(torch, dtype)) for dtype, shape in forms]
            self.broadcast(tensors)
            made: T = json.loads(text, object_hook=unpack)
            return made
        try:
            value = make()
        except TopicnetError as error:
            self._announce((type(error).__name__, str(error), []))
            raise
        text = json.dumps(value, default=pack)
        self._announce((None, text, [(str(tensor.dtype).removeprefix("torch."), tensor.shape) for tensor in tensors]))
        self.broadcast(tensors)
        return value

    def check_same(self, given: Any, what: str) -> None:
        """Raise InputError on all ranks unless all were given the same JSON values."""
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).digest()
        rows = self.gather(torch.tensor([list(digest)], dtype=torch.uint8), [1] * self.size)
        other = [rank for rank, row in enumerate(rows.tolist()) if row != rows[0].tolist()]
        if other:
            raise InputError(
                f"process {other[0]} of {self.size} was given different {what} than process 0: give all processes the"
                " same"
            )

    def sum_gradients(self, network: nn.Module, tally: Tensor) -> Tensor:
        """Replace the gradients of a network by their sums over all ranks.

        Row-sparse gradients stay sparse, with the rows that occur on any rank.

        Parameters
        ----------
        network : nn.Module
            Network whose gradients are summed.
        tally : Tensor
            (n,) other numbers to sum in the same collective.

        Returns
        -------
        Tensor
            (n,) the sums of `tally`.
        """
        held = [p for p in network.parameters() if p.grad is not None]
        rows = {p: self._rows_of_any(p.grad) for p in held if p.grad is not None and p.grad.is_sparse}
        summands = [tally, *(rows[p][1] if p in rows else p.grad for p in held)]
        sums = self._sums([value for value in summands if value is not None])
        for parameter, total in zip(held, sums[1:], strict=True):
            if parameter in rows:
                words = rows[parameter][0]
                parameter.grad = torch.sparse_coo_tensor(
                    words[None], total, parameter.shape, is_coalesced=True, check_invariants=False
                )
            else:
                parameter.grad = total
        return sums[0]

    def _rows_of_any(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows (n,) that occur in the gradient of any rank, and this rank's values there (n, H)."""
        mine, values = gradient._indices()[0], gradient._values()
        touched = torch.zeros(gradient.shape[0], dtype=torch.uint8, device=gradient.device)
        touched[mine] = 1
        with self._collective():
            dist.all_reduce(touched, op=dist.ReduceOp.MAX, group=self.group)
        rows = touched.nonzero().ravel()
        spaced = values.new_zeros(len(rows), values.shape[1])
        return rows, spaced.index_copy_(0, torch.searchsorted(rows, mine), values)

    def _sums(self, summands: list[Tensor]) -> list[Tensor]:
        """Sum tensors over all ranks in a few large buckets."""
        buckets: list[list[Tensor]] = []
        for value in summands:
            last = buckets[-1] if buckets else []
            if not last or value.dtype != last[0].dtype or sum(map(Tensor.numel, [*last, value])) > BUCKET_ENTRIES:
                buckets.append([])
            buckets[-1].append(value)
        sums = []
        with self._collective():
            flats, works = [], []
            for members in buckets:
                flat = [value.reshape(-1) for value in members]
                flats.append(flat[0] if len(flat) == 1 else torch.cat(flat))
                works.append(dist.all_reduce(flats[-1], group=self.group, async_op=True))
            for members, flat_sum, work in zip(buckets, flats, works, strict=True):
                if work is not None:
                    work.wait()
                parts = torch.split(flat_sum, [value.numel() for value in members])
                sums += [part.view(value.shape) for part, value in zip(parts, members, strict=True)]
        return sums

    @cached_property
    def _first(self) -> int:
        return 0 if self.group is None else dist.get_global_rank(self.group, 0)

    def _announce(self, message: Any) -> Any:
        """Return the JSON values of rank zero on all ranks, ignoring the arguments of the others."""
        own = torch.tensor(list(json.dumps(message).encode()), dtype=torch.uint8)
        length = torch.tensor(len(own))
        self.broadcast([length])
        sent = own if self.is_rank_zero else own.new_empty(int(length))
        self.broadcast([sent])
        return json.loads(bytes(sent.tolist()))

    @contextmanager
    def _collective(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's back ends raise it for any failure
            raise ParallelError(
                f"process {self.rank} of {self.size} lost contact with the others ({_first_line(error)}): one of them"
                " ended and reported why, or did not respond in time; start all of them again, with --resume if there"
                " are checkpoints"
            ) from error


def current() -> World | None:
    """Return the process group that a fit started now would use; None outside `distributed` or with one process."""
    return _current


def is_rank_zero() -> bool:
    """Return whether this process should print and write: True on rank zero and without other processes."""
    return _current is None or _current.is_rank_zero


def on_rank_zero(world: World | None, make: Callable[[], T]) -> T:
    """Compute a value on rank zero for all ranks (`World.from_rank_zero`), or in this process without a world."""
    return make() if world is None else world.from_rank_zero(make)


@contextmanager
def distributed() -> Iterator[World | None]:
    """Context manager: share each fit with the other processes started by torchrun.

    Every process must make the same fits of the same documents, in the same order. Without torchrun, or with one
    process, nothing changes. A process group that the caller has initialised is used and left open.

    Yields
    ------
    World or None
        None if there is a single process.

    Raises
    ------
    InputError
        Some of torchrun's environment variables are missing or invalid.
    ParallelError
        The other processes do not connect, or leave before the fit is done.
    """
    global _current
    ours = not (dist.is_available() and dist.is_initialized())
    place = _place() if ours else (dist.get_rank(), dist.get_world_size())
    if place is None or place[1] == 1 or _current is not None:
        yield _current
        return
    local_rank = _number("LOCAL_RANK", os.environ.get("LOCAL_RANK", "0"), 0)
    with_gpu = torch.cuda.is_available()
    if with_gpu and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    backend = "cpu:gloo,cuda:nccl" if with_gpu and dist.is_nccl_available() else "gloo"
    patience = timedelta(seconds=_timeout_seconds())
    group = None
    try:
        if ours:
            dist.init_process_group(backend, timeout=patience)
        else:
            group = dist.new_group(backend=backend, timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise ParallelError(
            f"process {place[0]} of {place[1]} found no other process at"
            f" {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')} ({_first_line(error)}): start all"
            " processes, and check that each can reach this address"
        ) from error
    _current = World(*place, local_rank, group)
    try:
        yield _current
    finally:
        _current = None
        dist.destroy_process_group(group)


def _place() -> tuple[int, int] | None:
    """Return rank and number of processes as set by torchrun; None if this process was started without it."""
    if not any(os.environ.get(name) for name in LAUNCHED[:2]):
        return None
    if missing := [name for name in LAUNCHED if not os.environ.get(name)]:
        given = next(name for name in LAUNCHED if name not in missing)
        raise InputError(
            f"{given} is set in the environment, but {' and '.join(missing)}"
            f" {'is' if len(missing) == 1 else 'are'} not: start with torchrun, which sets all"
            f" of {', '.join(LAUNCHED)}, or unset it to fit in one process"
        )
    size = _number("WORLD_SIZE", os.environ["WORLD_SIZE"], 1)
    rank = _number("RANK", os.environ["RANK"], 0)
    if rank >= size:
        raise InputError(f"RANK={rank} given, expected a number below WORLD_SIZE={size}")
    return rank, size


def _number(name: str, given: str, least: int) -> int:
    if not given.isdecimal() or int(given) < least:
        raise InputError(f"{name}={given!r} given, expected a whole number, {least} or more")
    return int(given)


def _timeout_seconds() -> float:
    given = os.environ.get(VARIABLE, "")
    try:
        seconds = float(given) if given else DEFAULT_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise InputError(f"{VARIABLE}={given!r} given, expected a number of seconds above 0")
    return seconds


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__
