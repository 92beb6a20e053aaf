"""Measure time and memory of a fit as the number of documents, words or topics grows.

Usage: python benchmarks/scale.py [--laws D,V,K] [--models etm,nvdm-gsm] [--repeats 3] [--figures DIR] [--quick]

The corpora are drawn from LDA with K topics, 50 tokens per document and Zipf-distributed words. D ranges from 10^4 to
10^6 (V = 5,000, K = 50), V from 2,000 to 200,000, and K from 10 to 1,000 (D = 20,000, V = 5,000). Each fit runs for two
epochs in a subprocess, and each repeat goes through all sizes of a series. Prints medians of the repeats: seconds of
the EM start (including clustering), of the encoder warm-up, of an epoch (including validation, also per nonzero) and of
the whole fit, and peak memory compared with the estimate of `topicnet.models.cost_estimate`.

Targets: time is linear in the nonzeros within 20 %, measured as the largest relative deviation of an epoch's seconds,
over the series of D, from the best-fitting line through the origin. With K = 1,000 the loss decreases and stays finite.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import answer, ask, chosen, draw_documents, load, machine, planted_topics
from scipy.sparse import load_npz, save_npz
from tasks import measured

from topicnet.models import MODELS
from topicnet.training.progress import Progress

EPOCHS, TOKENS, WITHIN = 2, 50, 0.20
MANY_TOPICS = 1_000
TITLES = {"D": "documents", "V": "words", "K": "topics"}
SCORES = {
    "start": "EM start, s", "warm_up": "encoder warm-up, s", "epoch": "epoch, s", "nanoseconds": "ns per nonzero",
    "seconds": "whole fit, s", "peak_mb": "peak, MB", "forecast_mb": "estimate, MB",
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Number of documents, words and topics of a corpus."""

    D: int
    V: int
    K: int


LAWS = {
    "D": [Size(n, 5_000, 50) for n in (10_000, 30_000, 100_000, 300_000, 1_000_000)],
    "V": [Size(20_000, n, 50) for n in (2_000, 5_000, 20_000, 50_000, 200_000)],
    "K": [Size(20_000, 5_000, n) for n in (10, 30, 100, 300, 1_000)],
}
QUICK_LAWS = {
    "D": [Size(n, 1_000, 10) for n in (2_000, 4_000)],
    "V": [Size(2_000, n, 10) for n in (1_000, 4_000)],
    "K": [Size(2_000, 1_000, n) for n in (10, 30)],
}


def fit(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one fit in this process; returns its cost."""
    from topicnet.models.cost_estimate import forecast

    counts = load_npz(request["corpus"]).tocsr()
    model = MODELS[request["model"]](request["K"], max_epochs=EPOCHS, random_state=request["seed"], device="cpu")
    stated = forecast(model, counts, tables=False).memory_bytes
    stages: dict[str, float] = {}
    epochs: list[float] = []

    def listen(progress: Progress) -> None:
        if progress.stage != "train":
            stages[progress.stage] = progress.seconds
        elif "seconds" in progress.values:
            epochs.append(progress.values["seconds"])

    with measured() as cost:
        model.fit(counts, listener=listen)
    losses = [row["loss"] for row in model.history_]
    return {
        "nonzeros": counts.nnz,
        "start": stages["start"],
        "warm_up": stages["warm-up"],
        "epoch": statistics.median(epochs),
        "nanoseconds": 1e9 * statistics.median(epochs) / counts.nnz,
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "forecast_mb": stated / 1e6,
        "trained": model.stopped_ == "done" and all(map(math.isfinite, losses)) and losses[-1] < losses[0],
        "health": model.health_.line(),
    }


def save_corpus(path: Path, size: Size) -> None:
    """Draw a corpus and save it."""
    rng = np.random.default_rng(0)
    save_npz(path, draw_documents(planted_topics(size.K, size.V, rng), size.D, TOKENS, rng), compressed=False)


def run_law(sizes: Sequence[Size], names: Sequence[str], repeats: int) -> dict[str, list[list[dict[str, Any]]]]:
    """Run the fits of a series; returns the results by model, size and repeat."""
    found: dict[str, list[list[dict[str, Any]]]] = {name: [[] for _ in sizes] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{at}.npz" for at in range(len(sizes))]
        for path, size in zip(paths, sizes, strict=True):
            save_corpus(path, size)
        for seed in range(repeats):
            for at, (path, size) in enumerate(zip(paths, sizes, strict=True)):
                for name in names:
                    request = {"corpus": str(path), "model": name, "K": size.K, "seed": seed}
                    found[name][at].append(ask(__file__, request))
    return found


def median(answers: Sequence[Mapping[str, Any]], score: str) -> float:
    return statistics.median(answer[score] for answer in answers)


def show(
    law: str, sizes: Sequence[Size], found: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], repeats: int
) -> None:
    """Print the table of a series, and the results against the targets."""
    fixed = ", ".join(f"{name} = {getattr(sizes[0], name):,}" for name in TITLES if name != law)
    print(f"\n{TITLES[law]} ({fixed}; {repeats} repeats)\n")
    print(f"| model | {law} | nonzeros | {' | '.join(SCORES.values())} | peak / estimate |\n|{'---|' * 11}")
    for name, points in found.items():
        for size, answers in zip(sizes, points, strict=True):
            values = {score: median(answers, score) for score in SCORES}
            cells = [f"{value:.2f}" if value < 100 else f"{value:,.0f}" for value in values.values()]
            ratio = values["peak_mb"] / values["forecast_mb"]
            nonzeros = median(answers, "nonzeros")
            row = [name, f"{getattr(size, law):,}", f"{nonzeros:,.0f}", *cells, f"{ratio:.2f}"]
            print(f"| {' | '.join(row)} |")
    print()
    for name, points in found.items():
        if law == "D":
            ratios = np.array([median(answers, "nanoseconds") for answers in points])
            slope = line_through_origin(ratios)
            deviations = ratios / slope - 1
            worst = int(np.argmax(abs(deviations)))
            result = "PASS" if abs(deviations[worst]) <= WITHIN else "miss"
            print(
                f"{name}: {slope:.0f} ns per nonzero and epoch; largest deviation at D = {sizes[worst].D:,}:"
                f" {deviations[worst]:+.1%}, target at most {WITHIN:.0%}: {result}"
            )
        for size, answers in zip(sizes, points, strict=True):
            if size.K >= MANY_TOPICS:
                trained = all(answer["trained"] for answer in answers)
                print(f"{name}, K = {size.K:,} trains: {'PASS' if trained else 'miss'} ({answers[0]['health']})")
    ratios = [median(a, "peak_mb") / median(a, "forecast_mb") for points in found.values() for a in points]
    print(f"memory: {min(ratios):.2f} to {max(ratios):.2f} of the estimate", flush=True)


def line_through_origin(ratios: np.ndarray) -> float:
    """Return the slope with the smallest maximum deviation from the ratios of y to x, halfway between the extremes."""
    return float((ratios.min() + ratios.max()) / 2)


def draw(
    path: Path, law: str, sizes: Sequence[Size], found: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
) -> None:
    """Plot seconds of the stages, and measured and estimated memory, against the size that varies."""
    from plotly.subplots import make_subplots

    from topicnet.experiments.figures import COLOURS, LAYOUT, write_figure

    titles = ["seconds: EM start, encoder warm-up, epoch", "peak memory, MB (dotted: estimate)"]
    figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    lines = [
        ("epoch", "epoch", 1, "solid"),
        ("EM start", "start", 1, "dash"),
        ("encoder warm-up", "warm_up", 1, "dot"),
    ]
    lines += [("peak", "peak_mb", 2, "solid"), ("estimate", "forecast_mb", 2, "dot")]
    for colour, (name, points) in zip(COLOURS, found.items(), strict=False):
        x = [
            median(answers, "nonzeros") if law == "D" else getattr(size, law)
            for size, answers in zip(sizes, points, strict=True)
        ]
        for title, score, column, dash in lines:
            figure.add_scatter(
                x=x, y=[median(answers, score) for answers in points], row=1, col=column, mode="lines+markers",
                name=f"{name}, {title}", line={"color": colour, "dash": dash},
            )  # fmt: skip
        if law == "D":
            slope = line_through_origin(np.array([median(answers, "nanoseconds") for answers in points]))
            figure.add_scatter(
                x=x, y=[1e-9 * slope * value for value in x], row=1, col=1, mode="lines",
                name=f"{name}, {slope:.0f} ns per nonzero", line={"color": "#999999", "width": 1},
            )  # fmt: skip
    figure.update_xaxes(type="log", title_text="nonzeros" if law == "D" else f"{TITLES[law]}, {law}")
    figure.update_yaxes(type="log")
    fixed = ", ".join(f"{name} = {getattr(sizes[0], name):,}" for name in TITLES if name != law)
    figure.update_layout(title_text=f"Cost of a fit by number of {TITLES[law]} ({fixed})", **LAYOUT)
    write_figure(path, figure)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", default=",".join(LAWS))
    parser.add_argument("--models", default="etm,nvdm-gsm")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figures", type=Path, help="Folder for one HTML figure per series.")
    parser.add_argument("--quick", action="store_true", help="Use small sizes to test that everything runs.")
    parser.add_argument("--request", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.request is not None:
        answer(fit(json.loads(arguments.request)))
        return
    names = chosen(arguments.models, MODELS, "--models")
    laws = chosen(arguments.laws, LAWS, "--laws")
    if arguments.figures is not None:
        arguments.figures.mkdir(parents=True, exist_ok=True)
    print(machine())
    print(f"{EPOCHS} epochs per fit, {TOKENS} tokens per document")
    for law in laws:
        sizes = (QUICK_LAWS if arguments.quick else LAWS)[law]
        found = run_law(sizes, names, arguments.repeats)
        show(law, sizes, found, arguments.repeats)
        if arguments.figures is not None:
            draw(arguments.figures / f"scale-{law}.html", law, sizes, found)
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
