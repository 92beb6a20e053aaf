"""The topic models, one file each, behind one interface."""

from topicnet.models.base import TopicModel
from topicnet.models.etm import ETM
from topicnet.models.gmntm import GMNTM
from topicnet.models.nvdm_gsm import NVDMGSM
from topicnet.models.w_lda import WLDA
from topicnet.training.collapse import HealthReport

MODELS: dict[str, type[TopicModel]] = {"etm": ETM, "nvdm-gsm": NVDMGSM, "w-lda": WLDA, "gmntm": GMNTM}

__all__ = ["ETM", "GMNTM", "HealthReport", "MODELS", "NVDMGSM", "TopicModel", "WLDA"]
