"""The corpus a configuration names: a recipe, a path or standard input, read and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from topicnet.config import FitConfig
from topicnet.errors import InputError
from topicnet.text.counts import Corpus, TextOptions
from topicnet.text.named import Recipe, recipes
from topicnet.text.readers import Documents, read_documents, source_name
from topicnet.text.vocabulary import Pruning


def corpus_name(config: FitConfig) -> str:
    """What the corpus of a configuration is called."""
    if config.corpus is None:
        raise InputError("no corpus was given, expected a file, a folder, - or one of `topicnet corpora`")
    recipe = named_recipe(config.corpus)
    return recipe.name if recipe else source_name(config.corpus)


def documents_of(config: FitConfig) -> Iterator[Documents]:
    """The documents of the corpus a configuration names, in batches."""
    assert config.corpus is not None
    recipe = named_recipe(config.corpus)
    if recipe is not None:
        return recipe.read()
    return read_documents(
        config.corpus, text_column=config.text_column, id_column=config.id_column, encoding=config.encoding
    )


def read_corpus(config: FitConfig) -> tuple[Corpus, TextOptions]:
    """Read and count the corpus a configuration names: a recipe's name or a path."""
    name = corpus_name(config)
    recipe = named_recipe(str(config.corpus))
    lang = config.lang or (recipe.language if recipe else "en")
    words = None if config.stop_words is None else _read_stop_words(Path(config.stop_words))
    options = TextOptions(lang, words, Pruning(config.min_df, config.max_df, config.max_vocab))
    corpus = Corpus.from_documents(documents_of(config), options=options, keep_texts=config.keep_texts, name=name)
    return corpus, options


def count_every_word(config: FitConfig, dropped: tuple[str, ...] = ()) -> Corpus:
    """Count all words of the corpus a configuration names but those dropped; saved counts keep their own words."""
    folder = Path(str(config.corpus))
    if (folder / "counts.json").is_file():
        return Corpus.load(folder)
    options = TextOptions(lang="none", stop_words=dropped)
    return Corpus.from_documents(documents_of(config), options=options, every_word=True, name=corpus_name(config))


def named_recipe(corpus: str) -> Recipe | None:
    """The recipe of a named corpus, or None for a path.

    Raises
    ------
    InputError
        The name stands for a recipe and for something in this folder.
    """
    recipe = recipes().get(corpus)
    if recipe is not None and os.path.exists(corpus):
        raise InputError(
            f"{corpus!r} is a named corpus and also something in this folder: write ./{corpus} for what is here, or"
            " work in another folder for the named corpus"
        )
    return recipe


def _read_stop_words(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text("utf-8-sig").split())
    except OSError as error:
        raise InputError(f"cannot read the stop words {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the stop words {str(path)!r} are not UTF-8: expected a text file of words") from error
