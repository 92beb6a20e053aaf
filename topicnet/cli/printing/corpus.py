"""How a corpus is described; apart from what shows results, which needs torch."""

from __future__ import annotations

from topicnet.text.corpus import EMPTY, OOV, Corpus


def describe_corpus(corpus: Corpus) -> str:
    """One line about a corpus: documents, how many say nothing, words and tokens."""
    silent = [f"{n} {name}" for name in (EMPTY, OOV) if (n := int((corpus.status == name).sum()))]
    note = f" ({', '.join(silent)})" if silent else ""
    documents = "1 document" if corpus.n_docs == 1 else f"{corpus.n_docs:,} documents"
    return f"{documents}{note}, {corpus.vocab_size:,} words, {len(corpus.tokens):,} tokens"
