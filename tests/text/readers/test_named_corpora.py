"""Tests of named corpora: recipes, checksums and downloads."""

import dataclasses
import hashlib
import importlib.util
import re
import shutil
import socket
import urllib.error
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sklearn.datasets

from topicnet.errors import CorpusError, InputError
from topicnet.text.readers import named_corpora
from topicnet.text.readers.named_corpora import Recipe, recipes
from topicnet.text.readers.read import Documents
from topicnet.text.tokens import languages

RECIPES = sorted(named_corpora._folder().glob("*.yaml"))


def altered(recipe: Recipe, **source: Any) -> Recipe:
    return dataclasses.replace(recipe, source=recipe.source | source)


def refusal(recipe: Recipe) -> str:
    with pytest.raises(CorpusError) as caught:
        list(recipe.read())
    message = str(caught.value)
    assert message.isprintable()  # implies one line
    assert repr(recipe.name) in message
    return message


def test_the_named_corpora() -> None:
    assert {"lee", "20newsgroups", "m10", "dblp"} <= set(recipes())
    assert len(recipes()) == len(RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_complete(path: Path) -> None:
    recipe = recipes()[path.stem]  # so that a recipe has the name of its file
    assert all(text.strip() for text in (recipe.title, recipe.citation, recipe.licence))
    assert recipe.documents > 0
    assert languages.check_language(recipe.language) == recipe.language
    assert recipe.source["kind"] in ("package-file", "scikit-learn", "download")
    assert recipe.download == (recipe.source["kind"] != "package-file")


@pytest.mark.parametrize("name", ["m10", "dblp"])
def test_a_download_recipe_names_one_file(name: str) -> None:
    source = recipes()[name].source
    assert set(source) == {"kind", "url", "sha256", "format", "columns"}
    assert source["url"].startswith("https://")  # pinned here, because the code downloads any address in a recipe
    assert re.fullmatch("[0-9a-f]{64}", source["sha256"])
    assert source["format"] == "tsv"
    assert source["columns"] == ["text", "split", "label"]


def test_installed_recipes_are_preferred_to_those_of_a_checkout(monkeypatch, tmp_path: Path) -> None:
    package = tmp_path / "topicnet"
    for place in (tmp_path / "corpora", package / "corpora"):
        place.mkdir(parents=True)
    monkeypatch.setattr(named_corpora, "__file__", str(package / "text" / "readers" / "named_corpora.py"))
    assert named_corpora._folder() == package / "corpora"
    (package / "corpora").rmdir()
    assert named_corpora._folder() == tmp_path / "corpora"


def test_lee_is_300_documents_numbered_from_1() -> None:
    batches = list(recipes()["lee"].read())
    texts = [text for batch in batches for text in batch.texts]
    assert [i for batch in batches for i in batch.ids] == [str(n) for n in range(1, 301)]
    assert len(texts) == recipes()["lee"].documents == 300
    assert all(len(text.split()) > 10 for text in texts)
    assert texts[0].startswith("Hundreds of people have been forced to vacate their homes")
    assert not any("\n" in text or "\r" in text for text in texts)
    assert [m for batch in batches for m in batch.metadata] == [{}] * 300


def test_another_text_with_the_same_name_is_rejected() -> None:
    message = refusal(altered(recipes()["lee"], sha256="0" * 64))
    assert "checksum differs" in message
    assert "install another version of gensim" in message


def test_a_file_missing_from_the_package_is_rejected() -> None:
    message = refusal(altered(recipes()["lee"], path="test/test_data/gone.cor"))
    assert "test/test_data/gone.cor" in message
    assert "install another version of gensim" in message


@pytest.mark.parametrize("package", ["no_such_package_here", "this"])
def test_a_missing_package_or_folder_is_rejected(package: str) -> None:
    assert f"install {package}" in refusal(altered(recipes()["lee"], package=package))


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"one\n\ntwo\n\n", ["one", "", "two", ""]),
        ("a\u2028b\x0cc\n".encode(), ["a\u2028b\x0cc"]),
    ],
)
def test_each_line_is_a_document(monkeypatch, tmp_path: Path, content: bytes, texts: list[str]) -> None:
    (tmp_path / "file.cor").write_bytes(content)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: spec)
    checksum = hashlib.sha256(content).hexdigest()
    recipe = altered(recipes()["lee"], path="file.cor", sha256=checksum)
    assert [text for batch in recipe.read() for text in batch.texts] == texts


def loader(answer: Any) -> tuple[Callable[..., Any], list[dict[str, Any]]]:
    """A replacement for scikit-learn's download that records its arguments."""
    asked: list[dict[str, Any]] = []

    def fetch(**arguments: Any) -> Any:
        asked.append(arguments)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return fetch, asked


def test_20newsgroups_is_the_stripped_training_split_with_labels(monkeypatch) -> None:
    data = SimpleNamespace(data=["first", "", "third"], target=[1, 0, 1], target_names=["alt.atheism", "sci.space"])
    fetch, asked = loader(data)
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", fetch)
    assert list(recipes()["20newsgroups"].read()) == [
        Documents(
            ["1", "2", "3"],
            ["first", "", "third"],
            [{"label": "sci.space"}, {"label": "alt.atheism"}, {"label": "sci.space"}],
        )
    ]
    assert asked == [{"subset": "train", "remove": ("headers", "footers", "quotes")}]


def test_documents_are_numbered_across_batches(monkeypatch) -> None:
    data = SimpleNamespace(data=list("abcde"), target=[0, 1, 0, 1, 0], target_names=["x", "y"])
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", loader(data)[0])
    monkeypatch.setattr(named_corpora, "BATCH_DOCS", 2)
    batches = list(recipes()["20newsgroups"].read())
    assert [batch.ids for batch in batches] == [["1", "2"], ["3", "4"], ["5"]]
    assert [batch.texts for batch in batches] == [["a", "b"], ["c", "d"], ["e"]]
    labels = [[metadata["label"] for metadata in batch.metadata] for batch in batches]
    assert labels == [["x", "y"], ["x", "y"], ["x"]]


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("[Errno -3] Temporary failure in name resolution"),
        ConnectionResetError(104, "Connection reset by peer"),
        OSError("checksum of the download differs"),
        OSError("first line\nsecond line"),
    ],
    ids=["name", "reset", "checksum", "two-lines"],
)
def test_a_failed_download_is_reported_in_one_line(monkeypatch, failure: OSError) -> None:
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", loader(failure)[0])
    message = refusal(recipes()["20newsgroups"])
    assert "could not be downloaded" in message
    assert "check the network, or give a file" in message


def test_listing_the_recipes_downloads_nothing(monkeypatch) -> None:
    fetch, asked = loader(RuntimeError("no download was asked for"))
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", fetch)
    recipes()["20newsgroups"].read()  # a generator does nothing until it is iterated
    assert asked == []


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder, with the network blocked."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TOPICNET_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a b\ttrain\t1\nc\ttest\t0\n", [("a b", "train", "1"), ("c", "test", "0")]),
        (b"a b\ttrain\t1\nc\ttest\t0", [("a b", "train", "1"), ("c", "test", "0")]),
        (b"a\ttrain\t1\r\nb\ttest\t0\r\n", [("a", "train", "1"), ("b", "test", "0")]),
        (b"\ttrain\t1\n \t\t\n", [("", "train", "1"), (" ", "", "")]),
        (b'"a\ttrain\t"1\n\'b"\t#\t0\n', [('"a', "train", '"1'), ("'b\"", "#", "0")]),
        ("\u00e9\u2028b\x0cc\ttrain\t1\n".encode(), [("\u00e9\u2028b\x0cc", "train", "1")]),
    ],
    ids=["lines", "no-last-newline", "crlf", "empty-fields", "quotes", "unicode"],
)
def test_each_line_of_a_download_is_a_document(cache: Path, content: bytes, rows: list[tuple[str, str, str]]) -> None:
    (cache / "m10.tsv").write_bytes(content)
    recipe = altered(recipes()["m10"], sha256=hashlib.sha256(content).hexdigest())
    assert list(recipe.read()) == [
        Documents(
            [str(n) for n in range(1, len(rows) + 1)],
            [text for text, _, _ in rows],
            [{"split": split, "label": label} for _, split, label in rows],
        )
    ]


@pytest.mark.parametrize("name", ["m10", "dblp"])
def test_a_download_without_a_network_is_reported_in_one_line(cache: Path, name: str) -> None:
    message = refusal(recipes()[name])
    assert "(Connection refused): check the network" in message
    assert repr(str(cache / f"{name}.tsv")) in message
    assert list(cache.iterdir()) == []


def test_a_download_starts_only_when_it_is_iterated(cache: Path) -> None:
    recipes()["m10"].read()
    assert not cache.exists() or list(cache.iterdir()) == []


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "splits", "n_labels"),
    [
        ("m10", {"train": 5847, "val": 1254, "test": 1254}, 10),
        ("dblp", {"train": 38215, "val": 8190, "test": 8190}, 4),
    ],
)
def test_the_published_file_matches_the_recipe(
    shared_data: Path, cache: Path, name: str, splits: dict[str, int], n_labels: int
) -> None:
    source = shared_data / name / "corpus.tsv"
    shutil.copyfile(source, cache / f"{name}.tsv")
    batches = list(recipes()[name].read())
    texts = [text for batch in batches for text in batch.texts]
    metadata = [row for batch in batches for row in batch.metadata]
    assert len(texts) == recipes()[name].documents == source.read_bytes().count(b"\n")
    assert [i for batch in batches for i in batch.ids] == [str(n) for n in range(1, len(texts) + 1)]
    assert Counter(row["split"] for row in metadata) == splits
    assert {row["label"] for row in metadata} == {str(label) for label in range(n_labels)}
    assert all(text and "\t" not in text for text in texts)


def test_a_name_that_is_also_a_path_is_ambiguous(tmp_path, monkeypatch):
    from topicnet.workflows.config import read_config
    from topicnet.workflows.corpus import read_corpus, resolve_corpus

    (tmp_path / "lee.txt").write_text("one cat\ntwo cats\n")
    monkeypatch.chdir(tmp_path)
    assert read_corpus(resolve_corpus(read_config(None, {"corpus": "lee.txt", "lang": "none"}))).n_docs == 2
    assert read_corpus(resolve_corpus(read_config(None, {"corpus": "lee"}))).n_docs == 300
    (tmp_path / "lee").mkdir()
    with pytest.raises(InputError, match=r"write \./lee"):
        read_corpus(resolve_corpus(read_config(None, {"corpus": "lee"})))
