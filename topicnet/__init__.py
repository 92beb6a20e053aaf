"""Neural topic models of text: fit, inspect, save and apply them.

::

    run = topicnet.fit(texts, model="etm", n_topics=20)
    run.topics()                      # a table of topics
    run.theta                         # (n_docs, n_topics)
    run.transform(new_texts)
    run.save("runs/mine")
    topicnet.load("runs/mine")

The names below are imported on first use, so that `import topicnet` and the help of the command line are fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from topicnet._version import __version__

if TYPE_CHECKING:
    from topicnet import explore
    from topicnet.core import geometry, transport
    from topicnet.models import ETM, GMNTM, MODELS, NVDMGSM, WLDA, TopicModel
    from topicnet.text.corpus import Corpus
    from topicnet.text.tokens.cleaning import Cleaning
    from topicnet.text.tokens.options import TextOptions
    from topicnet.text.vocabulary import Pruning
    from topicnet.training.progress import EpochReport
    from topicnet.workflows.fit import fit
    from topicnet.workflows.run import Run, load

__all__ = [
    "ETM",
    "GMNTM",
    "MODELS",
    "NVDMGSM",
    "WLDA",
    "Cleaning",
    "Corpus",
    "EpochReport",
    "Pruning",
    "Run",
    "TextOptions",
    "TopicModel",
    "explore",
    "fit",
    "geometry",
    "load",
    "transport",
    "__version__",
]

_HOMES = {
    "ETM": "topicnet.models",
    "GMNTM": "topicnet.models",
    "NVDMGSM": "topicnet.models",
    "WLDA": "topicnet.models",
    "MODELS": "topicnet.models",
    "TopicModel": "topicnet.models",
    "Corpus": "topicnet.text.corpus",
    "Cleaning": "topicnet.text.tokens.cleaning",
    "TextOptions": "topicnet.text.tokens.options",
    "Pruning": "topicnet.text.vocabulary",
    "EpochReport": "topicnet.training.progress",
    "Run": "topicnet.workflows.run",
    "fit": "topicnet.workflows.fit",
    "load": "topicnet.workflows.run",
}
_MODULES = {"explore": "topicnet.explore", "geometry": "topicnet.core.geometry", "transport": "topicnet.core.transport"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'topicnet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
