"""Counts made once, for later commands: the corpus of a fit, or a reference with every word in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.storage import atomic
from topicnet.text.corpus import Corpus
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Notice, count_every_word, kept_columns, read_corpus, silent
from topicnet.workflows.text_options import OF_CHOOSING, refuse_options, text_options


def prepare(config: FitConfig, out: Path, *, overwrite: bool, on_notice: Notice = silent) -> Corpus:
    """Count a corpus in one pass over its text and write the counts for `fit`, batch by batch.

    Of the other columns those that are named for keeping are kept, or all where none is. Memory holds the ids and
    these columns, every different word, and one batch; the rest is on disk from the start.
    """
    with atomic.atomic_folder(out, overwrite=overwrite) as folder, atomic.disk_errors(out):
        corpus = read_corpus(config, folder, on_notice, excerpts=False, columns=kept_columns(config) or None)
        corpus.save(folder)
    return corpus


def prepare_reference(config: FitConfig, out: Path, *, overwrite: bool, on_notice: Notice = silent) -> Corpus:
    """Count every word of a corpus, in reading order, and write it for `--reference` to open at once.

    Of any topic word the co-occurrences in documents and in windows of any width follow from this: 8 bytes a token, of
    which only the pages that are looked at are read.
    """
    refuse_options(config, (*OF_CHOOSING, "vocabulary"), str(config.corpus), "--reference keeps every word")
    with atomic.atomic_folder(out, overwrite=overwrite) as folder:
        with atomic.disk_errors(out):
            corpus = count_every_word(
                config, lambda lang: replace(text_options(config, lang), stop_words=()), folder, on_notice
            )
        if corpus.n_docs == 0:
            raise CorpusError(
                f"{str(config.corpus)!r} holds no documents: expected one document a line, a row or a file"
            )
        if corpus.counts.nnz == 0:
            raise CorpusError(
                f"none of the {corpus.n_docs} documents of {str(config.corpus)!r} holds a word (two letters or more):"
                " check the file and --text-column"
            )
        with atomic.disk_errors(out):
            corpus.save(folder)
    return corpus
