"""Counts made once, for later commands: the corpus of a fit, or a reference with every word in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from topicnet.errors import CorpusError
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic
from topicnet.text.corpus import Corpus
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Counting, count_every_word, read_corpus, resolve_corpus
from topicnet.workflows.preflight import check_counting
from topicnet.workflows.text_options import OF_CHOOSING, OF_DOCUMENTS, refuse_options


def prepare(config: FitConfig, out: Path, reporter: Reporter, *, overwrite: bool) -> Corpus:
    """Count a corpus in one pass over its text and write the counts for `fit`, batch by batch.

    Of the other columns those that are named for keeping are kept, or all where none is. Memory holds the ids and
    these columns, every different word, and one batch; the rest is on disk from the start.
    """
    check_counting(config, out, overwrite=overwrite)
    with atomic.atomic_folder(out, overwrite=overwrite) as folder, atomic.disk_errors(out):
        request = resolve_corpus(config)
        corpus = read_corpus(request, reporter, Counting(folder, excerpts=False, columns=request.columns or None))
        corpus.save(folder)
    return corpus


def prepare_reference(config: FitConfig, out: Path, reporter: Reporter, *, overwrite: bool) -> Corpus:
    """Count every word of a corpus, in reading order, and write it for `--reference` to open at once.

    Of any topic word the co-occurrences in documents and in windows of any width follow from this: 8 bytes a token, of
    which only the pages that are looked at are read.
    """
    refuse_options(
        config, (*OF_CHOOSING, *OF_DOCUMENTS, "vocabulary"), str(config.corpus), "--reference keeps every word"
    )
    check_counting(config, out, overwrite=overwrite)
    request, name = resolve_corpus(config), repr(str(config.corpus))
    with atomic.atomic_folder(out, overwrite=overwrite) as folder, atomic.disk_errors(out):
        text = request.text
        corpus = count_every_word(request, lambda lang: replace(text.options(lang), stop_words=()), reporter, folder)
        if corpus.n_docs == 0:
            raise CorpusError(f"{name} holds no documents: expected one document a line, a row or a file")
        if corpus.counts.nnz == 0:
            raise CorpusError(
                f"none of the {corpus.n_docs} documents of {name} holds a word (two letters or more): check the file"
                " and --text-column"
            )
        corpus.save(folder)
    return corpus
