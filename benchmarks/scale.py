"""Scale: time and memory of a fit as documents, words and topics grow, each over its range.

Usage: python benchmarks/scale.py [--laws D,V,K] [--models etm,nvdm-gsm] [--repeats 3] [--figures DIR] [--quick]

The corpora are drawn from LDA with as many topics as are fitted, 50 tokens a document, words by Zipf's law. D goes from
10^4 to 10^6 (V = 5,000, K = 50), V from 2,000 to 200,000 and K from 10 to 1,000 (D = 20,000, V = 5,000). Each fit is a
process of its own, for two epochs, and repeats go round all the points of a law. Medians of the repeats: seconds of the
EM start (its clustering included), of the teaching, of an epoch (its validation included) and of it per nonzero of the
corpus, of the whole fit; the peak of the process' memory beside what `topicnet.models.cost_estimate` says before the
fit.

Time is to be linear in the nonzeros within 20 %: the largest deviation of an epoch's seconds, over the law of D, from
the line through the origin that fits best in ratio. K = 1,000 is to train: the loss falls and stays finite.
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
    "start": "EM start, s", "warm_up": "encoder warm-up, s", "epoch": "an epoch, s", "nanoseconds": "ns a nonzero",
    "seconds": "whole fit, s", "peak_mb": "peak, MB", "forecast_mb": "forecast, MB",
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Of a corpus, and the topics it is drawn from and fitted with."""

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
    """What one fit takes, in this process."""
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
    """Draw a corpus and write it down."""
    rng = np.random.default_rng(0)
    save_npz(path, draw_documents(planted_topics(size.K, size.V, rng), size.D, TOKENS, rng), compressed=False)


def run_law(sizes: Sequence[Size], names: Sequence[str], repeats: int) -> dict[str, list[list[dict[str, Any]]]]:
    """Of each model, for each size, the answer of every repeat."""
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
    """The table of a law and what there is to say of it."""
    fixed = ", ".join(f"{name} = {getattr(sizes[0], name):,}" for name in TITLES if name != law)
    print(f"\n{TITLES[law]} ({fixed}; {repeats} repeats)\n")
    print(f"| model | {law} | nonzeros | {' | '.join(SCORES.values())} | peak / forecast |\n|{'---|' * 11}")
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
            middle = line_through_origin(ratios)
            away = ratios / middle - 1
            worst = int(np.argmax(abs(away)))
            sound = "PASS" if abs(away[worst]) <= WITHIN else "miss"
            print(
                f"{name}: {middle:.0f} ns a nonzero and epoch; furthest from that at D = {sizes[worst].D:,}:"
                f" {away[worst]:+.1%}, asked at most {WITHIN:.0%} either way: {sound}"
            )
        for size, answers in zip(sizes, points, strict=True):
            if size.K >= MANY_TOPICS:
                trained = all(answer["trained"] for answer in answers)
                print(f"{name}, K = {size.K:,} trains: {'PASS' if trained else 'miss'} ({answers[0]['health']})")
    ratios = [median(a, "peak_mb") / median(a, "forecast_mb") for points in found.values() for a in points]
    print(f"memory: {min(ratios):.2f} to {max(ratios):.2f} of what was stated", flush=True)


def line_through_origin(ratios: np.ndarray) -> float:
    """The slope from which the ratios of y to x stay least far, in ratio: in the middle of the least and the most."""
    return float((ratios.min() + ratios.max()) / 2)


def draw(
    path: Path, law: str, sizes: Sequence[Size], found: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
) -> None:
    """Seconds of the stages, beside them memory measured and stated, over what grows."""
    from plotly.subplots import make_subplots

    from topicnet.experiments.figures import COLOURS, LAYOUT, write_figure

    titles = ["seconds: EM start, teaching, an epoch", "peak memory, MB (dotted: forecast)"]
    figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    lines = [
        ("an epoch", "epoch", 1, "solid"),
        ("EM start", "start", 1, "dash"),
        ("encoder warm-up", "warm_up", 1, "dot"),
    ]
    lines += [("peak", "peak_mb", 2, "solid"), ("forecast", "forecast_mb", 2, "dot")]
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
                name=f"{name}, {slope:.0f} ns a nonzero", line={"color": "#999999", "width": 1},
            )  # fmt: skip
    figure.update_xaxes(type="log", title_text="nonzeros" if law == "D" else f"{TITLES[law]}, {law}")
    figure.update_yaxes(type="log")
    fixed = ", ".join(f"{name} = {getattr(sizes[0], name):,}" for name in TITLES if name != law)
    figure.update_layout(title_text=f"A fit as {TITLES[law]} grow ({fixed})", **LAYOUT)
    write_figure(path, figure)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", default=",".join(LAWS))
    parser.add_argument("--models", default="etm,nvdm-gsm")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figures", type=Path, help="A folder for a figure of each law, HTML.")
    parser.add_argument("--quick", action="store_true", help="Small sizes: to see that everything runs.")
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
    print(f"{EPOCHS} epochs a fit, {TOKENS} tokens a document")
    for law in laws:
        sizes = (QUICK_LAWS if arguments.quick else LAWS)[law]
        found = run_law(sizes, names, arguments.repeats)
        show(law, sizes, found, arguments.repeats)
        if arguments.figures is not None:
            draw(arguments.figures / f"scale-{law}.html", law, sizes, found)
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
