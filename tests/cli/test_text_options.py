"""Languages, cleaning, phrases and word lists change the counts and are saved with the model."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import topicnet
from tests.support.command_line import Warm, assert_refused, snapshot
from tests.support.corpora import THEMES, themed_documents

FAST = ("-k", "3", "--epochs", "1", "--init", "random", "--quiet")
DIRT = "see https://example.org/path?q=1 or www.foo.com, mail me@home.org <b>bold&nbsp;text</b> covid19 1990"
SENTENCES = {
    "de": [
        "Die Katzen liefen durch die Straßen und suchten nach den Mäusen in der Stadt",
        "Das Haus steht auf dem Berg und die Häuser sind alt",
        "Wir gingen mit den Kindern in die Schule und lernten für das Leben",
        "Der Zug fuhr nach München und die Züge waren voll mit Leuten",
    ],
    "zh": [
        "我们在北京的公司开发了新的机器学习系统",
        "足球比赛中球员踢进了一个漂亮的进球",
        "银行提高了贷款利率，投资者担心通货膨胀",
        "火箭飞向月球轨道上的卫星",
    ],
    "ja": [
        "彼らは東京の会社で新しい機械学習システムを開発した。",
        "サッカーの試合で選手が素晴らしいゴールを決めた。",
        "台所でバターと小麦粉を使ってパンを焼いた。",
        "ロケットは月の軌道を飛んだ。",
    ],
    "ko": [
        "서울의 회사에서 새로운 기계 학습 시스템을 개발했다",
        "축구 경기에서 선수가 멋진 골을 넣었다",
        "부엌에서 버터와 밀가루로 빵을 구웠다",
        "로켓이 달의 궤도를 날았다",
    ],
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of small corpora and word lists; tests must not change it."""
    folder = tmp_path_factory.mktemp("texts")
    dirty = [f"{text} {DIRT} prime minister of New York" for text in themed_documents(40)]
    pl.DataFrame({"id": [f"d{n}" for n in range(40)], "text": dirty}).write_csv(folder / "dirty.csv")
    rng = random.Random(1)
    for lang, sentences in SENTENCES.items():
        documents = [" ".join(rng.sample(sentences, 2)) for _ in range(24)]
        (folder / f"{lang}.txt").write_text("\n".join([*documents, "", "?!"]) + "\n", "utf-8")
    (folder / "words.txt").write_text("Team\nGOAL\nPrime Minister\nnew_york\nzebra\n")
    (folder / "stop.txt").write_text("# tell nothing\nteam Goal\noven\n")
    return folder


def vocabulary(counts: Path) -> list[str]:
    return (counts / "vocabulary.txt").read_text("utf-8").splitlines()


def header(run: Path) -> Any:
    return json.loads((run / "model" / "model.json").read_text("utf-8"))["text"]


PIPELINES: dict[str, tuple[str, list[str]]] = {
    "cleaned, with phrases": (
        "dirty.csv",
        ["--drop-urls", "--drop-emails", "--strip-html", "--keep-numbers", "--phrases", "--max-df", "1.0"],
    ),
    "lemmas and phrases": ("de.txt", ["--lang", "de", "--lemmatize", "--phrases", "--max-df", "1.0"]),
    "given words": ("dirty.csv", ["--vocabulary", "words.txt"]),
    "a detected language, in passages": ("de.txt", ["--lang", "auto", "--passages", "3", "--stop-words", "stop.txt"]),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "lemmas and phrases" else []) for name in PIPELINES]
)
def test_every_pipeline_is_the_same_in_fit_prepare_and_transform(
    name: str, warm: Warm, texts: Path, tmp_path: Path
) -> None:
    corpus, options = PIPELINES[name]
    passages = ["--passages", "3"] if "--passages" in options else []
    counting = [word for word in options if word not in passages]
    before = snapshot(texts)
    for command in (
        ["fit", corpus, *FAST, *counting, *passages, "--out", tmp_path / "run"],
        ["prepare", corpus, *counting, "--quiet", "--out", tmp_path / "counts"],
        ["fit", tmp_path / "counts", *FAST, *passages, "--out", tmp_path / "same"],
        ["transform", tmp_path / "run", corpus, "--out", tmp_path / "texts.csv"],
        ["transform", tmp_path / "same", tmp_path / "counts", "--out", tmp_path / "counts.csv"],
    ):
        done = warm(*command, cwd=texts)
        assert done.returncode == 0, done.stderr
    expected = (tmp_path / "run" / "doc_topic.csv").read_bytes()
    for file in ("same/doc_topic.csv", "texts.csv", "counts.csv"):
        assert (tmp_path / file).read_bytes() == expected, file
    for file in ("model/model.safetensors", "model/vocabulary.txt", "corpus/tokens.npy"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "same" / file).read_bytes()
    assert header(tmp_path / "run") == header(tmp_path / "same")
    n_docs = 40 if corpus == "dirty.csv" else 26
    table = pl.read_csv(tmp_path / "run" / "doc_topic.csv", infer_schema=False)
    assert table.height == n_docs
    assert corpus == "dirty.csv" or table["status"].to_list()[-2:] == ["empty", "oov"]
    assert snapshot(texts) == before


@pytest.mark.parametrize(
    ("lang", "options"),
    [
        ("zh", {"lang": "zh", "phrases": True, "passages": 3}),
        ("ja", {"lang": "auto", "lemmatize": True}),
        pytest.param("ko", {"lang": "auto"}, marks=pytest.mark.slow),
        ("de", {"lang": "de", "tokenizer": "spacy", "lemmatize": True}),
    ],
)
def test_slow_segmenters_give_the_same_result_in_python(
    lang: str, options: dict[str, Any], texts: Path, tmp_path: Path
) -> None:
    given = (texts / f"{lang}.txt").read_text("utf-8").splitlines()
    run = topicnet.fit(
        given, n_topics=3, max_df=1.0, max_epochs=1, init="random", device="cpu", random_state=1, **options
    )
    assert run.status[-2:] == ["empty", "oov"]
    assert set(run.status[:-2]) == {"ok"}
    assert len(run.theta) == len(given)
    assert np.array_equal(run.transform(given), run.theta)
    again = topicnet.load(run.save(tmp_path / "run"))
    assert np.array_equal(again.transform(given), run.theta)
    assert again.bundle.text["lang"] == lang
    language = again.record["data"].get("language", "")
    assert language.startswith(f"language: {lang} (100 %") is (options["lang"] == "auto")


# ---------------------------------------------------------------- effect of each option


def counted(warm: Warm, texts: Path, tmp_path: Path, corpus: str, *options: str) -> list[str]:
    """Return the vocabulary counted with the options."""
    done = warm("prepare", corpus, *options, "--out", tmp_path / "counts", "--overwrite", cwd=texts)
    assert done.returncode == 0, done.stderr
    return vocabulary(tmp_path / "counts")


def test_addresses_and_markup_are_removed_and_numbers_kept_on_request(warm: Warm, texts: Path, tmp_path: Path) -> None:
    every = ("dirty.csv", "--lang", "none", "--max-df", "1.0")
    plain = set(counted(warm, texts, tmp_path, *every))
    url, mail, markup = {"https", "example", "path", "www", "foo", "com"}, {"home"}, {"nbsp"}
    assert url | mail | markup | {"covid", "bold", "text"} < plain
    assert not {"covid19", "1990"} & plain
    assert plain - set(counted(warm, texts, tmp_path, *every, "--drop-urls")) == url
    assert plain - set(counted(warm, texts, tmp_path, *every, "--drop-emails")) == mail | {"me"}
    assert plain - set(counted(warm, texts, tmp_path, *every, "--strip-html")) == markup
    numbers = set(counted(warm, texts, tmp_path, *every, "--keep-numbers"))
    assert numbers - plain == {"covid19", "1990"}
    assert plain - numbers == {"covid"}


def test_own_stop_words_replace_or_extend_those_of_the_language(warm: Warm, texts: Path, tmp_path: Path) -> None:
    every = ("dirty.csv", "--max-df", "1.0")
    plain = set(counted(warm, texts, tmp_path, *every))
    assert {"team", "goal", "oven"} < plain
    assert "of" not in plain
    beside = set(counted(warm, texts, tmp_path, *every, "--add-stop-words", "stop.txt"))
    assert plain - beside == {"team", "goal", "oven"}
    instead = set(counted(warm, texts, tmp_path, *every, "--stop-words", "stop.txt"))
    assert not {"team", "goal", "oven"} & instead
    assert {"of", "or", "see"} <= instead


def test_only_the_words_of_the_vocabulary_are_counted(warm: Warm, texts: Path, tmp_path: Path) -> None:
    assert counted(warm, texts, tmp_path, "dirty.csv", "--vocabulary", "words.txt") == [
        "goal", "new_york", "prime_minister", "team", "zebra",
    ]  # fmt: skip
    table = pl.read_parquet(tmp_path / "counts" / "documents.parquet")
    expected = [2 + text.split().count("team") + text.split().count("goal") for text in themed_documents(40)]
    assert table["n_tokens"].to_list() == expected


def test_phrases_replace_their_words(warm: Warm, texts: Path, tmp_path: Path) -> None:
    found = counted(warm, texts, tmp_path, "dirty.csv", "--phrases", "--max-df", "1.0", "--drop-urls", "--strip-html")
    phrases = [word for word in found if "_" in word]
    assert any("prime_minister" in phrase for phrase in phrases)
    assert not {"prime", "minister"} & set(found)
    assert {word for words in THEMES.values() for word in words.split()} <= set(found)
    assert not any("of" in phrase.split("_") for phrase in phrases)  # stop words separate phrases


def test_words_are_counted_in_their_dictionary_form(warm: Warm, texts: Path, tmp_path: Path) -> None:
    plain = set(counted(warm, texts, tmp_path, "de.txt", "--lang", "de", "--max-df", "1.0"))
    lemmas = set(counted(warm, texts, tmp_path, "de.txt", "--lang", "de", "--max-df", "1.0", "--lemmatize"))
    assert {"katzen", "mäusen", "häuser", "haus", "straßen"} < plain
    assert {"katze", "maus", "haus", "straße"} < lemmas
    assert not {"katzen", "mäusen", "häuser", "straßen"} & lemmas


@pytest.mark.parametrize(
    ("lang", "words", "particles"),
    [
        ("zh", {"公司", "系统", "银行", "月球"}, {"的", "了", "在"}),
        ("ja", {"会社", "試合", "飛ぶ", "機械"}, {"の", "は", "で", "飛んだ"}),
    ],
)
def test_a_detected_language_has_its_stop_words_dropped(
    lang: str, words: set[str], particles: set[str], warm: Warm, texts: Path, tmp_path: Path
) -> None:
    done = warm("prepare", f"{lang}.txt", "--lang", "auto", "--max-df", "1.0", "--out", tmp_path / "counts", cwd=texts)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"language: {lang} (100 % of ")
    found = set(vocabulary(tmp_path / "counts"))
    assert words <= found
    assert not particles & found
    source = json.loads((tmp_path / "counts" / "counts.json").read_text("utf-8"))["source"]
    assert source["language"] == done.stderr.splitlines()[0]
    assert source["options"]["lang"] == lang


def test_a_detected_language_gives_the_same_counts_as_a_named_one(warm: Warm, texts: Path, tmp_path: Path) -> None:
    for lang in ("auto", "de"):
        done = warm("prepare", "de.txt", "--lang", lang, "--out", tmp_path / lang, cwd=texts)
        assert done.returncode == 0, done.stderr
    for name in ("data.npy", "indices.npy", "tokens.npy", "vocabulary.txt", "documents.parquet"):
        assert (tmp_path / "auto" / name).read_bytes() == (tmp_path / "de" / name).read_bytes()


# ---------------------------------------------------------------- refusals

REFUSED: dict[str, tuple[list[str], str]] = {
    "an unknown language": (["dirty.csv", "--lang", "xx"], "'xx'"),
    "a language without a tokenizer": (["dirty.csv", "--lang", "th"], "Thai"),
    "no language detected": (["names.txt", "--lang", "auto"], "no language found"),
    "several languages": (["both.txt", "--lang", "auto"], "several languages"),
    "an unknown tokenizer": (["dirty.csv", "--tokenizer", "words"], "'words'"),
    "spaCy without rules": (["dirty.csv", "--lang", "pl", "--tokenizer", "spacy"], "--tokenizer spacy"),
    "lemmas of no language": (["dirty.csv", "--lang", "none", "--lemmatize"], "--lemmatize"),
    "numbers in Chinese": (["dirty.csv", "--lang", "zh", "--keep-numbers"], "--keep-numbers"),
    "words that are missing": (["dirty.csv", "--vocabulary", "none.txt"], "none.txt"),
    "words that are empty": (["dirty.csv", "--vocabulary", "empty.txt"], "empty.txt"),
    "words that are not words": (["dirty.csv", "--vocabulary", "numbers.txt"], "line 2"),
    "words in another encoding": (["dirty.csv", "--vocabulary", "latin.txt"], "latin.txt"),
    "stop words in another encoding": (["dirty.csv", "--add-stop-words", "latin.txt"], "latin.txt"),
}


@pytest.fixture(scope="module")
def odd(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of unusable files."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "dirty.csv").write_bytes((texts / "dirty.csv").read_bytes())
    (folder / "names.txt").write_text("Anna Berta\nCarla Dora\n" * 10)
    both = "the cat and the dog are in the house\nder Hund und die Katze sind in dem Haus\n"
    (folder / "both.txt").write_text(both * 10)
    (folder / "empty.txt").write_text("# nothing\n\n")
    (folder / "numbers.txt").write_text("team\n1990\n")
    (folder / "latin.txt").write_bytes("état\n".encode("latin-1"))
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_used_are_refused_in_one_line(case: str, warm: Warm, odd: Path, tmp_path: Path) -> None:
    arguments, word = REFUSED[case]
    done = warm("prepare", *arguments, "--out", tmp_path / "counts", cwd=odd)
    assert_refused(done, word)
    assert list(tmp_path.iterdir()) == []


def test_a_model_refuses_text_if_the_version_of_its_tokenizer_differs(warm: Warm, texts: Path, tmp_path: Path) -> None:
    counting = ("--lang", "zh", "--max-df", "1.0", "--out", tmp_path / "counts")
    assert warm("prepare", "zh.txt", *counting, cwd=texts).returncode == 0
    path = tmp_path / "counts" / "counts.json"
    found = json.loads(path.read_text("utf-8"))
    name = found["source"]["options"]["tokenizer"]
    assert name.startswith("jieba-")
    found["source"]["options"]["tokenizer"] = "jieba-0.1+folded-1"
    path.write_text(json.dumps(found), "utf-8")
    done = warm("fit", "counts", *FAST, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert header(tmp_path / "run")["tokenizer"] == "jieba-0.1+folded-1"
    before = snapshot(tmp_path)
    for command in (
        ("transform", "run", texts / "zh.txt", "--out", "t.csv"),
        ("evaluate", "run", "--test", texts / "zh.txt"),
    ):
        assert_refused(warm(*command, cwd=tmp_path), "jieba-0.1", name, "fit again")
    assert snapshot(tmp_path) == before
    assert warm("evaluate", "run", cwd=tmp_path).returncode == 0  # for its own counts
