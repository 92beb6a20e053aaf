"""Measure quality against seconds of every model, EM alone, tomotopy and scikit-learn on `20ng_etm_bow`, K = 50.

Usage: python benchmarks/time_to_quality.py [--seeds 3] [--models etm,...] [--out FILE.html] [--quick]

Each model runs with its default number of epochs, with 1, 2 and 4 epochs if that is fewer, and with three times the
default. EM alone, the start of all models, runs for 5 to 100 passes. tomotopy (2 workers) runs for 50 to 1,000
iterations and is scored at intermediate points, with the clock stopped. scikit-learn's online LDA (batches of 1,000,
the best of those tried) runs for 1, 5 and 10 passes. Seconds are those of the fit. The systems alternate seed by seed,
in reverse order for every second seed.

Scores are NPMI of the top 10 words on the training documents, topic diversity of the top 25, and document-completion
perplexity "as inferred" (by the encoder; by tomotopy's infer with 100 iterations; by scikit-learn's transform) and
"refined" by 20 MAP-EM steps on theta from there (from uniform for EM alone). Medians over the seeds. A point is on a
Pareto front if no faster one is as good: "Q" by NPMI x TD, "P" by the lower perplexity. The figure (--out) shows both.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import add_data, check_data, chosen, load, machine
from models import CPU, EM_PSEUDO_COUNTS, infer, neural
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from tasks import Cost, Fitted, Task, measured, read_20ng

from topicnet.core.em import encoder_pseudo_counts, fit_mixture, refine_theta
from topicnet.core.sparse import SparseBatches
from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.evaluate.perplexity import document_completion
from topicnet.models import MODELS
from topicnet.models.fitting import VALIDATION_DOCS
from topicnet.runtime.threads import chosen_threads

EPOCHS, LONGER = (1, 2, 4), 3
EM_PASSES = (5, 10, 20, 40, 60, 100)
GIBBS, GIBBS_INFER, WORKERS = (50, 100, 200, 500, 1000), 100, 2
ONLINE_PASSES = (1, 5, 10)
REFINED = 20
WARM_DOCS = 500
QUARTER = 0.25  # target: fraction of tomotopy's time
WLDA_NPMI, WLDA_TD, WLDA_SECONDS = 0.33, 0.80, 6.0

Points = Callable[[Task, int], Iterator[tuple[str, Fitted]]]  # maps task and seed to budgets and the fits within them


@dataclass(frozen=True)
class Point:
    """Cost and scores of one fit; NaN for a perplexity that does not apply."""

    seconds: float
    npmi: float
    diversity: float
    inferred: float
    refined: float

    @property
    def quality(self) -> float:
        return self.npmi * self.diversity

    @property
    def perplexity(self) -> float:
        """The lower of both perplexities."""
        return float(np.nanmin([self.inferred, self.refined]))

    @classmethod
    def of(cls, task: Task, fitted: Fitted) -> Point:
        words = top_words(fitted.beta, 25)
        coherence = float(npmi(words[:, :10], task.train).mean())
        return cls(fitted.cost.seconds, coherence, topic_diversity(words), fitted.perplexity, fitted.refined)

    @classmethod
    def median(cls, points: Sequence[Point]) -> Point:
        return cls(*np.median([list(vars(point).values()) for point in points], axis=0).tolist())


def default_epochs(name: str, task: Task) -> int:
    """Return the maximum number of epochs of a model with default settings."""
    settings = MODELS[name](task.n_topics).settings(seed=0)
    n_docs = int((np.diff(task.train.indptr) > 0).sum())
    n_docs -= min(VALIDATION_DOCS[1], int(settings.validation_fraction * n_docs))
    return settings.epochs(-(-n_docs // settings.batch_size))


def neural_points(name: str, epochs: Sequence[int | None]) -> Points:
    """Fit a model with several numbers of epochs; None is its default."""

    def points(task: Task, seed: int) -> Iterator[tuple[str, Fitted]]:
        usual = default_epochs(name, task)
        for given in epochs:
            label = f"{usual} epochs (default)" if given is None else f"{given} epochs"
            yield label, neural(name, max_epochs=given)(task, seed)

    return points


def em_points(passes: Sequence[int]) -> Points:
    def points(task: Task, seed: int) -> Iterator[tuple[str, Fitted]]:
        counts = task.train.astype(np.float32)
        for n_passes in passes:
            with chosen_threads():
                with measured() as cost:
                    found = fit_mixture(counts, task.n_topics, n_passes, np.random.default_rng(seed), CPU)
                thetas = [infer(found.beta, task.first, pseudo_count) for pseudo_count in EM_PSEUDO_COUNTS]
            beta = found.beta.double().numpy()
            best = min(completion(theta, beta, task) for theta in thetas)
            yield f"{n_passes} passes", Fitted(beta, found.theta.double().numpy(), np.nan, best, cost)

    return points


def completion(theta: NDArray[np.float64], beta: NDArray[np.float64], task: Task) -> float:
    return document_completion(theta, beta, task.first, task.second).perplexity


def refined(theta: NDArray[np.float64], beta: NDArray[np.float64], counts: csr_matrix) -> NDArray[np.float64]:
    """Refine theta by EM steps, as in `topicnet.experiments.baselines`."""
    topics = torch.as_tensor(beta, dtype=torch.float32)
    parts = []
    with torch.inference_mode(), chosen_threads():
        for batch in SparseBatches(counts.astype(np.float32), 1_000, CPU):
            start = torch.as_tensor(theta[batch.index.numpy()], dtype=torch.float32)
            parts.append(refine_theta(start, topics, batch, REFINED, encoder_pseudo_counts(start, batch)))
    better: NDArray[np.float64] = torch.cat(parts).double().numpy()
    better /= better.sum(axis=1, keepdims=True)
    return better


def of_peer(task: Task, beta: NDArray[np.float64], theta: NDArray[np.float64], cost: Cost) -> Fitted:
    """Score another library's topics and its theta of the first halves."""
    scores = completion(theta, beta, task), completion(refined(theta, beta, task.first), beta, task)
    return Fitted(beta, theta, *scores, cost, theta)


def online_points(passes: Sequence[int]) -> Points:
    def points(task: Task, seed: int) -> Iterator[tuple[str, Fitted]]:
        from sklearn.decomposition import LatentDirichletAllocation

        for n_passes in passes:
            options: dict[str, Any] = {"learning_method": "online", "batch_size": 1000, "random_state": seed}
            with measured() as cost:
                model = LatentDirichletAllocation(task.n_topics, max_iter=n_passes, **options).fit(task.train)
            beta = model.components_ / model.components_.sum(axis=1, keepdims=True)
            yield f"{n_passes} passes", of_peer(task, beta, model.transform(task.first), cost)

    return points


def as_words(counts: csr_matrix) -> list[list[str]]:
    """Convert documents to lists of words named by their column, with repetitions."""
    return [[str(word) for word in np.repeat(row.indices, row.data)] for row in counts]


def gibbs_points(iterations: Sequence[int]) -> Points:
    def points(task: Task, seed: int) -> Iterator[tuple[str, Fitted]]:
        import tomotopy

        model = tomotopy.LDAModel(k=task.n_topics, seed=seed)
        for words in as_words(task.train):
            if words:
                model.add_doc(words)
        done, whole = 0, Cost()
        for until in iterations:
            with measured() as cost, warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # results with several workers depend on timing
                model.train(until - done, workers=WORKERS)
            done, whole = until, replace(cost, seconds=whole.seconds + cost.seconds)
            beta = np.full((task.n_topics, task.train.shape[1]), 1e-12)
            known = np.array([int(word) for word in model.used_vocabs])
            for k in range(task.n_topics):
                beta[k, known] = model.get_topic_word_dist(k)
            beta /= beta.sum(axis=1, keepdims=True)
            words_known = set(model.used_vocabs)
            halves = [[word for word in words if word in words_known] for words in as_words(task.first)]
            rows = [row for row, words in enumerate(halves) if words]
            theta = np.full((len(halves), task.n_topics), 1 / task.n_topics)
            documents = [model.make_doc(halves[row]) for row in rows]
            theta[rows] = model.infer(documents, iterations=GIBBS_INFER, workers=WORKERS)[0]
            theta /= theta.sum(axis=1, keepdims=True)
            yield f"{until} iterations", of_peer(task, beta, theta, whole)

    return points


def systems(names: Sequence[str], task: Task, quick: bool) -> dict[str, Points]:
    """Return every system with its budgets."""
    found: dict[str, Points] = {}
    for name in names:
        usual = default_epochs(name, task)
        fewer = [epochs for epochs in (EPOCHS[:1] if quick else EPOCHS) if epochs < usual]
        found[f"topicnet {name}"] = neural_points(name, [*fewer, None] if quick else [*fewer, None, LONGER * usual])
    found["EM alone"] = em_points(EM_PASSES[:2] if quick else EM_PASSES)
    found["scikit-learn LDA, online"] = online_points(ONLINE_PASSES[:1] if quick else ONLINE_PASSES)
    try:
        import tomotopy  # noqa: F401

        found["tomotopy LDA"] = gibbs_points(GIBBS[:2] if quick else GIBBS)
    except ImportError:
        print("tomotopy is not installed: no comparison with it", flush=True)
    return found


def run_all(task: Task, seeds: int, known: Mapping[str, Points]) -> dict[tuple[str, str], list[Point]]:
    """Compute the points of every system and budget, one per seed."""
    found: dict[tuple[str, str], list[Point]] = {}
    for seed in range(seeds):
        order = list(known)
        for title in reversed(order) if seed % 2 else order:
            for label, fitted in known[title](task, seed):
                found.setdefault((title, label), []).append(Point.of(task, fitted))
    return found


def front(points: Mapping[tuple[str, str], Point], score: Callable[[Point], float]) -> set[tuple[str, str]]:
    """Return the points on the Pareto front of seconds and score."""
    best, found = -np.inf, set()
    for key in sorted(points, key=lambda key: (points[key].seconds, -score(points[key]))):
        if score(points[key]) > best:
            best = score(points[key])
            found.add(key)
    return found


def number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}"


def show(points: Mapping[tuple[str, str], Point]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Print the table; returns both fronts."""
    by_quality, by_perplexity = front(points, lambda p: p.quality), front(points, lambda p: -p.perplexity)
    print("\n| system | budget | fit, s | NPMI | TD | NPMI x TD | perplexity | refined | front |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key, p in points.items():
        on = "Q" * (key in by_quality) + "P" * (key in by_perplexity)
        cells = [*key, f"{p.seconds:.2f}", f"{p.npmi:.3f}", f"{p.diversity:.3f}", f"{p.quality:.3f}"]
        print(f"| {' | '.join([*cells, number(p.inferred), number(p.refined), on])} |")
    return by_quality, by_perplexity


def result(passed: bool) -> str:
    return "PASS" if passed else "miss"


def check_targets(found: Mapping[tuple[str, str], list[Point]]) -> None:
    """Print the targets and results: medians of the scores, and of the ratios of seconds over the seeds."""
    points = {key: Point.median(several) for key, several in found.items()}
    whole = f"{GIBBS[-1]} iterations"
    peer = ("tomotopy LDA", whole)
    print()
    if peer not in points:
        print(f"not compared with tomotopy: no fit with {whole}")
    else:
        theirs, passed = points[peer], []
        for key in [key for key in points if key[1].endswith("(default)")]:
            mine = points[key]
            ratio = statistics.median(a.seconds / b.seconds for a, b in zip(found[key], found[peer], strict=True))
            better = [mine.npmi > theirs.npmi, mine.diversity > theirs.diversity, mine.inferred < theirs.inferred]
            refined_too = "" if np.isnan(mine.refined) else f", refined x{mine.refined / theirs.refined:.3f}"
            print(
                f"{key[0]} with defaults, relative to tomotopy with {whole}: NPMI x{mine.npmi / theirs.npmi:.3f}, TD"
                f" x{mine.diversity / theirs.diversity:.3f}, perplexity as inferred"
                f" x{mine.inferred / theirs.inferred:.3f}{refined_too}: all three better:"
                f" {result(all(better))}; seconds x{ratio:.3f}, at most {QUARTER}: {result(ratio <= QUARTER)}"
            )
            passed += [key[0]] * (all(better) and ratio <= QUARTER)
        print(f"both for at least one model: {result(bool(passed))} ({', '.join(passed) or 'none'})")
    for key in [key for key in points if key[0] == "topicnet w-lda"]:
        mine = points[key]
        achieved = mine.npmi >= WLDA_NPMI and mine.diversity >= WLDA_TD and mine.seconds <= WLDA_SECONDS
        print(
            f"w-lda, {key[1]}: NPMI {mine.npmi:.3f} (target {WLDA_NPMI}), TD {mine.diversity:.3f} (target"
            f" {WLDA_TD:.2f}), {mine.seconds:.1f} s (target {WLDA_SECONDS:.0f} s): {result(achieved)}"
        )


def draw(path: Path, found: Mapping[tuple[str, str], list[Point]], fronts: Sequence[set[tuple[str, str]]]) -> None:
    """Plot both scores against seconds: one line per system, small points for seeds, filled ones on the front."""
    from plotly.subplots import make_subplots

    from topicnet.experiments.figures import COLOURS, LAYOUT, write_figure

    panels = [("NPMI x TD (higher is better)", "quality"), ("perplexity (lower is better)", "perplexity")]
    figure = make_subplots(1, 2, subplot_titles=[title for title, _ in panels], horizontal_spacing=0.1)
    for at, title in enumerate(dict.fromkeys(title for title, _ in found)):
        colour = COLOURS[at % len(COLOURS)]
        keys = [key for key in found if key[0] == title]
        middle = sorted(((Point.median(found[key]), key) for key in keys), key=lambda pair: pair[0].seconds)
        for column, (_, name) in enumerate(panels, 1):
            seeds = [point for key in keys for point in found[key]]
            figure.add_scatter(
                x=[p.seconds for p in seeds], y=[getattr(p, name) for p in seeds], row=1, col=column, mode="markers",
                marker={"color": colour, "size": 4, "opacity": 0.5}, legendgroup=title, showlegend=False,
            )  # fmt: skip
            symbols = ["circle" if key in fronts[column - 1] else "circle-open" for _, key in middle]
            figure.add_scatter(
                x=[p.seconds for p, _ in middle], y=[getattr(p, name) for p, _ in middle], row=1, col=column,
                mode="lines+markers", name=title, legendgroup=title, showlegend=column == 1, line={"color": colour},
                marker={"size": 11, "symbol": symbols}, text=[key[1] for _, key in middle],
            )  # fmt: skip
    figure.update_xaxes(type="log", title_text="seconds of the fit")
    title = "Quality against time, 20ng_etm_bow, K = 50 (large: medians, filled on the front; small: seeds)"
    figure.update_layout(title_text=title, **LAYOUT)
    write_figure(path, figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="HTML file for the figure.")
    parser.add_argument("--quick", action="store_true", help="Use few, small budgets to test that everything runs.")
    arguments = parser.parse_args()
    names = chosen(arguments.models, MODELS, "--models")
    task = read_20ng(check_data(arguments.data))
    print(f"{machine('scikit-learn', 'tomotopy')}; {arguments.seeds} seeds")
    print(f"{task.name}: {task.train.shape[0]:,} documents, {task.train.shape[1]:,} words, K = {task.n_topics}")
    neural("etm", max_epochs=1)(replace(task, train=task.train[:WARM_DOCS]), 0)  # imports
    found = run_all(task, arguments.seeds, systems(names, task, arguments.quick))
    fronts = show({key: Point.median(points) for key, points in found.items()})
    check_targets(found)
    if arguments.out is not None:
        draw(arguments.out, found, fronts)
        print(f"\nwrote {arguments.out}")
    print(f"\nat the end: {load()}")


if __name__ == "__main__":
    main()
