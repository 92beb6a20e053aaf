"""Support for tests of the training loop: data, checkpoints in memory, and the outcome of a run."""

import json
from dataclasses import fields

import torch

from topicnet.training.checkpoint import Saved
from topicnet.training.loop import train
from topicnet.training.options import TrainHooks, TrainOptions

QUIET = {"patience": 1000, "weight_decay": 0.0, "seed": 0}


class Points:
    """Batches of numbers, in order or shuffled."""

    def __init__(self, values, batch_size=5):
        self.values = torch.tensor(values)
        self.batch_size = batch_size

    @property
    def n_docs(self):
        return len(self.values)

    def __len__(self):
        return -(-len(self.values) // self.batch_size)

    def __iter__(self):
        yield from self.values.split(self.batch_size)

    def shuffled(self, rng, skip=0):
        order = torch.as_tensor(rng.permutation(len(self.values)))
        yield from self.values[order].split(self.batch_size)[skip:]


class KilledError(Exception):
    """Ends a training run as abruptly as a kill."""


class Memory:
    """Checkpoints kept in memory, copied as a disk would; ends the run after `last` of them."""

    def __init__(self, last=None):
        self.all, self.last = [], last

    def due(self):
        return True

    def save(self, saved):
        values = json.loads(json.dumps(saved.values))  # NaN and infinity as Python writes them
        self.all.append(Saved({name: value.clone() for name, value in saved.tensors.items()}, values))
        if len(self.all) == self.last:
            raise KilledError


def outcome(network, result):
    """Return all results of a run except seconds, as bytes and text, so that NaN equals NaN."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]
    weights = {name: value.numpy().tobytes() for name, value in network.state_dict().items()}
    ending = (result.best_epoch, result.best_loss, result.stopped, result.rollbacks, result.interventions)
    return weights, repr((rows, ending))


def trained(network, batches, validation, schedule, **given):
    """Train with options and hooks as keywords; by default without early stopping and weight decay, with seed 0."""
    hooks = {field.name: given.pop(field.name) for field in fields(TrainHooks) if field.name in given}
    return train(network, batches, validation, schedule, TrainOptions(**(QUIET | given)), TrainHooks(**hooks))
