"""Files and folders that a configuration reads, so that no output overwrites them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.storage.overlap import STDIN, Named
from topicnet.text.interchange.bag_files import find_vocabulary
from topicnet.text.readers.folders import named_sources
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import ForeignCounts, SavedCounts, TextFiles, resolve_source

WORD_LISTS = ("stop_words", "add_stop_words", "vocabulary")


def inputs_of(config: FitConfig, what: str = "the corpus") -> Iterator[Named]:
    """Yield the name and path of each input of a configuration.

    These are the corpus (each file that a pattern matches), the files of words and the word vectors.

    Parameters
    ----------
    config : FitConfig
        The configuration.
    what : str
        Name of its corpus in messages.
    """
    source = resolve_source(config)
    if isinstance(source, TextFiles):
        named = [STDIN] if source.given == "-" else [Path(one) for one in named_sources(source.given)]
        yield from ((what, path) for path in named)
    elif isinstance(source, SavedCounts):
        yield what, source.folder
    elif isinstance(source, ForeignCounts):
        yield what, Path(source.path)
        with suppress(CorpusError):  # a missing vocabulary is reported when the counts are read
            yield "the vocabulary", source.vocabulary or find_vocabulary(Path(source.path))
    for name in WORD_LISTS:
        if (given := getattr(config, name)) is not None:
            yield f"the file of --{name.replace('_', '-')}", Path(given)
    vectors = config.parameters.get("embeddings")
    if isinstance(vectors, str) and os.path.isfile(vectors):
        yield "the word vectors", Path(vectors)
