"""topicnet: neural topic models on real text.

::

    run = topicnet.fit(texts, model="etm", n_topics=20)
    run.topics()                      # a table of topics
    run.theta                         # (n_docs, n_topics)
    run.transform(new_texts)
    run.save("runs/mine")
    topicnet.load("runs/mine")

The names below are imported when first used, so that `import topicnet` and the command line's help stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from topicnet.models import ETM, GMNTM, MODELS, NVDMGSM, WLDA, TopicModel
    from topicnet.results import Run, load
    from topicnet.run import fit
    from topicnet.text.cleaning import Cleaning
    from topicnet.text.counts import Corpus
    from topicnet.text.options import TextOptions
    from topicnet.text.vocabulary import Pruning

__version__ = "0.1.0"
__all__ = [
    "ETM",
    "GMNTM",
    "MODELS",
    "NVDMGSM",
    "WLDA",
    "Cleaning",
    "Corpus",
    "Pruning",
    "Run",
    "TextOptions",
    "TopicModel",
    "fit",
    "load",
    "__version__",
]

_HOMES = {
    "ETM": "topicnet.models",
    "GMNTM": "topicnet.models",
    "NVDMGSM": "topicnet.models",
    "WLDA": "topicnet.models",
    "MODELS": "topicnet.models",
    "TopicModel": "topicnet.models",
    "Corpus": "topicnet.text.counts",
    "Cleaning": "topicnet.text.cleaning",
    "TextOptions": "topicnet.text.options",
    "Pruning": "topicnet.text.vocabulary",
    "Run": "topicnet.results",
    "fit": "topicnet.run",
    "load": "topicnet.results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'topicnet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
