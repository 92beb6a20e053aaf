"""Public corpora loaded by name, from YAML recipes that describe their source; topicnet ships no texts itself."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from topicnet.errors import CorpusError
from topicnet.runtime.extras import check_installed
from topicnet.storage import formats
from topicnet.text.readers.download import CachedDownload, cache_folder
from topicnet.text.readers.read import Documents, Value

BATCH_DOCS = 10_000


@dataclass(frozen=True)
class Recipe:
    """Description and source of a named corpus.

    Attributes
    ----------
    name : str
        Name that selects the corpus.
    title : str
    citation : str
    licence : str
    language : str
    documents : int
        Number of documents.
    download : bool
        Whether the corpus is downloaded on first use.
    source : dict
        "kind" and the entries that it needs. "package-file": package, path, sha256. "scikit-learn": loader, subset,
        remove. "download": url, sha256, format ("tsv", without header and quoting) and columns, one of them text.
    """

    name: str
    title: str
    citation: str
    licence: str
    language: str
    documents: int
    download: bool
    source: dict[str, Any]

    def check_libraries(self) -> None:
        """Raise CorpusError, with the pip extra to install, if the library that downloads the corpus is missing."""
        if self.source["kind"] == "download":
            check_installed(f"downloading the corpus {self.name!r}", ["pooch", "requests"], CorpusError)

    def read(self) -> Iterator[Documents]:
        """Yield the documents in batches.

        Raises
        ------
        CorpusError
            The corpus cannot be found or downloaded, or its checksum differs.
        """
        match self.source["kind"]:
            case "package-file":
                texts = self._lines_of_package_file()
                yield from _batches(texts, [{} for _ in texts])
            case "download":
                yield from _batches(*self._rows_of_download())
            case _:
                yield from _batches(*self._from_scikit_learn())

    def _lines_of_package_file(self) -> list[str]:
        package, path = self.source["package"], self.source["path"]
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise CorpusError(f"the corpus {self.name!r} comes with {package}, which is missing: install {package}")
        file = Path(spec.submodule_search_locations[0]) / path
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CorpusError(
                f"the corpus {self.name!r} is not in this {package} ({path}): install another version of {package}"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.source["sha256"]:
            raise CorpusError(
                f"{path} of {package} is not the corpus {self.name!r} of the recipe (checksum differs):"
                f" install another version of {package}"
            )
        return _lines(content)

    def _rows_of_download(self) -> tuple[list[str], list[dict[str, Value]]]:
        path = cache_folder() / f"{self.name}.{self.source['format']}"
        content = CachedDownload(self.name, self.source["url"], self.source["sha256"], path).content()
        rows: list[dict[str, Value]] = [
            dict(zip(self.source["columns"], line.split("\t"), strict=True)) for line in _lines(content)
        ]
        return [str(row.pop("text")) for row in rows], rows

    def _from_scikit_learn(self) -> tuple[list[str], list[dict[str, Value]]]:
        from sklearn import datasets

        loader = getattr(datasets, self.source["loader"])
        try:
            data = loader(subset=self.source["subset"], remove=tuple(self.source["remove"]))
        except OSError as error:
            raise CorpusError(
                f"the corpus {self.name!r} could not be downloaded ({' '.join(str(error).split())}):"
                " check the network, or give a file"
            ) from error
        return list(data.data), [{"label": data.target_names[label]} for label in data.target]


def recipes() -> dict[str, Recipe]:
    """Return all recipes by name, from the installed package or a checkout.

    Examples
    --------
    >>> "lee" in recipes()
    True
    """
    return dict(_recipes_in(_folder()))


@cache
def _recipes_in(folder: Path) -> dict[str, Recipe]:
    found = [Recipe(**formats.read_yaml(path, "name: lee")) for path in sorted(folder.glob("*.yaml"))]
    return {recipe.name: recipe for recipe in found}


def _folder() -> Path:
    package = Path(__file__).resolve().parents[2]
    installed = package / "corpora"
    return installed if installed.is_dir() else package.parent / "corpora"


def _lines(content: bytes) -> list[str]:
    """Split like the other readers: only a newline ends a line, and the last line needs none."""
    return content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")


def _batches(texts: list[str], metadata: list[dict[str, Value]]) -> Iterator[Documents]:
    ids = [str(number) for number in range(1, len(texts) + 1)]
    for begin in range(0, len(texts), BATCH_DOCS):
        part = slice(begin, begin + BATCH_DOCS)
        yield Documents(ids[part], texts[part], metadata[part])
