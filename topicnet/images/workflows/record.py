"""Contents of metrics.json and run.json of an image run: quick scores and how the run was made."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topicnet.images.data.load import NAMED, ImageData
from topicnet.images.evaluation.aggregated import active_units
from topicnet.images.evaluation.collapse import signs_of_collapse
from topicnet.images.evaluation.evaluate import mean_bound, squared_error
from topicnet.images.evaluation.measures import category_report, label_report
from topicnet.images.evaluation.sample_distance import sample_frechet
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.settings import MOST_THREADS
from topicnet.images.model.variants import variant_of
from topicnet.images.workflows.config import ImageConfig
from topicnet.runtime.threads import chosen_threads, limited_threads
from topicnet.storage.run_folder import environment

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "polars", "pillow")
ON_TEST = (
    "of the test images, gray ones binarised once where the model learns them so. bound: nats per image, one draw each"
    " with fixed noise, categories drawn hard; squared error per image, of images decoded from posterior means; a"
    " category is in use if q(c) > 1/K; mutual information I(c; x) in nats; collapse: latents that are not used;"
    " samples: without an encoder, squared Frechet distance of samples from the test images in principal components."
    " `topicnet images evaluate` takes more care"
)
SAMPLE_SEED = 0  # of the samples that are scored without an encoder
ON_VALIDATION = "weighted sum of the terms of the loss per validation image, of the weights that were kept"


def metrics_of(model: ImageVAE, data: ImageData) -> dict[str, Any]:
    """Compute the scores of metrics.json: those on the test images that take only seconds."""
    network, batches = model.network_, model.batches(data.test.pixels)
    parts: dict[str, float] = {}
    log_q_c = codes = error = samples = None
    with torch.inference_mode(), chosen_threads(MOST_THREADS):
        if variant_of(model.variant).has_bound:
            parts = mean_bound(network, batches)
        if variant_of(model.variant).has_encoder:
            error = squared_error(network, batches)
            codes = torch.cat([network.latents.codes(batch.pixels) for batch in batches])
        else:
            samples = sample_frechet(network, model.fixed(data.train.pixels), batches, SAMPLE_SEED)
        if network.latents.n_categories is not None:
            log_q_c = torch.cat([network.latents.log_categories(batch.pixels) for batch in batches])
    labels = data.test.labels
    return {
        "validation_loss": {"value": model.best_loss_, "convention": ON_VALIDATION},
        "test_images": len(data.test.pixels),
        "convention": ON_TEST,
        "bound": {"nelbo": sum(parts.values()), "parts": parts} if parts else None,
        "squared_error": error,
        "active_units": None if codes is None else active_units(codes),
        "dimensions": network.latents.latent_dim,
        "categories": None if log_q_c is None else _categories(log_q_c, labels),
        "collapse": [] if codes is None else signs_of_collapse(model.variant, codes, parts, log_q_c, labels),
        "samples": samples,
    }


def _categories(log_q_c: Tensor, labels: NDArray[np.int64] | None) -> dict[str, Any]:
    report = category_report(log_q_c)
    found = {
        "categories": log_q_c.shape[1],
        "in_use": len(report.in_use),
        "mutual_information": report.mutual_information,
    }
    if labels is None:
        return found
    known = label_report(log_q_c, labels)
    return found | {"hungarian_accuracy": known.hungarian_accuracy, "majority_accuracy": known.majority_accuracy}


def record_of(config: ImageConfig, model: ImageVAE, data: ImageData, status: str, seconds: float) -> dict[str, Any]:
    """Return the content of run.json, without the checksums of the files."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "kind": "images",
        "status": status,
        "config": config.model_dump(),
        "parameters": model.parameters_,
        "seed": config.seed,
        "data": {
            "name": data.name,
            "source": config.data if config.data in NAMED else os.path.abspath(config.data),
            "sha256": data.checksum(),
            "images": {name: len(split.pixels) for name, split in splits.items()},
            "labelled": {name: split.labels is not None for name, split in splits.items()},
            "pixels": data.n_pixels,
            "shape": data.shape,
            "binary": data.binary,
        },
        "fit": {"stopped": model.stopped_, "best_epoch": model.best_epoch_, "epochs": len(model.history_)},
        **environment(str(model.network_.device), limited_threads(MOST_THREADS), seconds, LIBRARIES),
    }
