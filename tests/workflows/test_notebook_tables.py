"""Tables shown in notebooks are small and escape every text."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import topicnet
from tests.support.corpora import themed_documents
from topicnet.runtime.html_tables import MOST_CHARACTERS, MOST_ROWS, html_table
from topicnet.workflows.evaluate import evaluate_run

HOSTILE = "<script>alert(1)</script>&\"'\x1b[31m\u202e"
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


class Page(HTMLParser):
    """Tags, their attributes, and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + "|"


def page_of(result: object) -> Page:
    page = Page(result._repr_html_())
    assert set(page.tags) <= TAGS
    assert page.attributes <= {"style"}
    return page


@pytest.fixture(scope="module")
def run():
    table = pd.DataFrame({"text": [f"{text} {HOSTILE}" for text in themed_documents()[:60]], HOSTILE: 1})
    return topicnet.fit(
        table, n_topics=3, tokenizer="spaces", max_df=1.0, hidden_dim=8, embedding_dim=4, max_epochs=1, init="random"
    )


def test_a_run_shows_its_topics(run) -> None:
    page = page_of(run)
    assert page.tags.count("tr") == 4
    for words in run.top_words():
        for word in words:
            assert re.sub(r"[\x1b\u202e]", "?", word) in page.text


def test_hostile_words_and_names_are_text(run) -> None:
    words = [HOSTILE, *run.vocabulary[1:]]
    named = replace(run, bundle=replace(run.bundle, vocabulary=words, name=HOSTILE))
    assert "<script" not in named._repr_html_()
    assert "<script>alert(1)</script>" in page_of(named).text


def test_a_corpus_shows_what_it_counts(run) -> None:
    page = page_of(run.corpus)
    assert "documents|60|" in page.text
    assert "<script>" in page.text  # the name of a column
    assert "<script" not in run.corpus._repr_html_()


def test_a_scorecard_shows_its_scores(run, tmp_path: Path) -> None:
    found = evaluate_run(run.save(tmp_path / "run"))
    page = page_of(found)
    for group, scores in (("coherence", found.coherence), ("diversity", found.diversity)):
        for name, one in scores.items():
            assert f"{group}|{name}|{one.value:.3f}|" in page.text
    assert "<b" not in replace(found, model="<b>")._repr_html_()


def test_a_health_report_shows_its_signs(run) -> None:
    page = page_of(run.health)
    assert run.health.line() in page.text
    assert "<b" not in replace(run.health, findings=["<b>"], fit_for_use=False)._repr_html_()


def test_a_long_table_is_cut() -> None:
    html = html_table("a", ("n",), ([n * "x"] for n in range(1_000)), 1_000)
    assert Page(html).tags.count("tr") == MOST_ROWS + 1
    assert "and 970 more" in html
    assert len(html_table("a", (), [["x" * 10_000]], 1)) < MOST_CHARACTERS + 300


def test_a_corpus_needs_no_torch() -> None:
    code = (
        "import sys, json, topicnet; c = topicnet.Corpus.from_texts(json.load(sys.stdin)); c._repr_html_();"
        "from topicnet.runtime.html_tables import html_table; print('torch' in sys.modules)"
    )
    given = json.dumps(["red apples grow", "green apples grow", "green trees grow"] * 5)
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
