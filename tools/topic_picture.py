"""Draw the topics of a run as an SVG: a row for each topic, words sized by their probability, a bar for its share.

    topicnet fit 20newsgroups -k 20 --out runs/20newsgroups
    python tools/topic_picture.py runs/20newsgroups --out docs/_static/topics.svg

Needs matplotlib (the extra `plots`). Every topic is drawn, largest first.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("agg")  # measures text; the figure is saved as SVG
matplotlib.rcParams.update({"svg.hashsalt": "topicnet", "font.family": "DejaVu Sans"})

import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

WIDTH, ROW, HEAD = 9.6, 0.29, 0.42  # inches
SHARE, WORDS, RIGHT = 0.55, 1.75, 9.5  # where bars and words begin, and words end, in inches
SMALLEST, LARGEST = 8.0, 13.5  # points
INK, FAINT, BAR, PAPER = "#1f2933", "#6b7785", "#3b7ea1", "#ffffff"
SHADES = ("#123c55", "#1b5e84", "#2f7ba5")


def read_topics(run: Path) -> list[tuple[int, float, list[tuple[str, float]]]]:
    """Number, share, and words with their probabilities of each topic, largest topic first."""
    words: dict[int, list[tuple[str, float]]] = defaultdict(list)
    with (run / "topic_word.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words[int(row["topic"])].append((row["word"], float(row["probability"])))
    topics = json.loads((run / "topics.json").read_text("utf-8"))
    rows = [(topic["topic"], topic["size"], words[topic["topic"]]) for topic in topics]
    return sorted(rows, key=lambda row: -row[1])


def draw(run: Path, out: Path, heading: str) -> None:
    """Write the picture."""
    topics = read_topics(run)
    height = HEAD + ROW * len(topics) + 0.12
    figure = plt.figure(figsize=(WIDTH, height), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    axes.text(0.15, 0.22, heading, fontsize=9.5, color=FAINT, va="center")
    largest_share = max(share for _, share, _ in topics)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for position, (number, share, words) in enumerate(topics):
        middle = HEAD + ROW * (position + 0.5)
        axes.text(0.4, middle, str(number), fontsize=8, color=FAINT, ha="right", va="center")
        axes.barh(middle, 0.75 * share / largest_share, left=SHARE, height=0.5 * ROW, color=BAR)
        label = f"{share:.0%}"
        axes.text(SHARE + 0.75 * share / largest_share + 0.05, middle, label, fontsize=7.5, color=FAINT, va="center")
        at = WORDS
        for rank, (word, probability) in enumerate(words):
            size = SMALLEST + (LARGEST - SMALLEST) * (probability / words[0][1]) ** 0.8
            text = axes.text(at, middle, word, fontsize=size, color=SHADES[min(rank // 2, 2)], va="center_baseline")
            at += text.get_window_extent(renderer).width / figure.dpi
            if at > RIGHT:
                text.remove()
                break
            at += 0.1
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of topicnet fit")
    parser.add_argument("--out", type=Path, default=Path("topics.svg"), help="SVG file to write")
    parser.add_argument("--heading", default="share of each topic, and its most probable words")
    given = parser.parse_args()
    draw(given.run, given.out, given.heading)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
