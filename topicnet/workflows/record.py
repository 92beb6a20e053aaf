"""Contents of metrics.json (scores and their conventions) and run.json (how the run was made)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topicnet.evaluate.coherence import npmi, top_words
from topicnet.evaluate.diversity import topic_diversity
from topicnet.models import TopicModel
from topicnet.runtime.threads import thread_count
from topicnet.storage import formats
from topicnet.storage.mapped import update_digest
from topicnet.storage.run_folder import environment
from topicnet.text.corpus import Corpus
from topicnet.text.passages import in_passages
from topicnet.text.status import EMPTY, OK, OOV, STATUSES
from topicnet.text.vocabulary import SMALL_CORPUS
from topicnet.workflows.scores import COHERENCE_WORDS, CONVENTIONS, DIVERSITY_WORDS

LARGEST_EXPONENT = 700.0
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "polars")

ON_VALIDATION = (
    "evidence lower bound per token on documents kept apart from training, one sample of z a document; perplexity is"
    " exp(-bound), an upper bound"
)


def topic_coherence(words: NDArray[np.intp], corpus: Corpus, passages: int | None = None) -> NDArray[np.float64]:
    """Return the NPMI of each topic, (K,), NaN if topics have a single word.

    Co-occurrences are counted in documents, or in passages if the fit used them and the corpus is small.
    """
    if words.shape[1] < 2:
        return np.full(len(words), math.nan)
    if passages is not None and corpus.n_docs < SMALL_CORPUS:
        return npmi(words, in_passages(corpus, passages).counts)
    return npmi(words, corpus.counts)


def metrics_of(model: TopicModel, coherence: NDArray[np.float64], words: NDArray[np.intp]) -> dict[str, Any]:
    """Return the contents of metrics.json but for the model's extra tables."""
    bound = model.validation_bound_
    return {
        "npmi": {"value": float(coherence.mean()), "convention": CONVENTIONS["npmi"] + "; the corpus of the fit"},
        "topic_diversity": {"value": topic_diversity(words), "convention": CONVENTIONS["topic_diversity"]},
        "validation_bound": {
            "nats_per_token": bound,
            # The perplexity of a diverged model can exceed the largest float.
            "perplexity": math.exp(bound) if bound < LARGEST_EXPONENT else math.nan,
            "convention": ON_VALIDATION,
        },
    }


def extra_metrics(model: TopicModel, corpus: Corpus, passages: int | None) -> dict[str, Any]:
    """Return the entries of metrics.json for the model's extra tables, by unit: for GMNTM, "component"."""
    found: dict[str, Any] = {}
    for extra in model.extra_tables():
        words = top_words(extra.words, max(COHERENCE_WORDS, DIVERSITY_WORDS))
        coherence = topic_coherence(words[:, :COHERENCE_WORDS], corpus, passages)
        found[extra.unit] = {
            "npmi": {
                "value": float(coherence.mean()),
                "of_each": coherence.tolist(),
                "convention": CONVENTIONS["npmi"] + "; the corpus of the fit",
            },
            "topic_diversity": {
                "value": topic_diversity(words[:, :DIVERSITY_WORDS]),
                "convention": CONVENTIONS["topic_diversity"],
            },
        }
    return found


def record_of(config: dict[str, Any], corpus: Corpus, model: TopicModel, status: str, seconds: float) -> dict[str, Any]:
    """Return the contents of run.json, without the checksums of the files."""
    found = {name: int((corpus.status == name).sum()) for name in STATUSES}
    counts = {name: n for name, n in found.items() if n or name in (OK, EMPTY, OOV)}
    # An array of word vectors is recorded by its source.
    parameters = model.get_params() | {k: v for k, v in config["parameters"].items() if k == "embeddings"}
    fitted = {"stopped": model.stopped_, "best_epoch": model.best_epoch_, "epochs": len(model.history_)}
    return {
        "status": status,
        "config": config,
        "model_parameters": {name: value for name, value in parameters.items() if name != "random_state"},
        "seed": config["seed"],
        "text": corpus.source["options"],
        "data": {
            "name": corpus.source["name"],
            "sha256": corpus.source["sha256"],
            "counts_sha256": _checksum(corpus.counts.data, corpus.counts.indices),
            "documents": corpus.n_docs,
            "status": counts,
            "vocab_size": corpus.vocab_size,
            "tokens": len(corpus.tokens),
        }
        | {name: corpus.source[name] for name in ("language", "skipped", "duplicates") if name in corpus.source},
        "fit": fitted,
        "health": {"verdict": model.health_.line()} | asdict(model.health_),
        **environment(model.device_, thread_count(), seconds, LIBRARIES),
    }


def _checksum(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the concatenated bytes of arrays, without copying them."""
    checksum = hashlib.sha256()
    for array in arrays:
        update_digest(checksum, array)
    return checksum.hexdigest()


def input_checksums(corpus: Corpus) -> dict[str, str]:
    """Return checksums, by name, of the inputs of a fit, which must be the same on resume."""
    words = formats.json_text([corpus.vocabulary, corpus.source["options"]])
    checksum = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()
    return {"documents": corpus.source["sha256"], "words counted": checksum}
