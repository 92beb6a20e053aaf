"""Call the training loop with its options and hooks side by side."""

from dataclasses import fields
from typing import Any

from topicnet.training.loop import train
from topicnet.training.options import TrainHooks, TrainOptions
from topicnet.training.progress import TrainResult

QUIET = {"patience": 1000, "weight_decay": 0.0, "seed": 0}


def trained(network: Any, batches: Any, validation: Any, schedule: Any, **given: Any) -> TrainResult:
    """Train a network, without patience, weight decay and another seed than 0 unless they are given."""
    hooks = {field.name: given.pop(field.name) for field in fields(TrainHooks) if field.name in given}
    return train(network, batches, validation, schedule, TrainOptions(**(QUIET | given)), TrainHooks(**hooks))
