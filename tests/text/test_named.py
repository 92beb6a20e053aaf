"""Named corpora: every recipe can be read, and another text under the same name is refused."""

import dataclasses
import hashlib
import importlib.util
import urllib.error
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sklearn.datasets

from topicnet.errors import CorpusError, InputError
from topicnet.text import languages, named
from topicnet.text.named import Recipe, recipes
from topicnet.text.readers import Documents

RECIPES = sorted(named._folder().glob("*.yaml"))


def altered(recipe: Recipe, **source: Any) -> Recipe:
    return dataclasses.replace(recipe, source=recipe.source | source)


def refusal(recipe: Recipe) -> str:
    with pytest.raises(CorpusError) as caught:
        list(recipe.read())
    message = str(caught.value)
    assert message.isprintable()  # so: one line
    assert repr(recipe.name) in message
    return message


def test_the_named_corpora() -> None:
    assert {"lee", "20newsgroups"} <= set(recipes())
    assert len(recipes()) == len(RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_must(path: Path) -> None:
    recipe = recipes()[path.stem]  # so: a recipe is named as its file is
    assert all(text.strip() for text in (recipe.title, recipe.citation, recipe.licence))
    assert recipe.documents > 0
    assert languages.check_language(recipe.language) == recipe.language
    assert recipe.source["kind"] in ("package-file", "scikit-learn")
    assert recipe.download == (recipe.source["kind"] == "scikit-learn")


def test_recipes_are_found_installed_before_those_of_a_checkout(monkeypatch, tmp_path: Path) -> None:
    package = tmp_path / "topicnet"
    for place in (tmp_path / "corpora", package / "corpora"):
        place.mkdir(parents=True)
    monkeypatch.setattr(named, "__file__", str(package / "text" / "named.py"))
    assert named._folder() == package / "corpora"
    (package / "corpora").rmdir()
    assert named._folder() == tmp_path / "corpora"


def test_lee_is_300_documents_numbered_from_1() -> None:
    batches = list(recipes()["lee"].read())
    texts = [text for batch in batches for text in batch.texts]
    assert [i for batch in batches for i in batch.ids] == [str(n) for n in range(1, 301)]
    assert len(texts) == recipes()["lee"].documents == 300
    assert all(len(text.split()) > 10 for text in texts)
    assert texts[0].startswith("Hundreds of people have been forced to vacate their homes")
    assert not any("\n" in text or "\r" in text for text in texts)
    assert [m for batch in batches for m in batch.metadata] == [{}] * 300


def test_another_text_under_the_name_is_refused() -> None:
    message = refusal(altered(recipes()["lee"], sha256="0" * 64))
    assert "checksum differs" in message
    assert "install another version of gensim" in message


def test_a_file_that_is_not_in_the_package_is_refused() -> None:
    message = refusal(altered(recipes()["lee"], path="test/test_data/gone.cor"))
    assert "test/test_data/gone.cor" in message
    assert "install another version of gensim" in message


@pytest.mark.parametrize("package", ["no_such_package_here", "this"])
def test_a_package_that_is_missing_or_has_no_folder_is_refused(package: str) -> None:
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
def test_a_line_is_a_document(monkeypatch, tmp_path: Path, content: bytes, texts: list[str]) -> None:
    (tmp_path / "file.cor").write_bytes(content)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: spec)
    checksum = hashlib.sha256(content).hexdigest()
    recipe = altered(recipes()["lee"], path="file.cor", sha256=checksum)
    assert [text for batch in recipe.read() for text in batch.texts] == texts


def loader(answer: Any) -> tuple[Callable[..., Any], list[dict[str, Any]]]:
    """A stand-in for scikit-learn's download that keeps what it was asked."""
    asked: list[dict[str, Any]] = []

    def fetch(**arguments: Any) -> Any:
        asked.append(arguments)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return fetch, asked


def test_20newsgroups_asks_for_the_training_split_stripped_and_gives_labels(monkeypatch) -> None:
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


def test_documents_come_in_batches_that_are_numbered_through(monkeypatch) -> None:
    data = SimpleNamespace(data=list("abcde"), target=[0, 1, 0, 1, 0], target_names=["x", "y"])
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", loader(data)[0])
    monkeypatch.setattr(named, "BATCH_DOCS", 2)
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
def test_a_failed_download_is_one_line(monkeypatch, failure: OSError) -> None:
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", loader(failure)[0])
    message = refusal(recipes()["20newsgroups"])
    assert "could not be downloaded" in message
    assert "check the network, or give a file" in message


def test_reading_the_list_downloads_nothing(monkeypatch) -> None:
    fetch, asked = loader(RuntimeError("no download was asked for"))
    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", fetch)
    recipes()["20newsgroups"].read()  # a generator: nothing happens before it is iterated
    assert asked == []


def test_a_name_that_is_also_a_path_is_asked_about(tmp_path, monkeypatch):
    from topicnet.config import read_config
    from topicnet.run import read_corpus

    (tmp_path / "lee.txt").write_text("one cat\ntwo cats\n")
    monkeypatch.chdir(tmp_path)
    assert read_corpus(read_config(None, {"corpus": "lee.txt", "lang": "none"}))[0].n_docs == 2
    assert read_corpus(read_config(None, {"corpus": "lee"}))[0].n_docs == 300
    (tmp_path / "lee").mkdir()
    with pytest.raises(InputError, match=r"write \./lee"):
        read_corpus(read_config(None, {"corpus": "lee"}))
