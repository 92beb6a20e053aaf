"""Saved models: a fitted model with its vocabulary and text pipeline, checksummed and free of executable code.

::

    model/model.safetensors   the network's tensors
    model/model.json          format, class, parameters, text pipeline, checksums of the three
    model/vocabulary.txt      one word a line, in column order
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from topicnet.errors import BundleError, InputError
from topicnet.models import MODELS
from topicnet.runtime.forking import check_can_use_polars
from topicnet.storage import formats, model_files
from topicnet.storage.model_files import TENSORS, damaged, history_of
from topicnet.text.corpus import Corpus
from topicnet.text.passages import document_theta, in_passages
from topicnet.text.readers.read import Documents
from topicnet.text.tokens.multiprocess import tokenize_in_processes
from topicnet.text.tokens.options import options_of

if TYPE_CHECKING:
    from topicnet.models import TopicModel

FORMAT = 2
# Text options that format 2 added; versions that only know format 1 would silently tokenise without them.
SINCE_2 = {"tokenizer_kind", "lemmatize", "cleaning", "phrases", "passages"}
VOCABULARY = "vocabulary.txt"
HEADER_TYPES = {"ending": dict, "model": str, "parameters": dict, "vocab_size": int, "text": dict, "history": list}


@dataclass(frozen=True, repr=False)
class Bundle:
    """Fitted model with its vocabulary and text pipeline, so that it can read raw text.

    Attributes
    ----------
    name : str
        Name of the model in `MODELS`.
    model : TopicModel
        The fitted estimator.
    vocabulary : list of str
        Words in the order of the columns of the counts, (V,).
    text : dict
        The text pipeline, as `TextOptions.describe` returns it.
    """

    name: str
    model: TopicModel
    vocabulary: list[str]
    text: dict[str, Any]

    def __repr__(self) -> str:
        tokenizer = self.text.get("tokenizer")
        topics, words = self.model.n_topics, len(self.vocabulary)
        return f"Bundle({self.name!r}: {topics} topics, {words:,} words, tokenizer {tokenizer})"

    def count(self, documents: Iterable[Documents], workers: int = 1, *, at_once: bool = True) -> Corpus:
        """Count the known words of documents, tokenised in up to `workers` processes, without keeping excerpts."""
        check_can_use_polars()
        options = options_of(self.text)  # stop words are not in the vocabulary, so none need dropping
        with tokenize_in_processes(options, workers, at_once=at_once) as in_processes:
            return Corpus.from_documents(documents, options=in_processes, vocabulary=self.vocabulary, excerpts=False)

    def theta(self, corpus: Corpus, refine: int = 0) -> NDArray[np.float32]:
        """Infer theta (D, K) of counted documents."""
        if corpus.n_docs == 0:
            return np.zeros((0, self.model.n_topics), dtype=np.float32)
        if "passages" not in self.text:
            return self.model.transform(corpus.counts, refine=refine)
        check_reading_order(corpus, f"the model's passages of {self.text['passages']} words")
        passages = in_passages(corpus, self.text["passages"])
        return document_theta(self.model.transform(passages.counts, refine=refine), passages)

    def extra_documents(self, corpus: Corpus) -> dict[str, NDArray[np.float32]]:
        """Infer the model's extra tables of counted documents, by unit: "component" holds q(c|x), (D, n)."""
        return {extra.unit: extra.of_documents(corpus.counts) for extra in self.model.extra_tables()}


def check_reading_order(corpus: Corpus, what: str) -> None:
    """Raise InputError if a corpus does not record the order of its words."""
    if not corpus.source.get("reading_order", True):
        raise InputError(
            f"{what} need the order of the words, which the counts {corpus.source['name']!r} do not record: give the"
            " text"
        )


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle into a staged folder."""
    model_files.write_tensors(folder, bundle.model.network_.state_dict())
    formats.write_text(folder / VOCABULARY, "".join(f"{word}\n" for word in bundle.vocabulary))
    header = {
        "format": FORMAT if SINCE_2 & bundle.text.keys() else 1,
        "model": bundle.name,
        "parameters": model_files.json_parameters(bundle.model.get_params(deep=False)),
        "vocab_size": len(bundle.vocabulary),
        "text": bundle.text,
        "history": bundle.model.history_,
        "ending": bundle.model.ending(),
    }
    model_files.write_header(folder, header, (TENSORS, VOCABULARY))


def load_bundle(path: str | Path) -> Bundle:
    """Load the bundle in a run folder, or a bundle folder itself.

    Raises
    ------
    BundleError
        The folder has no bundle of topics, or it is damaged or of a newer format.
    """
    folder = model_files.folder_of(path)
    header = model_files.read_header(
        folder, what="model", command="topicnet fit", newest=FORMAT, refuse=_other_than_topics, types=HEADER_TYPES
    )
    vocabulary = model_files.checked_file(folder, header, VOCABULARY).read_text("utf-8").split("\n")[:-1]
    if len(vocabulary) != header["vocab_size"] or len(set(vocabulary)) != len(vocabulary):
        raise damaged(folder, "its vocabulary differs from the one it records")
    if not isinstance(header["text"].get("tokenizer"), str):
        raise damaged(folder, "it does not record the tokenizer of its text")
    return Bundle(header["model"], _build_model(folder, header), vocabulary, header["text"])


def _other_than_topics(header: Any) -> str | None:
    if isinstance(header, dict) and header.get("kind") == "images":
        return "holds an image model: read it with the commands of `topicnet images`"
    if not isinstance(header, dict) or not isinstance(header.get("format"), int) or "model" not in header:
        return "is not a model of topicnet: expected a run folder of `topicnet fit`"
    return None


def _build_model(folder: Path, header: dict[str, Any]) -> TopicModel:
    kind = MODELS.get(header["model"])
    if kind is None:
        raise BundleError(
            f"{str(folder)!r} holds a model {header['model']!r}, this version has {', '.join(MODELS)}: update topicnet"
        )
    tensors = model_files.read_tensors(folder, header)
    try:
        model = kind(**header["parameters"])
        ending = header["ending"] | {"validation_bound": header["ending"].get("validation_bound") or math.nan}
        model.restore(header["vocab_size"], tensors, history_of(header), ending)
    except (InputError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(folder, str(error).splitlines()[0]) from error
    return model
