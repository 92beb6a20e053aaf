"""Rows of a run match the rows of its source: indices, lists of words, missing, short and repeated documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import topicnet
from tests.support.corpora import themed_documents
from topicnet.errors import InputError
from topicnet.runtime.reporter import Reporter
from topicnet.text.corpus import Corpus
from topicnet.text.tokens.options import TextOptions
from topicnet.workflows.config import read_config
from topicnet.workflows.corpus import _report_repeated_texts, read_corpus, resolve_corpus
from topicnet.workflows.evaluate import evaluate_run
from topicnet.workflows.run import Run
from topicnet.workflows.transform import transform_to_file

TEXTS = themed_documents(40)
FAST: dict[str, Any] = {"n_topics": 3, "max_epochs": 1, "init": "random", "device": "cpu", "hidden_dim": 8}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, texts: list[str]) -> str:
    pl.DataFrame({"text": texts, "label": ["NA" if n % 2 else "x" for n in range(len(texts))]}).write_csv(name)
    return name


def reported(corpus: str, **given: Any) -> tuple[Corpus, list[str]]:
    lines: list[str] = []
    found = read_corpus(resolve_corpus(read_config(None, {"corpus": corpus, **given})), Reporter(lines.append))
    return found, lines


# --- tables in, tables out ---


INDICES = {
    "range": pd.RangeIndex(40),
    "shifted": pd.RangeIndex(100, 140),
    "twice": pd.Index([n // 2 for n in range(40)]),
    "dates": pd.date_range("2020-01-31", periods=40, freq="D", name="day"),
    "strings": pd.Index([f"r{40 - n}" for n in range(40)]),
    "pairs": pd.MultiIndex.from_product([["a", "b"], range(20)]),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("column", [False, True])
def test_a_pandas_index_is_kept(name: str, column: bool) -> None:
    frame = pd.DataFrame({"text": TEXTS}, index=INDICES[name])
    run = topicnet.fit(frame["text"] if column else frame, **FAST)
    table = run.doc_topic()
    assert table.index.equals(frame.index)
    frame["topic"] = table["top_topic"]
    assert frame["topic"].tolist() == run.theta.argmax(1).tolist()


@pytest.mark.parametrize(
    "choose",
    [
        lambda frame: frame.dropna(),
        lambda frame: frame[frame["n"] % 3 > 0],
        lambda frame: frame.sample(30, random_state=1),
    ],
    ids=["dropna", "filter", "sample"],
)
def test_selected_rows_keep_their_topics(choose: Any) -> None:
    frame = pd.DataFrame({"text": [None if n % 7 == 0 else text for n, text in enumerate(TEXTS)], "n": range(40)})
    some = choose(frame)
    run = topicnet.fit(Corpus.from_frame(some), **FAST)
    frame["topic"] = run.doc_topic()["top_topic"]
    assert frame.loc[some.index, "topic"].equals(run.doc_topic()["top_topic"])
    assert frame.drop(some.index)["topic"].isna().all()


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (pl.DataFrame({"text": TEXTS}), pl.DataFrame),
        (pl.LazyFrame({"text": TEXTS}), pl.DataFrame),
        (pl.Series(TEXTS), pl.DataFrame),
        (nw.from_native(pl.DataFrame({"text": TEXTS})), pl.DataFrame),
        (pa.table({"text": TEXTS}), pa.Table),
        (pa.chunked_array([TEXTS]), pa.Table),
        (TEXTS, pd.DataFrame),
        (iter(TEXTS), pd.DataFrame),
        (np.array(TEXTS), pd.DataFrame),
    ],
    ids=["frame", "lazy", "series", "narwhals", "arrow", "arrow column", "list", "iterator", "array"],
)
def test_tables_have_the_library_of_the_source(texts: Any, kind: type) -> None:
    run = topicnet.fit(texts, passages=20, **FAST)
    for table in (run.doc_topic(), run.topics(), run.passages()):
        assert type(table) is kind
    table = pl.DataFrame(run.doc_topic())
    assert table["doc_id"].to_list() == [str(n) for n in range(1, 41)]
    assert table["top_topic"].to_list() == run.theta.argmax(1).tolist()
    assert np.array_equal(table.select(pl.col("^topic_.*$")).to_numpy(), run.theta)
    assert pl.DataFrame(run.topics())["words"].to_list() == [" ".join(words) for words in run.top_words()]


def test_an_index_is_kept_when_rows_are_selected() -> None:
    corpus = Corpus.from_frame(pd.DataFrame({"text": TEXTS}, index=range(100, 140)))
    assert corpus.take(np.array([3, 1]), "part").table.tolist() == [103, 101]
    assert corpus.over(corpus.vocabulary[:5]).table is corpus.table


# --- lists of words ---


LISTS = [text.split() for text in TEXTS]


@pytest.mark.parametrize(
    "texts",
    [
        LISTS,
        [tuple(words) for words in LISTS],
        [np.array(words) for words in LISTS],
        pd.Series(LISTS),
        pd.DataFrame({"text": LISTS}),
        pl.DataFrame({"text": LISTS}),
        pl.LazyFrame({"text": LISTS}),
    ],
    ids=["lists", "tuples", "arrays", "series", "pandas", "polars", "lazy"],
)
def test_lists_of_words_are_not_tokenised(texts: Any) -> None:
    run = topicnet.fit(texts, **FAST)
    assert run.theta.shape == (40, 3)
    assert run.bundle.text["tokenizer"] == "spaces-2"
    assert np.array_equal(run.transform(LISTS), run.theta)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["New York", "is"], ["new_york"]), (["B2B", "don't"], ["b2b", "don't"]), (["", "one_two", "\n"], ["one_two"])],
)
def test_every_entry_of_a_list_is_a_word(words: list[str], expected: list[str]) -> None:
    assert Corpus.from_texts([words, None], options=TextOptions("en")).vocabulary == expected


def test_a_tokenizer_that_is_named_tokenises_lists_too() -> None:
    assert Corpus.from_texts([["don't-stop"]], options=TextOptions("none", tokenizer="letters")).vocabulary == [
        "don",
        "stop",
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([["a", 1]], r"texts\[0\] is a list that holds int, expected words"),
        ([None, ["a"], "b"], r"texts\[2\] is str, expected a list of words"),
        (["a", ["b"]], r"texts\[1\] is list, expected str"),
    ],
)
def test_a_mixture_of_texts_and_lists_is_refused(texts: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        topicnet.fit(texts, **FAST)


# --- repr ---


@pytest.mark.parametrize("what", [lambda run: run, lambda run: run.corpus, lambda run: run.bundle])
def test_the_repr_is_one_short_line(what: Any) -> None:
    shown = repr(what(topicnet.fit([*TEXTS, "", "NA"], **FAST)))
    assert "words" in shown
    assert len(shown) < 300
    assert shown.isprintable()


# --- missing, short and repeated documents ---


def test_markers_are_counted_in_a_notice_and_remembered(here: Path) -> None:
    corpus, lines = reported(write("a.csv", [*TEXTS, "NA", "nan", "-", "k.A."]))
    assert corpus.status[-4:].tolist() == ["empty", "empty", "empty", "oov"]
    assert corpus.metadata["label"].to_list()[:2] == ["x", None]
    assert lines[0].startswith("3 documents are empty: the text is a marker of a missing value (NA, nan, -)")
    _, lines = reported("a.csv", missing="k.A.")
    assert lines[0].startswith("4 documents are empty")
    corpus, lines = reported("a.csv", missing="none", max_df=1.0, min_df=1)
    assert not any("marker" in line for line in lines)
    assert {"na", "nan"} <= set(corpus.vocabulary)
    assert corpus.metadata["label"].to_list()[:2] == ["x", "NA"]


@pytest.mark.parametrize(
    ("missing", "empty"), [(None, ["NA"]), ("none", []), (["k.A."], ["NA", "k.A."]), ("none,k.A.", ["k.A."])]
)
def test_transform_uses_the_missing_value_markers_of_the_fit(here: Path, missing: Any, empty: list[str]) -> None:
    run = topicnet.fit([*TEXTS, *["NA goal", "k.A. goal"] * 3], missing=missing, min_df=1, max_df=1.0, **FAST)
    run.save("run")
    new = ["NA", "k.A.", "goal"]
    prior = run.transform([""])[0]
    config = read_config(None, {"corpus": write("new.csv", new)})
    corpus = transform_to_file(Path("run"), config, Path("t.csv"), refine=0, overwrite=False)
    assert [text for text, status in zip(new, corpus.status, strict=True) if status == "empty"] == empty
    for text, theta in zip(new, run.transform(new), strict=True):
        assert text not in empty or np.array_equal(theta, prior)
    config = read_config(None, {"corpus": "new.csv", "missing": "goal"})
    corpus = transform_to_file(Path("run"), config, Path("t.csv"), refine=0, overwrite=True)
    assert corpus.status[2] == "empty"  # an explicit option replaces them


def test_repeated_texts_are_reported(here: Path) -> None:
    texts = [*TEXTS[:20], TEXTS[3], TEXTS[3], *TEXTS[20:]]
    corpus, lines = reported(write("a.csv", texts))
    line = "2 documents repeat the text of an earlier one (e.g. document '21' repeats '4')"
    assert lines == [f"{line}: --drop-duplicates counts only the first of each"]
    dropped, lines = reported("a.csv", drop_duplicates=True)
    assert lines == [f"{line}: only the first of each is counted"]
    assert corpus.n_docs == dropped.n_docs == 42
    named = topicnet.Corpus.from_texts(texts, ids=[f"d{n}" for n in range(42)])
    lines = []
    _report_repeated_texts(named, False, Reporter(lines.append))
    assert "(e.g. document 'd20' repeats 'd3')" in lines[0]
    assert np.flatnonzero(dropped.status == "duplicate").tolist() == [20, 21]


def fitted(**options: Any) -> Run:
    texts = [*TEXTS, TEXTS[0], "goal", "", "goal goal"]
    return topicnet.fit(texts, min_df=1, max_df=1.0, **options, **FAST)


def test_skipped_documents_have_the_theta_of_the_prior_and_no_topic(here: Path) -> None:
    run = fitted(drop_duplicates=True, min_tokens=2)
    assert run.status[-4:] == ["duplicate", "short", "empty", "ok"]
    assert np.array_equal(run.theta[-4:-1], np.repeat(run.theta[-2:-1], 3, axis=0))
    assert run.doc_topic()["top_topic"].isna().tolist() == [False] * 40 + [True] * 3 + [False]
    assert np.allclose(run.sizes, run.theta[np.array(run.status) == "ok"].mean(0), atol=1e-6)
    assert run.record["data"]["status"] == {"ok": 41, "empty": 1, "oov": 0, "short": 1, "duplicate": 1}
    run.save("run")
    again = topicnet.load("run")
    assert again.status == run.status
    assert again.corpus is not None
    assert again.corpus.status.tolist() == run.status
    new = transform_to_file(
        Path("run"), read_config(None, {"corpus": write("n.csv", ["goal", "goal goal", "", "goal goal"])}),
        Path("t.csv"), refine=0, overwrite=False,
    )  # fmt: skip
    assert new.status.tolist() == ["short", "ok", "empty", "ok"]
    assert pl.read_csv("t.csv")["top_topic"].is_null().to_list() == [True, False, True, False]
    score = evaluate_run(Path("run"), test=read_config(None, {"corpus": write("e.csv", [*TEXTS, "NA", "goal"])}))
    assert score.perplexity.given == 42


def test_a_fit_without_these_options_counts_them_all() -> None:
    run = fitted()
    assert run.status[-4:] == ["ok", "ok", "empty", "ok"]
    assert run.record["data"]["duplicates"] == {"count": 1, "example": [41, 1]}


@pytest.mark.parametrize("option", [{"min_tokens": 2}, {"drop_duplicates": True}, {"missing": "k.A."}])
def test_these_options_are_refused_for_counts(here: Path, option: dict[str, Any]) -> None:
    Corpus.from_texts(TEXTS).save(here / "counts")
    with pytest.raises(InputError, match=f"--{next(iter(option)).replace('_', '-')} given"):
        resolve_corpus(read_config(None, {"corpus": "counts", **option}))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.tsv"])
def test_a_missing_id_does_not_equal_that_of_another_document(here: Path, name: str) -> None:
    frame = pl.DataFrame({"id": ["3", None, "NA", "x"], "text": TEXTS[:4]})
    if name.endswith("jsonl"):
        frame.write_ndjson(name)
    else:
        frame.write_csv(name, separator="\t" if name.endswith("tsv") else ",")
    corpus, lines = reported(name)
    assert corpus.ids == ["3", "2", "row 3", "x"]
    assert lines == []
