"""Registry of the topic models: one line each, read without importing a model or torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topicnet.models.base import TopicModel


@dataclass(frozen=True)
class Registration:
    """Where a model is defined, and a description to show without importing it.

    Attributes
    ----------
    module, class_name : str
    summary : str
        What the model is, in a few words.
    extra_units : tuple of str
        Units of `TopicModel.extra_tables`: "component" gives a run doc_component.csv and component_word.csv.
    """

    module: str
    class_name: str
    summary: str
    extra_units: tuple[str, ...] = ()

    def load(self) -> type[TopicModel]:
        """Import the class."""
        kind: type[TopicModel] = getattr(import_module(self.module), self.class_name)
        return kind


# By the name that the command line and saved models use.
REGISTRY = {
    "etm": Registration("topicnet.models.etm", "ETM", "topics among word embeddings (Dieng et al. 2020)"),
    "nvdm-gsm": Registration("topicnet.models.nvdm_gsm", "NVDMGSM", "Gaussian softmax, free topics (Miao et al. 2017)"),
    "w-lda": Registration(
        "topicnet.models.w_lda", "WLDA", "Wasserstein autoencoder, product of topics (Nan et al. 2019)"
    ),
    "gmntm": Registration(
        "topicnet.models.gmntm", "GMNTM", "Gaussian mixture prior (after Jiang et al. 2017)", ("component",)
    ),
}


def extra_units() -> dict[str, list[str]]:
    """Units of the extra tables, each with the names of the models that have it."""
    units = dict.fromkeys(unit for registration in REGISTRY.values() for unit in registration.extra_units)
    return {unit: [name for name, given in REGISTRY.items() if unit in given.extra_units] for unit in units}
