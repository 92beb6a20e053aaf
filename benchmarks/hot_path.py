"""Profile a training step: time per part, distance from the machine's limits, and comparison with another checkout.

Usage: python benchmarks/hot_path.py [--models etm,...] [--corpora 20ng,wide] [--steps 200] [--rounds 5]
           [--package DIR] [--clock wall|cpu]

For each corpus, with K = 50, default batches and sizes, and random initial weights:

- Parts: each part of a step is timed separately in every step; medians, with 10th percentiles in brackets. The backward
  pass is divided among the parts by torch's profiler (each node of the graph belongs to the part that created it, by
  its sequence number), and by kind of node. The profiler's proportions are scaled to the time measured without it.
- Limits: whole steps, timed in a subprocess, compared with a lower bound. The bound counts memory traffic at the GB/s
  of copying a large array: each parameter with its gradient and moments (9 passes over arrays of its size, or over the
  rows touched by a sparse gradient), topics and their gradient, p(w|d) of the product decoder, and 20 bytes per
  nonzero. It counts dense products at the GFLOP/s of a product of 1,024 x 1,024 matrices. Both rates are measured here
  with the same number of threads. "With gathers" adds the rows gathered at the nonzeros, which mostly come from the
  cache. Page faults are those without disk access; each takes a microsecond or two.
- Before and after: --package names a folder with another checkout's `topicnet` (from `git archive`). Whole steps of
  both are timed in alternating subprocesses, with equal batch sizes.

`--clock cpu` measures processor time of all threads instead of wall-clock time, which is more reliable if other work
shares the machine. Memory bandwidth and caches are still shared.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import (
    add_data,
    answer,
    ask,
    check_data,
    chosen,
    draw_documents,
    in_turn,
    load,
    low,
    machine,
    planted_topics,
)
from scipy.sparse import csr_matrix, load_npz, save_npz
from torch import Tensor, nn

from topicnet.core.sparse import SparseBatches
from topicnet.models import MODELS
from topicnet.runtime.threads import chosen_threads

Now = Callable[[], float]

N_TOPICS, RATE, WARM_STEPS = 50, 1e-4, 10
WIDE_WORDS, WIDE_DOCS, WIDE_TOKENS = 20_000, 6_000, 117  # number of tokens that gives 100 nonzeros
PROFILED_STEPS, COUNTED_STEPS = 20, 5
PARTS = ("encoder", "theta", "topics", "decoder", "divergence", "overlap", "loss")
PASSES_OF_A_PARAMETER = 9  # read; write gradient; Adam reads parameter, gradient, moments, writes all but one
NONZERO_BYTES = 20  # count, row, column, and column and position in the transpose
COPIED_FLOATS, PRODUCT_SIZE = 64_000_000, 1_024
MIN_FRACTION = 0.02  # fraction of the backward pass for a kind of node to have its own row
CPU = torch.device("cpu")
CLOCKS: dict[str, Now] = {"wall": time.perf_counter, "cpu": time.process_time}


def corpora(folder: Path) -> dict[str, Callable[[], csr_matrix]]:
    """Return functions that load each corpus, by name."""
    rng = np.random.default_rng(0)
    return {
        "20ng": lambda: load_npz(check_data(folder) / "20ng_etm_bow/tr.npz").tocsr(),
        "wide": lambda: draw_documents(planted_topics(N_TOPICS, WIDE_WORDS, rng), WIDE_DOCS, WIDE_TOKENS, rng),
    }


def untrained(name: str, counts: csr_matrix) -> Any:
    """Build a model's network for the corpus, in training mode."""
    torch.manual_seed(0)
    network = MODELS[name](N_TOPICS).build_network(counts.shape[1])
    totals = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() + 0.5
    network.set_corpus_statistics(
        torch.as_tensor(totals / totals.sum(), dtype=torch.float32), float(counts.sum()) / counts.shape[0]
    )
    return network.train()


def endless(name: str, counts: csr_matrix, size: int | None = None) -> Iterator[Any]:
    """Yield shuffled batches for ever, with `size` documents or the model's default batch size."""
    batches = SparseBatches(counts, size or MODELS[name](N_TOPICS).batch_size, CPU)
    rng = np.random.default_rng(0)
    while True:
        yield from batches.shuffled(rng)


def optimiser(name: str, network: nn.Module) -> Callable[[], None]:
    """Return the optimiser step of the imported checkout, which also drops the gradients."""
    decay = MODELS[name](N_TOPICS).weight_decay
    try:
        from topicnet.training.optimizer import Adam
    except ImportError:  # older checkouts use torch's Adam
        groups = [
            {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        whole = torch.optim.Adam(groups, lr=RATE, fused=True)

        def move() -> None:
            whole.step()
            whole.zero_grad(set_to_none=True)

        return move
    adam = Adam(network, decay, {})
    return lambda: adam.step(RATE)


def total(terms: dict[str, Tensor]) -> Tensor:
    """Sum the loss terms, each with full weight."""
    return torch.stack([value.mean() for value in terms.values()]).sum()


def whole_steps(request: dict[str, Any]) -> dict[str, Any]:
    """Time whole steps, including batches, of the topicnet imported here."""
    counts, name = load_npz(request["corpus"]).tocsr(), request["model"]
    now = CLOCKS[request["clock"]]
    seconds, nonzeros, faults = [], [], []
    with chosen_threads():
        network, batches = untrained(name, counts), endless(name, counts, request["batch"])
        move = optimiser(name, network)
        for _ in range(WARM_STEPS + request["steps"]):
            faults_before, began = page_faults(), now()
            batch = next(batches)
            total(network.terms(batch)).backward()
            move()
            seconds.append(now() - began)
            nonzeros.append(len(batch.counts))
            faults.append(page_faults() - faults_before)
    found = {"seconds": seconds, "nonzeros": nonzeros, "faults": faults}
    return {kind: values[WARM_STEPS:] for kind, values in found.items()}


def page_faults() -> int:
    """Return the number of page faults of this process that needed no disk access."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Clock:
    """Seconds of each part, and the graph's sequence number at its end."""

    def __init__(self, now: Now = time.perf_counter) -> None:
        self.now = now
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.ends: list[int] = []
        self.parts: list[str] = []
        self.start()

    def start(self) -> None:
        self.began = self.now()

    def __call__(self, part: str) -> None:
        self.seconds[part].append(self.now() - self.began)
        self.ends.append(torch.autograd._get_sequence_nr())
        self.parts.append(part)
        self.start()

    def part_of(self, sequence: int) -> str:
        """Return the part that created a node of the graph; nodes that accumulate gradients have a negative number."""
        return "gradient accumulation" if sequence < 0 else self.parts[bisect.bisect_right(self.ends, sequence)]


def split_terms(network: Any, batch: Any, clock: Clock) -> dict[str, Tensor]:
    """Compute the terms of a batch like `TopicNetwork.terms`, timing each part."""
    from topicnet.models.network import topic_overlap

    clock.start()
    q = network.encode(batch)
    clock("encoder")
    z = q.sample()
    theta = network.theta(z)
    noisy = theta if network.theta_noise is None else network.theta_noise(theta, batch.noise)
    clock("theta")
    topics = network.topics()
    clock("topics")
    reconstruction = -network.decoder.log_likelihood(noisy, topics, batch)
    clock("decoder")
    divergence = network.divergence(q, z, batch)
    clock("divergence")
    overlap = network.mean_length * topic_overlap(topics.beta)
    clock("overlap")
    return {"reconstruction": reconstruction, network.divergence_name: divergence, "overlap": overlap}


def check_split_terms(network: Any, batch: Any) -> None:
    """Exit if `split_terms` does not match the network."""
    given, here = network.terms(batch), split_terms(network, batch, Clock())
    if list(given) != list(here) or not all(torch.equal(given[name], here[name]) for name in given):
        raise SystemExit("split_terms() and TopicNetwork.terms differ: update split_terms()")


def time_parts(name: str, counts: csr_matrix, steps: int, now: Now) -> dict[str, list[float]]:
    """Time each part of each step."""
    network, batches, clock = untrained(name, counts), endless(name, counts), Clock(now)
    move = optimiser(name, network)
    check_split_terms(network, next(batches))
    for _ in range(WARM_STEPS + steps):
        clock.start()
        batch = next(batches)
        clock("batch")
        loss = total(split_terms(network, batch, clock))
        clock("loss")
        loss.backward()
        clock("backward")
        move()
        clock("optimiser")
    return {part: values[-steps:] for part, values in clock.seconds.items()}


def profile_backward(name: str, counts: csr_matrix) -> tuple[dict[str, float], dict[str, float]]:
    """Return the fraction of the backward pass for each part, and for each kind of node."""
    network, batches, clock = untrained(name, counts), endless(name, counts), Clock()
    move = optimiser(name, network)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler's start and end messages
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(PROFILED_STEPS):
            loss = total(split_terms(network, next(batches), clock))
            clock("loss")
            loss.backward()
            move()
    parts: dict[str, float] = defaultdict(float)
    kinds: dict[str, float] = defaultdict(float)
    prefix = "autograd::engine::evaluate_function: "
    for event in profile.events():
        if event.name.startswith(prefix):
            part, kind = clock.part_of(event.sequence_nr), event.name.removeprefix(prefix).rpartition("::")[2]
            parts[part] += event.cpu_time_total
            kinds[f"{part}: {kind}"] += event.cpu_time_total
    everything = sum(parts.values())
    return ({n: v / everything for n, v in parts.items()}, {n: v / everything for n, v in kinds.items()})


@dataclass(frozen=True)
class Work:
    """Minimum work of a step: bytes of memory traffic, bytes gathered at nonzeros, operations of dense products."""

    parameters: float
    topics: float
    nonzeros: float
    gathered: float
    operations: float

    @property
    def moved(self) -> float:
        return self.parameters + self.topics + self.nonzeros


def work_of(name: str, counts: csr_matrix) -> Work:
    """Measure the minimum work of a step, as the mean over a few steps."""
    from torch.utils.flop_counter import FlopCounterMode

    def in_place(into: Any, left: Any, right: Any, **_: Any) -> int:
        return 2 * left[0] * left[1] * right[1]

    network, batches = untrained(name, counts), endless(name, counts)
    move = optimiser(name, network)
    found = []
    for _ in range(COUNTED_STEPS):
        batch = next(batches)
        with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
            total(network.terms(batch)).backward()
        entries = [p.grad._values() if p.grad.is_sparse else p.grad for p in network.parameters() if p.grad is not None]
        n_words, n_docs, n_nonzeros = counts.shape[1], batch.n_docs, len(batch.counts)
        per_topic, of_documents = (3, 0) if network.decoder.mixes else (2, 2)
        width = network.encoder.input.weight.shape[1]
        found.append(
            [
                4 * PASSES_OF_A_PARAMETER * sum(entry.numel() for entry in entries),
                4 * (4 * N_TOPICS * n_words + of_documents * n_docs * n_words),
                2 * NONZERO_BYTES * n_nonzeros,
                4 * n_nonzeros * (2 * width + per_topic * N_TOPICS),
                counter.get_total_flops(),
            ]
        )
        move()
    return Work(*np.mean(found, axis=0))


def machine_limits(now: Now) -> tuple[float, float]:
    """Measure bytes per second of a copy (reads plus writes) and operations per second of a dense product."""
    source, target = torch.ones(COPIED_FLOATS), torch.empty(COPIED_FLOATS)
    a, b = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE), torch.ones(PRODUCT_SIZE, PRODUCT_SIZE)
    into = torch.empty(PRODUCT_SIZE, PRODUCT_SIZE)
    works = {"copy": lambda: target.copy_(source), "product": lambda: torch.mm(a, b, out=into)}
    in_turn(works, 2)
    seconds = in_turn(works, 15, now)
    return 8 * COPIED_FLOATS / low(seconds["copy"]), 2 * PRODUCT_SIZE**3 / low(seconds["product"])


def ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.2f} ({1e3 * low(seconds):.2f})"


def show_parts(names: list[str], counts: csr_matrix, steps: int, now: Now) -> None:
    """Print tables of the parts of a step and of the kinds of nodes of the backward pass."""
    timed, shares, kinds = {}, {}, {}
    for name in names:
        timed[name] = time_parts(name, counts, steps, now)
        shares[name], kinds[name] = profile_backward(name, counts)
    print(f"\n| ms per step: median (10th percentile) | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for part in ("batch", *PARTS):
        print(f"| {part} | {' | '.join(ms(timed[name][part]) for name in names)} |")
    print(f"| backward | {' | '.join(ms(timed[name]['backward']) for name in names)} |")
    backward = {name: 1e3 * statistics.median(timed[name]["backward"]) for name in names}
    for part in (*PARTS, "gradient accumulation"):
        print(f"| - in {part} | {' | '.join(f'{backward[n] * shares[n].get(part, 0):.2f}' for n in names)} |")
    print(f"| optimiser | {' | '.join(ms(timed[name]['optimiser']) for name in names)} |")
    sums = {name: [sum(step) for step in zip(*timed[name].values(), strict=True)] for name in names}
    print(f"| **total** | {' | '.join(ms(sums[name]) for name in names)} |")
    rows = [kind for name in names for kind, share in kinds[name].items() if share >= MIN_FRACTION]
    print(f"\n| ms of backward by part and kind of node | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for kind in sorted(set(rows), key=lambda kind: -max(kinds[name].get(kind, 0) for name in names)):
        print(f"| {kind} | {' | '.join(f'{backward[n] * kinds[n].get(kind, 0):.2f}' for n in names)} |")
    rest = {name: sum(share for kind, share in kinds[name].items() if kind not in rows) for name in names}
    print(f"| all others | {' | '.join(f'{backward[name] * rest[name]:.2f}' for name in names)} |", flush=True)


@dataclass(frozen=True)
class Whole:
    """Whole steps of one package: seconds of each, mean nonzeros and page faults."""

    seconds: list[float]
    nonzeros: float
    faults: float

    @property
    def rate(self) -> float:
        """Millions of nonzeros per second."""
        return self.nonzeros / statistics.median(self.seconds) / 1e6


def take_turns(request: dict[str, Any], packages: list[Path | None], rounds: int) -> list[Whole]:
    """Time whole steps of each package in alternation."""
    answers = [[ask(__file__, request, package) for package in packages] for _ in range(rounds)]
    found = []
    for given in zip(*answers, strict=True):
        every = {kind: [value for one in given for value in one[kind]] for kind in given[0]}
        found.append(Whole(every["seconds"], statistics.mean(every["nonzeros"]), statistics.mean(every["faults"])))
    return found


def show_limits(
    names: list[str], counts: csr_matrix, request: dict[str, Any], packages: list[Path | None], rounds: int
) -> None:
    """Print tables of whole steps compared with the machine's limits and with another checkout."""
    now = CLOCKS[request["clock"]]
    limits = [machine_limits(now)]
    found = {
        name: take_turns(request | {"model": name, "batch": MODELS[name](N_TOPICS).batch_size}, packages, rounds)
        for name in names
    }
    limits.append(machine_limits(now))
    copied, multiplied = (max(values) for values in zip(*limits, strict=True))
    print(
        f"\nlimits with {torch.get_num_threads()} thread(s): {copied / 1e9:.1f} GB/s copied,"
        f" {multiplied / 1e9:.0f} GFLOP/s in products of {PRODUCT_SIZE:,} x {PRODUCT_SIZE:,}\n"
    )
    print(
        "| model | step, ms | parameters, MB | topics, MB | nonzeros, MB | gathered, MB | dense MFLOP | bound, ms"
        " | bound / step | with gathers | page faults | steps/s | million nonzeros/s |\n|" + 13 * "---|"
    )
    for name in names:
        here, work = found[name][0], work_of(name, counts)
        least = work.moved / copied + work.operations / multiplied
        cells = [
            name, ms(here.seconds), f"{work.parameters / 1e6:.1f}", f"{work.topics / 1e6:.1f}",
            f"{work.nonzeros / 1e6:.1f}", f"{work.gathered / 1e6:.1f}", f"{work.operations / 1e6:.0f}",
            f"{1e3 * least:.2f}", f"{least / low(here.seconds):.0%}",
            f"{(least + work.gathered / copied) / low(here.seconds):.0%}", f"{here.faults:.0f}",
            f"{1 / statistics.median(here.seconds):.0f}", f"{here.rate:.2f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)
    if len(packages) == 1:
        return
    print("\n| model | before, ms | after, ms | speed-up | at the 10th percentile |", end="")
    print(" million nonzeros/s before | after | page faults before | after |\n|" + 9 * "---|")
    for name, (after, before) in found.items():
        ratios = [
            statistics.median(before.seconds) / statistics.median(after.seconds),
            low(before.seconds) / low(after.seconds),
        ]
        numbers = [f"{value:.2f}" for value in (*ratios, before.rate, after.rate)]
        cells = [name, ms(before.seconds), ms(after.seconds), *numbers, f"{before.faults:.0f}", f"{after.faults:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--corpora", default="20ng,wide")
    parser.add_argument("--steps", type=int, default=200, help="Steps per round.")
    parser.add_argument("--rounds", type=int, default=5, help="Number of subprocesses.")
    parser.add_argument("--package", type=Path, help="Folder with another checkout's topicnet.")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--request", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.request is not None:
        answer(whole_steps(json.loads(arguments.request)))
        return
    if arguments.package is not None and not (arguments.package / "topicnet" / "__init__.py").is_file():
        raise SystemExit(f"--package {arguments.package} given, expected a folder that holds topicnet/__init__.py")
    known = corpora(arguments.data)
    names = chosen(arguments.models, MODELS, "--models")
    asked = chosen(arguments.corpora, known, "--corpora")
    packages = [None] if arguments.package is None else [None, arguments.package]
    now = CLOCKS[arguments.clock]
    print(f"{machine()}; {arguments.clock} clock")
    for corpus in asked:
        counts = known[corpus]()
        print(
            f"\n{corpus}: {counts.shape[0]:,} documents, {counts.shape[1]:,} words,"
            f" {counts.nnz / counts.shape[0]:.0f} nonzeros per document, K = {N_TOPICS};"
            f" {arguments.rounds} subprocesses with {arguments.steps} steps each"
        )
        with tempfile.TemporaryDirectory() as folder, chosen_threads():
            request = {"corpus": f"{folder}/counts.npz", "steps": arguments.steps, "clock": arguments.clock}
            save_npz(request["corpus"], counts, compressed=False)
            show_parts(names, counts, arguments.steps, now)
            show_limits(names, counts, request, packages, arguments.rounds)
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
