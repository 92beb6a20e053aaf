"""Who does the work of a command: this process, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from topicnet.errors import InputError
from topicnet.workflows.config import FitConfig
from topicnet.workflows.engine import HERE, Engine


@contextmanager
def engine_of(config: FitConfig, among_others: bool = False) -> Iterator[Engine]:
    """The engine of a configuration, at hand inside the block.

    Raises
    ------
    InputError
        It cannot be had, or was asked for where torchrun has started this process among others.
    """
    if config.engine == "local":
        if config.workers is not None:
            raise InputError(
                f"--workers {config.workers} given without --engine ray: give both, or start with torchrun"
            )
        yield HERE
        return
    if among_others:
        raise InputError("--engine ray given to a process of torchrun: start it alone, Ray starts its workers itself")
    from topicnet.workflows.ray_engine import ray_engine

    with ray_engine(config) as engine:
        yield engine
