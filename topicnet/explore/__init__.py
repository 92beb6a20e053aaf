"""Views of a finished run: distances between topics and between documents, neighbours, paths and the topic tree.

::

    from topicnet import explore

    explore.topic_distance(run)                          # (K, K), geodesic
    explore.document_distance(run, 0, 1, "transport")
    explore.topic_tree(run)

The names below are imported on first use, so that commands which only read tables import no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from topicnet.explore.distances import document_distance, topic_distance
    from topicnet.explore.geodesics import TopicGeodesic, geodesic
    from topicnet.explore.metric import decoder_metric
    from topicnet.explore.path import DocumentPath, PathStep
    from topicnet.explore.tree import TopicTree, topic_tree
    from topicnet.explore.words import WordModel, word_model

__all__ = [
    "DocumentPath",
    "PathStep",
    "TopicGeodesic",
    "TopicTree",
    "WordModel",
    "decoder_metric",
    "document_distance",
    "geodesic",
    "topic_distance",
    "topic_tree",
    "word_model",
]

_HOMES = {
    "DocumentPath": "path",
    "PathStep": "path",
    "TopicGeodesic": "geodesics",
    "TopicTree": "tree",
    "WordModel": "words",
    "decoder_metric": "metric",
    "document_distance": "distances",
    "geodesic": "geodesics",
    "topic_distance": "distances",
    "topic_tree": "tree",
    "word_model": "words",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'topicnet.explore' has no attribute {name!r}")
    return getattr(import_module(f"topicnet.explore.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
