"""The topic models, one file each, behind one interface."""

from topicnet.models.base import TopicModel
from topicnet.models.etm import ETM

MODELS: dict[str, type[TopicModel]] = {"etm": ETM}

__all__ = ["ETM", "MODELS", "TopicModel"]
