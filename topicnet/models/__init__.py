"""Neural topic models as scikit-learn estimators; a class and torch are imported when the class is first used."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from topicnet.models.registry import REGISTRY

if TYPE_CHECKING:
    from topicnet.models.base import TopicModel
    from topicnet.models.etm import ETM
    from topicnet.models.gmntm import GMNTM
    from topicnet.models.nvdm_gsm import NVDMGSM
    from topicnet.models.w_lda import WLDA
    from topicnet.training.collapse import HealthReport


class _Models(Mapping[str, "type[TopicModel]"]):
    """Read-only mapping from the name of each registered model to its class."""

    def __getitem__(self, name: str) -> "type[TopicModel]":
        return REGISTRY[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(REGISTRY)

    def __len__(self) -> int:
        return len(REGISTRY)

    def __contains__(self, name: object) -> bool:
        return name in REGISTRY


MODELS: Mapping[str, "type[TopicModel]"] = _Models()
_MODULES = {"TopicModel": "topicnet.models.base", "HealthReport": "topicnet.training.collapse"}

__all__ = ["ETM", "GMNTM", "HealthReport", "MODELS", "NVDMGSM", "TopicModel", "WLDA"]


def __getattr__(name: str) -> Any:
    modules = _MODULES | {registration.class_name: registration.module for registration in REGISTRY.values()}
    if name not in modules:
        raise AttributeError(f"module 'topicnet.models' has no attribute {name!r}")
    return getattr(import_module(modules[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
