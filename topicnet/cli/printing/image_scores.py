"""Printing of the scores, evaluations and comparisons of image models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from topicnet.cli.printing.output import echo
from topicnet.cli.printing.tables import Column, ComparisonLayout, show_comparison
from topicnet.images.model.variants import CHOICES, VARIANTS
from topicnet.images.workflows.comparison import Comparison
from topicnet.images.workflows.fit import ImageRun

COLUMNS = {
    "nelbo": Column("NELBO", 2),
    "reconstruction": Column("reconstr.", 2),
    "kl_z": Column("KL_z", 2),
    "kl_c": Column("KL_c", 2),
    "information": Column("I(c;x)", 2),
    "nll": Column("NLL", 2),
    "squared_error": Column("sq. error", 2),
    "active_units": Column("active", 1),
    "accuracy": Column("accuracy", 2),
    "frechet": Column("Frechet", 2),
    "w2": Column("W2²", 2),
    "sliced_w2": Column("sliced W2²", 3),
    "seconds": Column("seconds", 1, spread=False),
}
TOP_SHOWN = 10  # number of categories or labels that are listed
MIN_SHOWN = 0.005  # smallest q(c | label) that is listed


def show_metrics(run: ImageRun) -> None:
    """Print the scores of metrics.json."""
    found = run.metrics
    bound, categories = found["bound"], found["categories"]
    if bound is not None:
        parts = [f"{_title(name)} {value:.2f}" for name, value in bound["parts"].items()]
        if categories is not None:
            parts.append(f"I(c;x) {categories['mutual_information']:.2f}")
        echo(f"NELBO {bound['nelbo']:.2f} nats per test image ({', '.join(parts)})")
    if found["squared_error"] is not None:
        echo(
            f"squared error {found['squared_error']:.3f} per test image, {found['active_units']} of"
            f" {found['dimensions']} dimensions in use"
        )
    samples = found.get("samples")
    if samples is not None:
        echo(
            f"samples: Frechet distance squared {samples['frechet_distance']:.3f} from the test images,"
            f" {samples['frechet_distance_of_training_images']:.3f} of training images; no encoder: no codes"
        )
    if categories is not None:
        line = f"{categories['in_use']} of {categories['categories']} categories in use"
        line += f", I(c;x) {categories['mutual_information']:.2f} nats"
        if "hungarian_accuracy" in categories:
            line += f", one-to-one accuracy {categories['hungarian_accuracy']:.3f}"
        echo(line)
    _collapse(found.get("collapse", []))


def show_evaluation(found: Mapping[str, Any]) -> None:
    """Print the result of `topicnet images evaluate`."""
    data = found["data"]
    seen = ", binarised once" if data["binarised"] else ""
    echo(f"{found['run']}: {found['variant']} on {data['n_images']:,} test images of {data['name']}{seen}")
    if found["bound"] is not None:
        _bound(found["bound"], found["categories"])
    if found["codes"] is None:
        echo("\nno encoder: no codes, no reconstructions and no bound")
    else:
        wrong = found["reconstruction"]
        echo("\nreconstruction")
        _line("squared error per image", wrong["per_image"])
        _line("squared error per pixel", wrong["per_pixel"], digits=5)
        _codes(found["codes"])
    if found["categories"] is not None:
        _categories(found["categories"])
    if found["prior_match"] is not None:
        _prior_match(found["prior_match"])
    if found["samples"] is not None:
        _samples(found["samples"])
    if "information" in found:
        _information(found["information"])
    if found["collapse"]:
        echo("")
        _collapse(found["collapse"])


def _collapse(signs: Iterable[str]) -> None:
    for sign in signs:
        echo(f"sign of collapse: {sign}")


def _information(found: Mapping[str, Any]) -> None:
    origin = "the prior" if found["drawn_from"] == "prior" else "q(. | x)"
    images = "drawn images" if found["image"] == "draw" else "mean images"
    echo(f"\ninformation of {images} about {found['of']} from {origin}, nats")
    _line("lower bound", found["bound"], f"  95 % interval {found['low']:.3f} to {found['high']:.3f}")
    _line("E log Q", found["log_q"])
    # The entropy bounds the information about categories; that of points is a differential entropy, which does not.
    limit = ", the upper limit" if found["of"] == "c" else ", a differential entropy: no limit"
    _line("entropy", found["entropy"], f"  {found['entropy_of']}{limit}")


def _bound(bound: Mapping[str, Any], categories: Mapping[str, Any] | None) -> None:
    echo("\nbound, nats per image")
    spread = "" if bound["spread"] is None else f"  ± {bound['spread']:.3f} over {bound['n_resamplings']} resamplings"
    _line("NELBO", bound["nelbo"], spread)
    for name, value in bound["parts"].items():
        _line(f"  {_title(name)}", value)
        if name == "kl_c" and categories is not None:
            _line("  I(c; x)", categories["mutual_information"])
    _line("NLL by importance weighting", bound["nll"], f"  {bound['n_importance']} draws")


def _title(part: str) -> str:
    return part.replace("kl_", "KL of ")


def _codes(codes: Mapping[str, Any]) -> None:
    echo("\ncodes")
    _line("dimensions in use", codes["active_units"], f"  of {codes['n_dimensions']}")
    split = codes["split"]
    if split is not None:
        _line(
            "I(x; z), at most log N",
            split["mutual_information"],
            f"  of {split['of']}; log N {split['log_n_images']:.3f}",
        )
        _line("KL(q(z) || p(z))", split["marginal_kl"])
        _line("sum of both", split["mean_kl"])
    if codes.get("terms") is not None:
        _terms(codes["terms"])


def _terms(terms: Mapping[str, Any]) -> None:
    echo("\nparts of the divergence (Lavda et al. 2020, table 1), nats")
    for name in ("b1", "b2", "c1", "c2"):
        _line(f"{name.upper()}  {terms['names'][name]}", terms[name])
    if terms["overlap"] is not None:
        few = f"  over {terms['n_overlap_images']:,} images"
        _line("I(z; c), in B1 and not in C1", terms["overlap"], few)
        echo("  z and c are not independent: B1 + B2 exceeds I(z, c; x) by I(z; c), and C1 + C2 is as much smaller")


def _categories(found: Mapping[str, Any]) -> None:
    echo("\ncategories, nats")
    used = ", ".join(map(str, found["in_use"][:TOP_SHOWN])) + (", ..." if len(found["in_use"]) > TOP_SHOWN else "")
    _line("in use, q(c) > 1/K", found["n_in_use"], f"  of {found['n_categories']}: {used}")
    titles = {
        "mutual_information": "I(c; x)",
        "entropy": "H(q(c))",
        "conditional_entropy": "E H(q(c|x))",
        "marginal_kl": "KL(q(c) || p(c))",
        "mean_kl": "E KL(q(c|x) || p(c))",
    }
    for name, title in titles.items():
        _line(title, found[name])
    labels = found["labels"]
    if labels is None:
        return
    echo("\ncategories and labels")
    _line("one-to-one accuracy", labels["hungarian_accuracy"])
    _line("majority accuracy", labels["majority_accuracy"])
    _line("normalised information", labels["nmi"])
    shared = f"  {len(labels['shared_top'])} in that of several labels"
    _line("categories in a label's top 5", labels["n_distinct_top"], shared)
    for row in labels["top"][:TOP_SHOWN]:
        pairs = [pair for pair in zip(row["categories"], row["shares"], strict=True) if pair[1] >= MIN_SHOWN]
        echo(f"  label {row['label']}: " + ", ".join(f"{k} ({fraction:.2f})" for k, fraction in pairs))
    if len(labels["top"]) > TOP_SHOWN:
        echo(f"  and {len(labels['top']) - TOP_SHOWN} more labels: see --json")


def _prior_match(found: Mapping[str, Any]) -> None:
    echo(f"\nq(z) against the prior, {found['n_points']:,} draws of each")
    _line("MMD squared", found["mmd"], f"  p = {found['p_value']:.3f} of {found['n_permutations']} permutations", 4)
    _line("sliced W2 squared", found["sliced_w2"], digits=4)


def _samples(found: Mapping[str, Any]) -> None:
    echo(f"\nsamples against test images, in {found['features']}")
    _line("Frechet distance squared", found["frechet_distance"])
    _line("same, of training images", found["frechet_distance_of_training_images"])
    echo(f"\nsamples against test images, in pixels, {found['n_transported']:,} of each")
    for name, title in (("w2", "W2 squared"), ("sliced_w2", "sliced W2 squared")):
        _line(title, found[name])
        _line("same, of training images", found[name + "_of_training_images"])


def _line(title: str, value: Any, after: str = "", digits: int = 3) -> None:
    text = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    echo(f"  {title:30}{text:>10}{after}")


def print_comparison(found: Comparison) -> None:
    """Print the table of a comparison."""
    seeds = "1 seed" if found.seeds == 1 else f"{found.seeds} seeds: mean ± standard deviation"
    layout = ComparisonLayout(
        kind="variant",
        columns=COLUMNS,
        heading=f"{found.data['name']}, {found.data['test_images']:,} test images, {seeds}",
        note=f"nats per image; NLL with {found.n_importance} importance draws; one-to-one accuracy;"
        " Frechet, W2² and sliced W2² of samples from test images; - if a variant does not define the score",
        extra={},
    )
    show_comparison(found.rows, layout)
    for row in found.rows:
        signs = [(fit.seed, fit.collapse) for fit in found.fits if fit.variant == row.name and fit.collapse]
        if signs:
            seed, first = signs[0]
            echo(f"{row.name}: {len(signs)} of {row.fits} fits with signs of collapse; seed {seed}: {'; '.join(first)}")


def variants_record() -> dict[str, Any]:
    """Return the variants as JSON values: {"variants": [...]}."""
    return {
        "variants": [
            {
                "name": name,
                "summary": variant.summary,
                "categories": variant.has_categories,
                "bound": variant.has_bound,
                "encoder": variant.has_encoder,
                "likelihood": variant.likelihood,
                # An infinite capacity becomes null, as JSON lacks infinity.
                "parameters": dict(variant.parameters),
                "choices": {one: list(CHOICES[one]) for one in variant.parameters if one in CHOICES},
            }
            for name, variant in VARIANTS.items()
        ]
    }


def show_variants() -> None:
    """Print a line for each variant, followed by its parameters with their defaults."""
    width = max(map(len, VARIANTS))
    for name, variant in VARIANTS.items():
        marks = " [categories]" if variant.has_categories else ""
        echo(f"{name:{width}}  {variant.summary}{marks}")
        if variant.parameters:
            parameters = ", ".join(f"{one}={_default(one, value)}" for one, value in variant.parameters.items())
            echo(f"{'':{width}}  --param {parameters}")


def _default(name: str, value: float | str) -> str:
    if name in CHOICES:
        return "|".join([str(value), *(other for other in CHOICES[name] if other != value)])
    return str(value) if isinstance(value, str) or math.isinf(value) else f"{value:g}"
