"""Preparation of a corpus: counts made once and saved, for fits or as a reference for coherence."""

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
from topicnet.workflows.text_options import DOCUMENT_OPTIONS, VOCABULARY_OPTIONS, refuse_options


def prepare(config: FitConfig, out: Path, reporter: Reporter, *, overwrite: bool) -> Corpus:
    """Count a corpus in one pass over its text, and write the counts for `fit` batch by batch.

    The columns that are named are kept, or all columns if none is named. Memory holds the ids and these columns, the
    distinct words and one batch; everything else is written to disk at once.
    """
    check_counting(config, out, overwrite=overwrite)
    with atomic.atomic_folder(out, overwrite=overwrite) as folder, atomic.disk_errors(out):
        request = resolve_corpus(config)
        corpus = read_corpus(request, reporter, Counting(folder, excerpts=False, columns=request.columns or None))
        corpus.save(folder)
    return corpus


def prepare_reference(config: FitConfig, out: Path, reporter: Reporter, *, overwrite: bool) -> Corpus:
    """Count every word of a corpus, in reading order, as a reference for `evaluate --reference`.

    The co-occurrences of any topic words, in documents or in windows of any width, can be computed from it. It takes
    8 bytes per token, which are memory-mapped, so that only the pages in use are read.
    """
    refuse_options(
        config,
        (*VOCABULARY_OPTIONS, *DOCUMENT_OPTIONS, "vocabulary"),
        str(config.corpus),
        "--reference keeps every word",
    )
    check_counting(config, out, overwrite=overwrite)
    request, name = resolve_corpus(config), repr(str(config.corpus))
    with atomic.atomic_folder(out, overwrite=overwrite) as folder, atomic.disk_errors(out):
        text = request.text
        corpus = count_every_word(request, lambda lang: replace(text.options(lang), stop_words=()), reporter, folder)
        if corpus.n_docs == 0:
            raise CorpusError(f"{name} holds no documents: expected one document per line, row or file")
        if corpus.counts.nnz == 0:
            raise CorpusError(
                f"none of the {corpus.n_docs} documents of {name} holds a word (two letters or more): check the file"
                " and --text-column"
            )
        corpus.save(folder)
    return corpus
