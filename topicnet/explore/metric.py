"""Fisher-Rao metric of a run's words as a metric of `topicnet.geometry`, for its five kinds of geodesics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topicnet.errors import InputError
from topicnet.workflows.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from topicnet.core.geometry import Metric

SPACES = ("latent", "simplex")


def decoder_metric(run: Run, space: str = "latent") -> Metric:
    """Return the Fisher-Rao metric of p(w|theta) on latent points or on the simplex of topic proportions.

    Both have K - 1 coordinates, because the proportions of K topics sum to 1, and the metric on more would be singular.
    It is made for `topicnet.geometry.geodesic`; `explore.geodesic` is faster and has bounds of the distance.

    Parameters
    ----------
    run : Run
        The run, with at least two topics.
    space : {"latent", "simplex"}, default="latent"
        "latent": points z with theta = softmax((z, 0)); of K logits, take ``z[:-1] - z[-1]``. "simplex": the first
        K - 1 of the proportions theta.

    Returns
    -------
    Metric
        A metric on R^(K - 1). Its `tensor` builds the Jacobians of the points, (n, V, K - 1) numbers, so give few
        points for large vocabularies; `explore.word_model` has the same matrices in closed form.

    Raises
    ------
    InputError
        The space is unknown, or the run has a single topic.

    Examples
    --------
    >>> import topicnet
    >>> from topicnet import explore
    >>> run = topicnet.fit(["cat", "bread butter"] * 4, n_topics=2, init="random", max_epochs=1)
    >>> tuple(explore.decoder_metric(run).tensor([0.0]).shape)
    (1, 1)
    """
    import torch

    from topicnet.core.geometry import fisher_rao_categorical

    if space not in SPACES:
        raise InputError(f"space={space!r} given, expected {' or '.join(SPACES)}")
    if run.model.n_topics < 2:
        raise InputError("a run with a single topic given, expected two or more for a metric on their mixtures")
    decoder, topics = run.model.network_.decoder, run.model.network_.topics()
    logits, beta = topics.logits.detach().cpu().double(), topics.beta.detach().cpu().double()

    def theta(point: Tensor) -> Tensor:
        if space == "latent":
            return torch.cat([point, point.new_zeros(1)]).softmax(0)
        return torch.cat([point, 1 - point.sum(0, keepdim=True)])

    if decoder.mixes:
        beta = beta / beta.sum(1, keepdim=True)
        return fisher_rao_categorical(lambda point: theta(point) @ beta)
    bias = decoder.get_parameter("bias").detach().cpu().double()
    return fisher_rao_categorical(lambda point: theta(point) @ logits + bias, from_logits=True)
