"""Several processes that fit one model together: the only place that touches torch.distributed.

Each process has a share of every batch. What they learn from it is summed before a step, so that all make the same
step, and hold the same weights to the bit. Whatever is decided or measured once is the first process's, which tells
the others.
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
DEFAULT_SECONDS = 1800.0  # the others wait so long for the first while it makes a start
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
BUCKET_ENTRIES = 2**22  # summed at a time, 16 MB: while one is under way the next is filled

T = TypeVar("T")
_joined: World | None = None


@dataclass(frozen=True)
class World:
    """The processes that fit together, as one of them sees them.

    All of its methods are meetings: every process has to come, in the same order.

    Attributes
    ----------
    rank, size : int
        Which process this is, from 0, and of how many.
    local_rank : int
        Which it is on its machine: the number of its GPU.
    group : ProcessGroup or None
        Theirs; None is that of all processes.
    """

    rank: int
    size: int
    local_rank: int = 0
    group: Any = None

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the process that decides, prints and writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add up the values of all processes, in their place, and return them."""
        with self._collective():
            dist.all_reduce(values, group=self.group)
        return values

    def any(self, mine: bool) -> bool:
        """Whether it is so for any process."""
        return bool(self.sum(torch.tensor(int(mine))))

    def wait(self) -> None:
        """Wait until every process is here, or one has ended."""
        with suppress(ParallelError):
            self.any(False)

    def gather(self, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """The rows (sizes[rank], ...) of all processes, one below another; no gradient flows."""
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        with self._collective():
            dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @torch.no_grad()
    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors by those of the first process."""
        with self._collective():
            for tensor in tensors:
                dist.broadcast(tensor, self._first, group=self.group)

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all of them.

        Parameters
        ----------
        make : callable
            Called on the first process alone; gives JSON values, with tensors among them if need be, which come to the
            others on the CPU. A `TopicnetError` it raises is raised on all.
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
        """Raise InputError, on all processes, unless all were given the same JSON values."""
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).digest()
        rows = self.gather(torch.tensor([list(digest)], dtype=torch.uint8), [1] * self.size)
        other = [rank for rank, row in enumerate(rows.tolist()) if row != rows[0].tolist()]
        if other:
            raise InputError(
                f"process {other[0]} of {self.size} was given other {what} than process 0: give all the same"
            )

    def sum_gradients(self, network: nn.Module, tally: Tensor) -> Tensor:
        """Put the sums over all processes in the place of the gradients of a network.

        Gradients that are sparse in rows stay so, with the rows that any process has.

        Parameters
        ----------
        tally : Tensor
            (n,) further numbers to add up, which so need no meeting of their own.

        Returns
        -------
        Tensor
            (n,) their sums.
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
        """The rows (n,) that the gradient of any process has, and this one's values there (n, H)."""
        mine, values = gradient._indices()[0], gradient._values()
        touched = torch.zeros(gradient.shape[0], dtype=torch.uint8, device=gradient.device)
        touched[mine] = 1
        with self._collective():
            dist.all_reduce(touched, op=dist.ReduceOp.MAX, group=self.group)
        rows = touched.nonzero().ravel()
        spaced = values.new_zeros(len(rows), values.shape[1])
        return rows, spaced.index_copy_(0, torch.searchsorted(rows, mine), values)

    def _sums(self, summands: list[Tensor]) -> list[Tensor]:
        """The sums of tensors, in few and large pieces."""
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
        """Return the JSON values of rank zero on all ranks; those of the others are ignored."""
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
        except RuntimeError as error:  # of torch and of its back ends, whatever is the matter
            raise ParallelError(
                f"process {self.rank} of {self.size} lost the others ({_first_line(error)}): one has ended, and says"
                " why, or was silent for too long; start them all again, with --resume where there are checkpoints"
            ) from error


def current() -> World | None:
    """The processes that a fit begun now is shared with; None outside `distributed`, or where there is one process."""
    return _joined


def is_rank_zero() -> bool:
    """Whether this process prints and writes: where several share a fit, the first alone."""
    return _joined is None or _joined.is_rank_zero


def on_rank_zero(world: World | None, make: Callable[[], T]) -> T:
    """What the first process makes, for all of them (`World.from_first`); without others, what this one makes."""
    return make() if world is None else world.from_first(make)


@contextmanager
def distributed() -> Iterator[World | None]:
    """Share the fits inside the block with the other processes that torchrun started.

    Every process has to make the same fits of the same documents, in the same order. Without torchrun, or with one
    process, nothing changes. A process group that the caller has initialised is used, and left as it was.

    Yields
    ------
    World or None
        None where this process is alone.

    Raises
    ------
    InputError
        Some of torchrun's environment variables are set, but not all, or they are no such numbers.
    ParallelError
        The others do not come, or leave before the fit is done.
    """
    global _joined
    ours = not (dist.is_available() and dist.is_initialized())
    place = _place() if ours else (dist.get_rank(), dist.get_world_size())
    if place is None or place[1] == 1 or _joined is not None:
        yield _joined
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
            f"process {place[0]} of {place[1]} found no others at"
            f" {os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')} ({_first_line(error)}): start all of"
            " them, and see that this address can be reached from each"
        ) from error
    _joined = World(*place, local_rank, group)
    try:
        yield _joined
    finally:
        _joined = None
        dist.destroy_process_group(group)


def _place() -> tuple[int, int] | None:
    """Rank and number of processes, as torchrun gives them; None if this process was started alone."""
    if not any(os.environ.get(name) for name in LAUNCHED[:2]):
        return None
    if missing := [name for name in LAUNCHED if not os.environ.get(name)]:
        given = next(name for name in LAUNCHED if name not in missing)
        raise InputError(
            f"{given} is set in the environment, but {' and '.join(missing)} not: start with torchrun, which sets all"
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
