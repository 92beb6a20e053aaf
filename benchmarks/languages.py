"""Measure Japanese segmentation against gold tokens and the speed of every tokenizer, and print topics per language.

Usage: python benchmarks/languages.py [--data FOLDER] [--docs 2000] [--topics 10] [--no-topics]

Segmentation is scored by spans: a token counts if it starts and ends where a gold token does. The gold tokens are the
short units of the Wikipedia Annotated Corpus (3,979 leads), without spaces. Two baselines need no dictionary: tokens of
two characters, and splitting where the script changes. Speed is the best of three runs over the first documents, after
a run that loads the dictionary. Topics are from ETM with the default stop words and segmenters.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

import topicnet
from topicnet.text.tokens.languages import SEGMENTED
from topicnet.text.tokens.segmenters import Sudachi
from topicnet.text.tokens.tokenizer import choose_tokenizer

GOLD = "wikipedia_ja_gold_tokens/wikipedia_ja.jsonl.gz"
CORPORA = {"zh": "zh_ntm/cnews10k_lines.jsonl.gz", "ko": "nsmc_ko/movies_long.jsonl.gz", "ja": GOLD}
ENGLISH = "imdb/train.jsonl.gz"
Cut = Callable[[str], list[str]]


def spans(tokens: Iterable[str]) -> set[tuple[int, int]]:
    """Return the start and end of each token in the text without spaces."""
    ends = [0, *itertools.accumulate(len(token) for token in tokens)]
    return set(itertools.pairwise(ends))


def without_spaces(tokens: Iterable[str]) -> list[str]:
    bare = ("".join(token.split()) for token in tokens)
    return [token for token in bare if token]


def pairs_of_characters(text: str) -> list[str]:
    text = "".join(text.split())
    return [text[i : i + 2] for i in range(0, len(text), 2)]


def runs_of_one_script(text: str) -> list[str]:
    def script(character: str) -> str:
        return unicodedata.name(character, "?").split()[0] if character.isalnum() else character

    return ["".join(run) for _, run in itertools.groupby("".join(text.split()), key=script)]


def agreement(cut: Cut, texts: list[str], gold: list[list[str]]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of token spans over all texts."""
    agreeing = found = expected = 0
    for text, tokens in zip(texts, gold, strict=True):
        ours, theirs = spans(without_spaces(cut(text))), spans(tokens)
        agreeing, found, expected = agreeing + len(ours & theirs), found + len(ours), expected + len(theirs)
    return agreeing / found, agreeing / expected, 2 * agreeing / (found + expected)


def print_segmentation(data: Path) -> None:
    table = pl.read_ndjson(data / GOLD)
    texts, gold = table["text"].to_list(), table["tokens"].to_list()
    cuts: dict[str, Cut] = {
        f"Sudachi, mode {mode}" + (" (topicnet's)" if mode == Sudachi.MODE else ""): Sudachi(mode=mode).tokens
        for mode in "ABC"
    }
    cuts |= {"split where the script changes": runs_of_one_script, "every two characters": pairs_of_characters}
    print(f"Japanese, {len(texts):,} texts, {sum(map(len, gold)):,} gold tokens\n")
    print("| segmentation | precision | recall | F1 | texts / s |\n|---|---|---|---|---|")
    for name, cut in cuts.items():
        began = time.perf_counter()
        scores = agreement(cut, texts, gold)
        rate = len(texts) / (time.perf_counter() - began)
        print(f"| {name} | {' | '.join(f'{score:.3f}' for score in scores)} | {rate:,.0f} |")


def print_speed(data: Path, n_docs: int) -> None:
    print("\n| language | tokenizer | documents | MB | MB / s | documents / s |\n|---|---|---|---|---|---|")
    for lang, kind, lemmatize, file in (
        ("en", None, False, ENGLISH),
        ("en", None, True, ENGLISH),
        ("en", "spacy", False, ENGLISH),
        *((lang, None, False, file) for lang, file in CORPORA.items()),
    ):
        texts = pl.read_ndjson(data / file)["text"]
        # Fast tokenizers get the whole corpus, because they would finish a part of it before reaching full speed.
        texts = texts if lang == "en" and kind is None else texts[: n_docs if lang != "zh" else None]
        tokenizer = choose_tokenizer(lang, kind, lemmatize)
        tokenizer(texts[:10])
        seconds = min(_seconds(lambda cut=tokenizer, texts=texts: cut(texts)) for _ in range(3))
        megabytes = int(texts.str.len_bytes().sum()) / 1e6
        print(
            f"| {lang} | {tokenizer.name} | {len(texts):,} | {megabytes:.1f} | {megabytes / seconds:.2f} |"
            f" {len(texts) / seconds:,.0f} |"
        )


def print_topics(data: Path, n_topics: int) -> None:
    for lang, file in CORPORA.items():
        texts = pl.read_ndjson(data / file)["text"].to_list()
        began = time.perf_counter()
        run = topicnet.fit(texts, model="etm", n_topics=n_topics, lang=lang)
        print(f"\n{SEGMENTED[lang]}, {len(texts):,} documents, {time.perf_counter() - began:.0f} s\n")
        for number, words in enumerate(run.top_words(12)):
            print(f"{number:>3}  {' '.join(words)}")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOPICNET_DATA", default)))
    parser.add_argument("--docs", type=int, default=2_000, help="documents for the speed of slow tokenizers")
    parser.add_argument("--topics", type=int, default=10)
    parser.add_argument("--no-topics", action="store_true")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, topicnet {topicnet.__version__}\n")
    print_segmentation(arguments.data)
    print_speed(arguments.data, arguments.docs)
    if not arguments.no_topics:
        print_topics(arguments.data, arguments.topics)


if __name__ == "__main__":
    main()
