"""Registry of the topic models, one entry each, usable without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topicnet.models.base import TopicModel


@dataclass(frozen=True)
class Registration:
    """Entry of a model in the registry: its class, and a description to show without importing it.

    Parameters
    ----------
    module, class_name : str
        Import path of the model's class.
    summary : str
        Short description for lists of models.
    extra_units : tuple of str
        Units of `TopicModel.extra_tables`: "component" adds doc_component.csv and component_word.csv to a run.
    """

    module: str
    class_name: str
    summary: str
    extra_units: tuple[str, ...] = ()

    def load(self) -> type[TopicModel]:
        """Import the class of the model."""
        kind: type[TopicModel] = getattr(import_module(self.module), self.class_name)
        return kind


# Keys are the names that the command line and saved models use.
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
    """Map each unit of the extra tables to the names of the models that have it."""
    units = dict.fromkeys(unit for registration in REGISTRY.values() for unit in registration.extra_units)
    return {unit: [name for name, given in REGISTRY.items() if unit in given.extra_units] for unit in units}
