"""Whether a fit has room: said before it starts, and refused where it cannot fit."""

from __future__ import annotations

from dataclasses import replace

from topicnet.errors import InputError
from topicnet.models import TopicModel
from topicnet.models.cost_estimate import forecast
from topicnet.runtime.memory import available_memory, readable_bytes, resident_memory
from topicnet.text.corpus import Corpus
from topicnet.text.passages import in_passages
from topicnet.workflows.config import FitConfig
from topicnet.workflows.corpus import Notice

MEMORY_SLACK = 1.5


def check_memory(model: TopicModel, corpus: Corpus, config: FitConfig, on_notice: Notice) -> None:
    """Say what the fit will take, and refuse what cannot fit into memory.

    Raises
    ------
    InputError
        The fit needs half as much again as the memory that is free: forecasts are rough.
    """
    passages = config.passages
    expected = forecast(model, corpus.counts if passages is None else in_passages(corpus, passages).counts)
    on_notice(replace(expected, seconds=config.seeds * expected.seconds).line())
    free = available_memory()
    more = expected.memory_bytes - resident_memory()
    if free is not None and more > MEMORY_SLACK * free:
        raise InputError(
            f"this fit needs about {readable_bytes(more)} more memory, and {readable_bytes(free)} are free: lower"
            " --max-vocab, --param hidden_dim or -k, or use a larger machine"
        )
