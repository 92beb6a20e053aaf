"""`evaluate` and `prepare --reference`: scores and conventions, the same for every form of the documents."""

import itertools
import json
import math
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import topicnet
import topicnet.cli
from tests.support.command_line import QUICK, Warm, assert_refused, fit_here, one_json, snapshot
from tests.support.corpora import THEMES, themed_documents
from topicnet.evaluate.perplexity import document_completion, split_documents, summarise_completion, unigram_perplexity
from topicnet.text.corpus import Corpus
from topicnet.workflows.run import Run
from topicnet.workflows.scores import CONVENTIONS

COHERENCE = {"npmi", "c_v", "c_npmi", "c_uci", "u_mass"}
DIVERSITY = {"topic_diversity", "topic_uniqueness", "inverted_rbo", "js_diversity"}
ROUNDING = 1e-9
SHORT = ("--epochs", "1", "--init", "random", "--quiet")

TRAINING = themed_documents()
# Documents of two themes each; one is empty, one has no known word, and all contain an unknown word.
_draw = random.Random(1)
_themes = [words.split() for words in THEMES.values()]
_mixed = [2 * _themes[d % 4] + _themes[(d + 1) % 4] + ["zyzzyva"] for d in range(24)]
TEST = [*(" ".join(_draw.choices(words, k=15)) for words in _mixed), "", "zyzzyva quux"]


def label_of(d: int) -> str | None:
    """Return the theme as a label; missing, in several forms, for every seventh document."""
    return list(THEMES)[d % 4] if d % 7 else (None, "", " ")[d % 3]


def write_rows(path: Path, texts: list[str], **columns: Callable[[int], Any]) -> None:
    rows = ({"text": text} | {name: of(d) for name, of in columns.items()} for d, text in enumerate(texts))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.fixture(scope="module")
def folder(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return documents in several forms and a run on those with labels; tests must not change it."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name, texts in (("train", TRAINING), ("test", TEST)):
        (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
        write_rows(folder / f"{name}.jsonl", texts, label=label_of, parity=lambda d: d % 2)
        done = warm("prepare", f"{name}.txt", "--reference", "--out", f"{name}-counts", cwd=folder)
        assert done.returncode == 0, done.stderr
    assert fit_here("train.jsonl", *QUICK, "--out", "run", cwd=folder)[0] == 0
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """Return the run, loaded."""
    return topicnet.load(folder / "run")


@pytest.fixture(scope="module")
def scores(warm: Warm, folder: Path) -> dict[str, Any]:
    """Return its scores on the test documents."""
    return evaluated(warm, "run", "--test", "test.jsonl", cwd=folder)


@pytest.fixture(scope="module")
def without_corpus(folder: Path) -> Path:
    """Return a W-LDA run saved without its corpus."""
    options = ("-k", "4", *SHORT, "--model", "w-lda", "--no-keep-corpus")
    assert fit_here("train.jsonl", *options, cwd=folder)[0] == 0
    return folder / "runs" / "train-w-lda-4"


def evaluated(warm: Warm, *arguments: str | Path, cwd: Path, stdin: str | None = None) -> dict[str, Any]:
    """Return the parsed output of `evaluate --json`, with nothing on stderr."""
    done = warm("evaluate", *arguments, "--json", cwd=cwd, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = one_json(done.stdout)
    return found


def all_scores(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every score by its name."""
    tables = [found["coherence"], found["diversity"], found["perplexity"]["scores"]]
    return {name: one for table in [*tables, found.get("labels", {}).get("scores", {})] for name, one in table.items()}


def without_names(found: dict[str, Any]) -> dict[str, Any]:
    """Return the scores without the names of the corpora."""
    perplexity = {name: value for name, value in found["perplexity"].items() if name != "corpus"}
    reference = {name: value for name, value in found["reference"].items() if name != "name"}
    return found | {"perplexity": perplexity, "reference": reference}


def counts_of(texts: list[str], run: Run) -> Any:
    """Return counts of texts in the vocabulary of a run."""
    return Corpus.from_texts(texts, vocabulary=run.vocabulary).counts


# ---------------------------------------------------------------- output


def test_every_measure_has_a_value_and_its_convention(scores: dict[str, Any]) -> None:
    assert scores["coherence"].keys() == COHERENCE
    assert scores["diversity"].keys() == DIVERSITY
    assert scores["perplexity"]["scores"].keys() == {"inferred", "refined", "unigram", "bound"}
    assert scores["labels"]["scores"].keys() == {"purity", "nmi", "ari", "accuracy"}
    for name, one in all_scores(scores).items():
        assert math.isfinite(one["value"]), name
        assert one["convention"] == CONVENTIONS[name]
    assert (scores["model"], scores["topics"], scores["interval"]) == ("etm", 4, 0.95)


def test_intervals_hold_the_value_and_per_topic_values_have_it_as_mean(scores: dict[str, Any]) -> None:
    for name in COHERENCE:
        one = scores["coherence"][name]
        assert np.mean(one["per_topic"]) == pytest.approx(one["value"])
        assert one["low"] < one["value"] < one["high"]  # four topics differ
        assert min(one["per_topic"]) - ROUNDING <= one["low"]
        assert one["high"] <= max(one["per_topic"]) + ROUNDING
        assert [topic[name] for topic in scores["per_topic"]] == one["per_topic"]
    for name in ("inferred", "refined"):
        one = scores["perplexity"]["scores"][name]
        assert one["low"] < one["value"] < one["high"]


def test_the_topics_are_those_of_the_run(scores: dict[str, Any], run: Run) -> None:
    assert [topic["topic"] for topic in scores["per_topic"]] == list(range(4))
    assert [topic["words"] for topic in scores["per_topic"]] == run.top_words(10)
    assert [topic["size"] for topic in scores["per_topic"]] == pytest.approx(run.sizes.tolist())


def test_npmi_follows_its_convention(scores: dict[str, Any]) -> None:
    """Recomputed from the texts, pair by pair."""
    held = [set(text.split()) for text in TRAINING]
    for topic in scores["per_topic"]:
        values = []
        for pair in itertools.combinations(topic["words"], 2):
            one, other, both = (sum(set(words) <= document for document in held) for words in (*zip(pair), pair))
            joint = both / len(held)
            values.append(math.log(joint * len(held) ** 2 / (one * other)) / -math.log(joint) if both else -1.0)
        assert topic["npmi"] == pytest.approx(np.mean(values))


def test_diversity_follows_its_convention(scores: dict[str, Any], run: Run) -> None:
    words = run.top_words(25)
    assert scores["diversity"]["topic_diversity"]["value"] == len({w for row in words for w in row}) / (25 * 4)
    lists = Counter(word for row in run.top_words(10) for word in row)
    expected = [np.mean([1 / lists[word] for word in row]) for row in run.top_words(10)]
    assert [topic["topic_uniqueness"] for topic in scores["per_topic"]] == pytest.approx(expected)
    assert scores["diversity"]["topic_uniqueness"]["value"] == pytest.approx(np.mean(expected))


def test_the_table_agrees_with_the_json(warm: Warm, folder: Path, scores: dict[str, Any], run: Run) -> None:
    done = warm("evaluate", "run", "--test", "test.jsonl", "--per-topic", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    assert "run" in shown.splitlines()[0]
    titles = {
        "npmi": "NPMI", "c_v": "C_V", "c_npmi": "C_NPMI", "c_uci": "C_UCI", "u_mass": "U_Mass",
        "topic_diversity": "topic diversity", "topic_uniqueness": "topic uniqueness", "inverted_rbo": "inverted RBO",
        "js_diversity": "Jensen-Shannon", "inferred": "completion, as inferred", "refined": "completion, refined",
        "unigram": "unigram", "bound": "bound", "purity": "purity", "nmi": "NMI", "ari": "adjusted Rand",
        "accuracy": "accuracy of theta",
    }  # fmt: skip
    for name, one in all_scores(scores).items():
        line = next(line for line in shown.splitlines() if line.strip().startswith(titles[name]))
        printed = f"{one['value']:.0f}" if name in scores["perplexity"]["scores"] else f"{one['value']:.3f}"
        assert re.search(rf"\s{re.escape(printed)}(\s|$)", line), (line, printed)
        if "low" in one and name in COHERENCE:
            assert f"[{one['low']:.3f}, {one['high']:.3f}]" in line
    lines = [line.strip() for line in shown.splitlines()]
    at = {name: next(i for i, line in enumerate(lines) if line.startswith(titles[name])) for name in titles}
    assert 0 < at["unigram"] - at["inferred"] <= 2  # and in the part on perplexity
    assert f"{scores['perplexity']['documents']} of 26 documents" in shown
    assert f"{scores['labels']['without_label']} without a label" in shown
    for words in run.top_words(10):
        assert " ".join(words) in shown
    assert " ".join(run.top_words(10)[0]) not in warm("evaluate", "run", cwd=folder).stdout  # without --per-topic


def test_without_test_documents_there_is_the_bound_of_the_fit_and_no_completion(warm: Warm, folder: Path) -> None:
    found = evaluated(warm, "run", cwd=folder)
    assert found["perplexity"]["scores"].keys() == {"bound"}
    written = one_json((folder / "run" / "metrics.json").read_text())["validation_bound"]["perplexity"]
    assert found["perplexity"]["scores"]["bound"]["value"] == written
    assert "--test" in warm("evaluate", "run", cwd=folder).stdout


def test_evaluation_is_repeatable_and_changes_nothing(warm: Warm, folder: Path, scores: dict[str, Any]) -> None:
    before = snapshot(folder)
    assert evaluated(warm, "run", "--test", "test.jsonl", cwd=folder) == scores
    assert snapshot(folder) == before


# ---------------------------------------------------------------- perplexity


def test_perplexity_is_that_of_document_completion(scores: dict[str, Any], run: Run) -> None:
    first, second = split_documents(counts_of(TEST, run), 0)
    found = scores["perplexity"]
    for name, steps in (("inferred", 0), ("refined", 20)):
        theta = run.model.transform(first, refine=steps)
        expected = document_completion(theta, run.model.components_, first, second)
        assert found["scores"][name]["value"] == pytest.approx(expected.perplexity, rel=1e-5)
        assert found["scores"][name]["per_document_mean"] == pytest.approx(expected.perplexity_doc_mean, rel=1e-5)
    assert (found["given"], found["documents"], found["left_out"]) == (26, expected.n_docs, expected.n_left_out)
    assert expected.n_left_out >= 2
    assert found["tokens"] == expected.n_tokens
    both = (np.diff(first.indptr) > 0) & (np.diff(second.indptr) > 0)
    unigram = unigram_perplexity(counts_of(TRAINING, run), second[both])
    assert found["scores"]["unigram"]["value"] == pytest.approx(unigram)
    bound = run.model.perplexity(counts_of(TEST, run))
    assert found["scores"]["bound"]["value"] == pytest.approx(bound, rel=1e-5)


def test_a_model_that_is_not_a_mixture_and_has_no_bound(warm: Warm, folder: Path, without_corpus: Path) -> None:
    """W-LDA, saved without its corpus, which the unigram would need."""
    arguments = (without_corpus, "--reference", "train.txt", "--test", "test.txt")
    found = evaluated(warm, *arguments, cwd=folder)["perplexity"]["scores"]
    assert found.keys() == {"inferred"}
    model = topicnet.load(without_corpus).model
    first, second = split_documents(
        Corpus.from_texts(TEST, vocabulary=topicnet.load(without_corpus).vocabulary).counts, 0
    )
    nats = model.log_likelihood(second, model.transform(first))
    expected = summarise_completion(nats, first, second).perplexity
    assert found["inferred"]["value"] == pytest.approx(expected, rel=1e-5)
    shown = warm("evaluate", *arguments, cwd=folder).stdout
    for absent in ("refined", "unigram (without", "bound,"):
        assert absent not in shown


@pytest.mark.parametrize("form", ["test.txt", "test-counts", "-"])
def test_test_documents_in_any_form_have_the_same_scores(
    form: str, warm: Warm, folder: Path, scores: dict[str, Any]
) -> None:
    given = (folder / "test.txt").read_text() if form == "-" else None
    found = evaluated(warm, "run", "--test", form, cwd=folder, stdin=given)
    assert "labels" not in found
    expected = without_names({name: value for name, value in scores.items() if name != "labels"})
    assert without_names(found) == expected


def test_the_corpus_kept_in_a_run_can_be_the_test_documents(warm: Warm, folder: Path) -> None:
    found = evaluated(warm, "run", "--test", "run/corpus", cwd=folder)
    assert found == evaluated(warm, "run", "--test", "train.jsonl", cwd=folder)
    assert found["labels"]["documents"] > 0


def test_the_columns_the_fit_read_are_read_in_test_and_reference(warm: Warm, tmp_path: Path) -> None:
    table = pl.DataFrame({"answer": TRAINING, "label": [label_of(d) for d in range(60)]})
    table.write_csv(tmp_path / "survey.csv")
    table.rename({"answer": "comment"}).write_csv(tmp_path / "other.csv")
    options = ("-k", "2", *SHORT, "--text-column", "answer", "--out", "run")
    assert fit_here("survey.csv", *options, cwd=tmp_path)[0] == 0
    both = ("--test", "survey.csv", "--reference", "survey.csv")
    found = evaluated(warm, "run", *both, cwd=tmp_path)
    assert found["perplexity"]["documents"] == 60
    assert_refused(warm("evaluate", "run", "--test", "other.csv", cwd=tmp_path), "'answer'", "comment")
    both = ("--test", "other.csv", "--reference", "other.csv", "--text-column", "comment")
    assert without_names(evaluated(warm, "run", *both, cwd=tmp_path))["coherence"] == found["coherence"]


# ---------------------------------------------------------------- reference


@pytest.mark.parametrize("form", ["train.txt", "train.jsonl", "train-counts", "run/corpus"])
def test_a_reference_in_any_form_gives_the_same_coherence(
    form: str, warm: Warm, folder: Path, scores: dict[str, Any]
) -> None:
    found = evaluated(warm, "run", "--reference", form, cwd=folder)
    assert found["coherence"] == scores["coherence"]
    assert without_names(found)["reference"] == without_names(scores)["reference"]
    assert found["reference"]["documents"] == 60
    assert found["reference"]["tokens"] == 1200


def test_another_reference_gives_another_coherence(warm: Warm, folder: Path, scores: dict[str, Any]) -> None:
    texts, counts = (evaluated(warm, "run", "--reference", form, cwd=folder) for form in ("test.txt", "test-counts"))
    assert without_names(texts) == without_names(counts)
    assert texts["diversity"] == scores["diversity"]
    for name in COHERENCE:
        assert texts["coherence"][name]["value"] != pytest.approx(scores["coherence"][name]["value"])
    assert texts["reference"]["documents"] == 26


def test_words_missing_from_the_reference_are_counted(warm: Warm, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sport.txt").write_text(f"{THEMES['sport']}\n" * 3)
    found = evaluated(warm, folder / "run", "--reference", "sport.txt", cwd=tmp_path)
    top = {word for topic in found["per_topic"] for word in topic["words"]}
    assert found["reference"]["unseen_words"] == len(top - set(THEMES["sport"].split())) > 0
    assert 0 < found["reference"]["unseen_pairs"] < found["reference"]["pairs"] == 4 * 45


# ---------------------------------------------------------------- labels


def test_labels_of_the_fit_are_scored_without_test_documents(warm: Warm, folder: Path) -> None:
    found = evaluated(warm, "run", cwd=folder)["labels"]
    missing = sum(d % 7 == 0 for d in range(60))
    assert (found["documents"], found["without_label"], found["labels"]) == (60 - missing, missing, 4)
    top = pl.read_csv(folder / "run" / "doc_topic.csv")["top_topic"].to_list()
    by_topic: dict[int, Counter[str]] = {}
    for d, topic in enumerate(top):
        if d % 7:
            by_topic.setdefault(topic, Counter())[str(label_of(d))] += 1
    purity = sum(max(labels.values()) for labels in by_topic.values()) / (60 - missing)
    assert found["scores"]["purity"]["value"] == pytest.approx(purity)
    assert found["column"] == "label"
    assert "fold" in found["scores"]["accuracy"]["how"]


def test_labels_missing_for_some_test_documents_are_counted_and_left_out(scores: dict[str, Any]) -> None:
    found = scores["labels"]
    labelled = [d for d in range(24) if d % 7]  # the two documents without a known word are not scored
    assert (found["documents"], found["without_label"]) == (len(labelled), 24 - len(labelled))
    assert "fit" in found["scores"]["accuracy"]["how"]
    known = Counter(label_of(d) for d in range(60) if d % 7)
    commonest = min(known, key=lambda label: (-known[label], label))
    expected = np.mean([label_of(d) == commonest for d in labelled])
    assert found["scores"]["accuracy"]["commonest"] == pytest.approx(expected)


def test_another_column_can_hold_the_labels(warm: Warm, folder: Path) -> None:
    found = evaluated(warm, "run", "--test", "test.jsonl", "--label-column", "parity", cwd=folder)["labels"]
    assert (found["column"], found["labels"], found["documents"], found["without_label"]) == ("parity", 2, 24, 0)
    purity = found["scores"]["purity"]["value"]
    assert purity < 0.8  # themes are independent of it


def test_without_a_label_column_labels_are_not_mentioned(warm: Warm, folder: Path) -> None:
    assert "labels" not in evaluated(warm, "run", "--test", "test.txt", cwd=folder)
    assert "label" not in warm("evaluate", "run", "--test", "test.txt", cwd=folder).stdout


def test_a_label_column_that_is_missing_is_refused(warm: Warm, folder: Path, without_corpus: Path) -> None:
    missing = ("--label-column", "theme")
    for test in ((), ("--test", "test.jsonl")):
        assert_refused(warm("evaluate", "run", *test, *missing, cwd=folder), "'theme'", "label, parity")
    assert_refused(warm("evaluate", "run", "--test", "test.txt", *missing, cwd=folder), "'theme'", "none")
    arguments = (without_corpus, "--reference", "train.txt", *missing)
    assert_refused(warm("evaluate", *arguments, cwd=folder), "'theme'")


def test_test_documents_without_any_label(warm: Warm, folder: Path, tmp_path: Path) -> None:
    """New documents may have no labels yet: this is an error only if the label column is named."""
    write_rows(tmp_path / "new.jsonl", TEST, label=lambda d: None)
    arguments = (folder / "run", "--test", "new.jsonl")
    assert_refused(warm("evaluate", *arguments, "--label-column", "label", cwd=tmp_path), "label")
    found = evaluated(warm, *arguments, cwd=tmp_path)
    assert found["perplexity"]["documents"] > 0


# ---------------------------------------------------------------- invalid input

GERMAN = "Planeten kreisen um die Sonne\nDie Mannschaft hat das Spiel verloren\n"
AT_FAULT = {
    # name: option, file, its content, words of the message
    "test in another language": ("--test", "corpus.txt", GERMAN, ["2 documents of 'corpus'", "language of the fit"]),
    "empty test": ("--test", "corpus.txt", "", ["no documents"]),
    "blank test": ("--test", "corpus.txt", "\n \n\n", ["none of the 3 documents"]),
    "test of single words": (
        "--test",
        "corpus.txt",
        "goal\nflour\n",
        ["none of the 2 documents", "both halves"],
    ),
    "missing test": ("--test", "other.txt", "goal\n", ["corpus.txt"]),
    "test csv without the column": ("--test", "corpus.csv", "body\ngoal team\n", ["'text'", "--text-column"]),
    "reference in another language": ("--reference", "corpus.txt", GERMAN, ["none of the 2 documents", "language"]),
    "empty reference": ("--reference", "corpus.txt", "", ["reference", "no documents"]),
    "blank reference": ("--reference", "corpus.txt", "\n\n", ["none of the 2 documents"]),
    "missing reference": ("--reference", "other.txt", "goal\n", ["corpus.txt"]),
}


@pytest.mark.parametrize("case", AT_FAULT)
def test_documents_that_cannot_be_used_are_refused(case: str, warm: Warm, folder: Path, tmp_path: Path) -> None:
    option, name, content, mentions = AT_FAULT[case]
    (tmp_path / name).write_text(content)
    given = "corpus.csv" if name.endswith(".csv") else "corpus.txt"
    assert_refused(warm("evaluate", folder / "run", option, given, "--json", cwd=tmp_path), *mentions)


def test_a_run_folder_is_not_a_corpus_but_its_corpus_folder_is(warm: Warm, folder: Path) -> None:
    for option in ("--test", "--reference"):
        assert_refused(warm("evaluate", "run", option, "run", cwd=folder), "a run of topicnet")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no run.json": lambda run: (run / "run.json").unlink(),
    "run.json of something else": lambda run: (run / "run.json").write_text("[]"),
    "theta changed": lambda run: change(run / "doc_topic.csv"),
    "topics cut": lambda run: cut(run / "topics.json"),
    "no metrics": lambda run: (run / "metrics.json").unlink(),
    "weights cut": lambda run: cut(run / "model" / "model.safetensors"),
    "tokens cut": lambda run: cut(run / "corpus" / "tokens.npy"),
    "no header of the counts": lambda run: (run / "corpus" / "counts.json").unlink(),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_run_is_refused(case: str, warm: Warm, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    DAMAGES[case](tmp_path / "run")
    assert_refused(warm("evaluate", "run", "--test", folder / "test.txt", cwd=tmp_path), "run")


@pytest.mark.parametrize("given", ["nowhere", "train.txt", "train-counts", "."])
def test_folders_that_are_not_runs_are_refused(given: str, warm: Warm, folder: Path) -> None:
    assert_refused(warm("evaluate", given, cwd=folder), repr(given), "run folder of `topicnet fit`")


@pytest.mark.parametrize("part", ["data.npy", "documents.parquet"])
def test_a_damaged_reference_is_refused(part: str, warm: Warm, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "train-counts", tmp_path / "counts")
    cut(tmp_path / "counts" / part)
    assert_refused(warm("evaluate", folder / "run", "--reference", "counts", cwd=tmp_path), "'counts'")


def test_a_run_without_its_corpus_needs_a_reference(warm: Warm, folder: Path, without_corpus: Path) -> None:
    assert not (without_corpus / "corpus").exists()
    assert_refused(warm("evaluate", without_corpus, cwd=folder), "--no-keep-corpus", "--reference")
    found = evaluated(warm, without_corpus, "--reference", "train-counts", cwd=folder)
    assert found["coherence"].keys() == COHERENCE
    assert "labels" not in found  # they are part of the corpus
    tested = evaluated(warm, without_corpus, "--reference", "train-counts", "--test", "test.jsonl", cwd=folder)
    assert tested["labels"]["scores"].keys() >= {"purity", "nmi", "ari"}


# ---------------------------------------------------------------- edge cases


@pytest.fixture
def small(warm: Warm, tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Return a function that fits n topics to texts and returns the scores on them, as JSON and as a table."""

    def fit_and_evaluate(texts: list[str], n_topics: int, **options: Any) -> tuple[dict[str, Any], str]:
        write_rows(tmp_path / "small.jsonl", texts, label=lambda d: "ab"[d % 2])
        topicnet.fit(texts, n_topics=n_topics, max_epochs=1, init="random", **options).save(tmp_path / "run")
        shown = warm("evaluate", "run", "--test", "small.jsonl", "--per-topic", cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert not re.search(r"\b(nan|inf|None|null)\b", shown.stdout)
        return evaluated(warm, "run", "--test", "small.jsonl", cwd=tmp_path), shown.stdout

    return fit_and_evaluate


def test_one_topic(small: Callable[..., tuple[dict[str, Any], str]]) -> None:
    found, _ = small(TRAINING, 1)
    values = {name: one["value"] for name, one in all_scores(found).items()}
    assert None not in values.values()
    assert {values[name] for name in DIVERSITY} == {1.0}
    assert (values["nmi"], values["ari"], values["purity"]) == (0, 0, 0.5)
    assert values["inferred"] == pytest.approx(values["refined"])
    for name in COHERENCE:
        assert "low" not in found["coherence"][name]  # one topic has no interval


def test_topics_with_fewer_words_than_the_scores_use(small: Callable[..., tuple[dict[str, Any], str]]) -> None:
    texts = ["goal team goal match", "team match coach goal", "oven flour sugar oven", "flour butter sugar oven"] * 5
    found, _ = small(texts, 2)
    values = {name: one["value"] for name, one in all_scores(found).items()}
    assert None not in values.values()
    assert all(len(topic["words"]) == 8 for topic in found["per_topic"])
    assert found["reference"]["pairs"] == 2 * 28
    assert values["topic_diversity"] == 0.5  # both contain all words
    assert values["npmi"] != 0


def test_a_vocabulary_of_one_word(small: Callable[..., tuple[dict[str, Any], str]]) -> None:
    texts = ["goal", "goal goal goal goal", "", "goal goal goal"] * 5
    found, shown = small(texts, 1, max_df=1.0)
    assert found["coherence"] == {}  # instead of 0
    assert "undefined" in shown
    assert [(topic["size"], topic["words"]) for topic in found["per_topic"]] == [(1.0, ["goal"])]
    assert not COHERENCE & found["per_topic"][0].keys()
    for name in ("inferred", "refined", "unigram"):
        assert found["perplexity"]["scores"][name]["value"] == pytest.approx(1)


# ---------------------------------------------------------------- prepare


def test_prepare_keeps_every_word_in_reading_order(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text('key,body,label\na,"The goal, the team!",x\nb,,\nc,A goal once,y\n')
    arguments = ("prepare", "texts.csv", "--reference", "--text-column", "body", "--id-column", "key", "--out", "out")
    done = warm(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "3 documents (1 empty)" in done.stderr
    assert "wrote out" in done.stderr
    corpus = Corpus.load(tmp_path / "out")
    assert [corpus.vocabulary[i] for i in corpus.tokens] == ["the", "goal", "the", "team", "goal", "once"]
    assert corpus.ids == ["a", "b", "c"]
    assert corpus.metadata["label"].to_list()[::2] == ["x", "y"]
    quiet = warm(*arguments[:-1], "quiet", "--quiet", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert snapshot(tmp_path / "quiet") == snapshot(tmp_path / "out")


def test_prepare_replaces_a_folder_only_with_overwrite(warm: Warm, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "train-counts", tmp_path / "counts")
    before = snapshot(tmp_path)
    again = ("prepare", folder / "test.txt", "--reference", "--out", "counts")
    assert_refused(warm(*again, cwd=tmp_path), "'counts' exists already", "--overwrite")
    assert snapshot(tmp_path) == before
    done = warm(*again, "--overwrite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert snapshot(tmp_path / "counts") == snapshot(folder / "test-counts")
    assert [path.name for path in tmp_path.iterdir()] == ["counts"]


REFUSED_TO_PREPARE = {
    # name: text, arguments, words of the message
    "without --out": ("goal\n", ["--reference"], ["--out"]),
    "an empty file": ("", ["--reference", "--out", "out"], ["no documents"]),
    "blank documents": ("\n\n", ["--reference", "--out", "out"], ["none of the 2 documents"]),
    "a foreign folder, overwritten": (
        "goal\n",
        ["--reference", "--out", "mine", "--overwrite"],
        ["mine'", "not created by topicnet"],
    ),
    "an unknown encoding": ("goal\n", ["--reference", "--out", "out", "--encoding", "utf-99"], ["utf-99"]),
}


@pytest.mark.parametrize("case", REFUSED_TO_PREPARE)
def test_a_reference_that_cannot_be_prepared_is_refused(case: str, warm: Warm, tmp_path: Path) -> None:
    content, arguments, mentions = REFUSED_TO_PREPARE[case]
    (tmp_path / "texts.txt").write_text(content)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    before = snapshot(tmp_path)
    assert_refused(warm("prepare", "texts.txt", *arguments, cwd=tmp_path), *mentions)
    assert snapshot(tmp_path) == before


# ---------------------------------------------------------------- log-likelihood

EFFORT = ("--draws", "40", "--chains", "4", "--temperatures", "8")


def test_likelihood_is_reported_with_its_errors(warm: Warm, folder: Path, run: Run) -> None:
    done = warm("evaluate", "run", "--test", "test.jsonl", "--likelihood", *EFFORT, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "estimate: " in done.stderr
    assert "likelihood 24/24" in done.stderr
    found = one_json(done.stdout)["likelihood"]
    n_tokens = int(counts_of(TEST, run).sum())
    assert (found["given"], found["empty"], found["documents"], found["tokens"]) == (26, 2, 24, n_tokens)
    assert found["estimates"].keys() == {"importance", "annealed"}
    for name, one in found["estimates"].items():
        values = [document[name] for document in found["per_document"]]
        errors = [document[f"{name}_error"] for document in found["per_document"]]
        assert one["nats"]["value"] == pytest.approx(np.mean(values))
        assert one["nats"]["low"] < one["nats"]["value"] < one["nats"]["high"]
        assert one["nats"]["convention"] == CONVENTIONS[name]
        assert one["monte_carlo_error"] == pytest.approx(math.sqrt(sum(error**2 for error in errors)) / 24)
        assert one["perplexity"]["value"] == pytest.approx(math.exp(-sum(values) / n_tokens))
        assert 1 <= one["ess"] <= one["draws"]
    assert found["bound"]["value"] < found["estimates"]["importance"]["nats"]["value"]


def test_likelihood_of_a_sample_is_printed(warm: Warm, folder: Path) -> None:
    options = ("--likelihood", *EFFORT, "--draws", "0", "--likelihood-documents", "5")
    done = warm("evaluate", "run", "--test", "test.jsonl", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "log-likelihood of test: 5 of 26 documents (2 have no known word), drawn at random" in done.stdout
    assert re.search(r"annealed importance +-\d+\.\d  \[.*\] ± \d+\.\d\d; median effective chains \d of 4", done.stdout)
    assert "perplexity, annealed" in done.stdout
    assert "importance weighting" not in done.stdout


def test_options_of_the_likelihood_are_refused_where_they_have_no_effect(warm: Warm, folder: Path) -> None:
    for options, message in (
        (("--test", "test.jsonl", "--draws", "40"), "--draws given without --likelihood"),
        (("--likelihood",), "--likelihood given without --test"),
        (("--test", "test.jsonl", "--likelihood", "--chains", "-1"), "chains=-1 given"),
        (("--test", "test.jsonl", "--likelihood", "--chains", "0", "--draws", "0"), "expected one of them above 0"),
    ):
        done = warm("evaluate", "run", *options, cwd=folder)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
