"""Small synthetic corpora with known topics."""

import random

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, random_array

THEMES = {
    "sport": "match team goal player coach league referee stadium striker penalty season score",
    "kitchen": "recipe butter flour oven sugar garlic simmer onion pepper salt whisk dough",
    "space": "planet orbit rocket telescope galaxy astronaut comet gravity lunar satellite launch star",
    "money": "bank market shares investor inflation budget profit loan currency dividend economy trade",
}
THREE_THEMES = ("cat dog horse sheep goat", "bread butter cheese milk honey", "engine wheel brake gear clutch")


def planted(n_docs=600, n_words=120, n_topics=6, length=60, seed=0):
    """Sample counts from LDA; returns the counts and the true topics."""
    rng = np.random.default_rng(seed)
    beta = rng.dirichlet(np.full(n_words, 0.05), n_topics)
    theta = rng.dirichlet(np.full(n_topics, 0.1), n_docs)
    counts = np.stack([rng.multinomial(length, p / p.sum()) for p in theta @ beta])
    return csr_matrix(counts.astype(np.float32)), beta


def matched_cosine(found, truth):
    """Return the mean cosine between found and true topics after optimal one-to-one matching."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (found, truth)]
    similarity = unit[0] @ unit[1].T
    return similarity[linear_sum_assignment(-similarity)].mean()


def counts_matrix(n_docs=40, n_words=300, density=0.05, seed=0):
    """Make random counts from 1 to 5, with an empty fourth document."""
    dense = np.ceil(random_array((n_docs, n_words), density=density, rng=np.random.default_rng(seed)).toarray() * 5)
    dense[3] = 0
    return csr_matrix(dense)


def texts(n=90):
    """Make documents of eight words, each from one of three themes."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(THREE_THEMES[i % 3].split(), 8)) for i in range(n)]


def themed_documents(n_docs: int = 60) -> list[str]:
    """Make documents of twenty words, each from one of four themes."""
    rng = random.Random(0)
    themes = [words.split() for words in THEMES.values()]
    return [" ".join(rng.choices(themes[d % len(themes)], k=20)) for d in range(n_docs)]
