"""TopicModel: the scikit-learn estimator every model is."""

from __future__ import annotations

import math
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import KW_ONLY, asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.core.em import belief, refine_theta
from topicnet.core.row_subset import Rows
from topicnet.core.sparse import SparseBatch, SparseBatches
from topicnet.errors import InputError
from topicnet.models.docstrings import inherit_entries
from topicnet.models.fingerprint import fingerprint_of
from topicnet.models.fit_settings import Plan, Settings
from topicnet.models.fitting import EVALUATION_BATCH, Fitting, likelihood_nats
from topicnet.models.input_counts import check_counts, padded
from topicnet.models.network import TopicNetwork
from topicnet.runtime.devices import choose_device
from topicnet.runtime.distributed import is_rank_zero
from topicnet.runtime.interrupt import FitInterrupted, deferred_interrupt
from topicnet.runtime.memory import available_memory
from topicnet.runtime.seeding import seeded
from topicnet.runtime.threads import chosen_threads, in_inference, thread_count
from topicnet.runtime.torch_state import usual_gradients, usual_torch
from topicnet.storage import atomic
from topicnet.storage.mapped import release_pages, row_sums, rows_between
from topicnet.training.checkpoint import Checkpoints, checkpoint_seconds
from topicnet.training.checks import check_count
from topicnet.training.collapse import HealthReport
from topicnet.training.progress import Callback, Listener, logged, with_callback

LARGEST_EXPONENT = 700.0  # of e, in a float
# Documents of every inference batch: matrix products round differently for other numbers of rows, and a document's
# theta should not depend on the documents with it. A multiple of 48 leaves most kernels no remainder.
INFERENCE_BATCH = 480
HELD_DOCS = 100 * INFERENCE_BATCH  # of mapped counts, until their pages are released


class FitEnding(TypedDict):
    """How a fit ended: why it stopped, which epoch's weights were kept, whether its start was finished."""

    stopped: str
    best_epoch: int
    start_complete: bool
    validation_bound: float  # nats per token on held-out documents; NaN without them, or without a bound
    health: NotRequired[dict[str, Any]]  # the report; models saved by 0.1.0 have none


@dataclass(frozen=True)
class ExtraTables:
    """Two tables about a unit beside the topics: of documents, and of words.

    Attributes
    ----------
    unit : str
        Its name, which files and columns take: doc_component.csv, component_0.
    words : ndarray of shape (n, V), float32
        Probability of each word in each unit; rows sum to 1.
    of_documents : callable
        Infers the weight of each unit in each document, (D, n) float32, from counts (D, V).
    """

    unit: str
    words: NDArray[np.float32]
    of_documents: Callable[[Any], NDArray[np.float32]]


@dataclass(eq=False, repr=False)
class TopicModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A neural topic model over counts.

    Abstract: a subclass is a keyword-only dataclass whose fields are its further parameters, builds its network in
    `build_network`, and may have `extra_tables`. Parameters are stored untouched and checked in `fit`; those described
    here are described in every subclass.

    Parameters
    ----------
    n_topics : int
        K.
    hidden_dim : int
        Width H of the encoder's layers.
    decoder : {"mixture", "product"}
        p(w|d) as a mixture of topics, or as their normalised product.
    dropout : float
        Fraction of hidden units dropped in training.
    init : {"em", "random"}
        Start from k-means and MAP-EM, with the encoder warmed up on EM's theta, or from random weights.
    batch_size : int
        Documents per step.
    max_epochs : int, optional
        Passes over the corpus; by default as many as the steps of `PLANS` allow, from its least to its most.
    learning_rate : float, optional
        Peak of the one-cycle schedule; by default that of `PLANS`, less after an EM start on documents of fewer than
        20 tokens.
    diversity_weight : float, optional
        Nats per token that one unit of overlap between topics costs in training (mean over topics of the cosines with
        all others); by default that of `PLANS`, 0 is the objective of the paper. No part of the bound, the score or the
        perplexity.
    weight_decay : float
        Of Adam, on weight matrices.
    validation_fraction : float
        Fraction of the documents held out to choose the best epoch and to stop early; 0 holds out none.
    patience : int
        Epochs without improvement on them before the run stops.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1".
    random_state : int, RandomState or None
        Seed; the same seed gives the same bits on one machine and thread count.

    Attributes
    ----------
    components_ : ndarray of shape (K, V), float32
        beta, rows sum to 1.
    history_ : list of dict
        Per epoch: loss terms in nats per document, validation loss, signs of collapse, seconds.
    health_ : HealthReport
        Signs of collapse, what was done about them, and whether the model is fit for use.
    device_ : str
        The device the model was trained on.
    n_features_in_ : int
        V.
    """

    PLANS: ClassVar[dict[str, Plan]] = {
        "em": Plan(400, 0.004, diversity=0.003),
        "random": Plan(3_000, 0.01, diversity=0.025, most_epochs=300),
    }
    DIVERGENCE: ClassVar[str] = "kl"  # names the parameters `kl_weight` and `kl_warm_up`

    n_topics: int = 20
    _: KW_ONLY
    hidden_dim: int = 128
    decoder: Literal["mixture", "product"] = "mixture"
    dropout: float = 0.1
    init: Literal["em", "random"] = "em"
    batch_size: int = 200
    max_epochs: int | None = None
    learning_rate: float | None = None
    diversity_weight: float | None = None
    weight_decay: float = 1.2e-6
    validation_fraction: float = 0.05
    patience: int = 10
    device: str = "auto"
    random_state: int | RandomState | None = None

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        inherited = cls.__mro__[1].__doc__
        if cls.__doc__ and inherited:  # neither is there under python -OO
            cls.__doc__ = inherit_entries(cls.__doc__, inherited)

    @abstractmethod
    def build_network(self, vocab_size: int) -> TopicNetwork:
        """Make an untrained network for V words."""

    def extra_tables(self) -> list[ExtraTables]:
        """Tables beside those of topics that a run of this model has."""
        return []

    @usual_torch()
    @usual_gradients()
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        callback: Callback | None = None,
        listener: Listener | None = None,
        checkpoints: str | Path | None = None,
    ) -> TopicModel:
        """Learn the topics of a corpus.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative counts. Documents without words are allowed and ignored.
        y : ignored
        callback : callable, optional
            Called with an `EpochReport` after every epoch of training. It does not change the result and is not saved.
            An exception that it raises ends the fit and is passed on; checkpoints that were saved by then stay.
        listener : callable, optional
            Called with a `Progress` after every pass and epoch.
        checkpoints : str or Path, optional
            A folder to save the fit to every 20 s or so. If it holds checkpoints of an interrupted fit of the same
            model to the same counts, this one resumes it and ends with the very same weights. They stay there when the
            fit is done.

        Returns
        -------
        self

        Raises
        ------
        InputError
            A parameter out of its range, no words in any document, or checkpoints of another fit.
        OutputError
            The checkpoints cannot be written, or another process is writing there.
        FitInterrupted
            Ctrl-C (a KeyboardInterrupt): the model is fitted with the best weights so far, and saved if the folder
            for it was given.
        """
        counts = check_counts(self, X, reset=True)
        if counts.shape[0] < 2:
            raise InputError("n_samples=1 document was given, expected 2 or more to fit")
        self.check_parameters()
        settings = self.settings(int(check_random_state(self.random_state).randint(2**31 - 1)))
        if self.n_topics > counts.shape[1]:
            warnings.warn(
                f"n_topics={self.n_topics} exceeds the {counts.shape[1]} words of the vocabulary: topics will repeat",
                stacklevel=2,
            )
        folder = None if checkpoints is None else Path(checkpoints)
        self._fit(counts, settings, logged(with_callback(listener, callback)), folder)
        if self.stopped_ == "interrupted":
            raise FitInterrupted
        return self

    def _fit(self, counts: csr_matrix, settings: Settings, listener: Listener, folder: Path | None) -> None:
        filled = Rows.filled(counts)
        if filled.n_docs == 0:
            raise InputError(f"all {counts.shape[0]} documents are empty; at least one must hold a known word")
        device = choose_device(self.device)
        with ExitStack() as stack:
            stack.enter_context(chosen_threads())  # may wait for other threads: Ctrl-C ends that at once
            interrupted = stack.enter_context(deferred_interrupt())
            checkpoints = None
            if folder is not None and is_rank_zero():
                stack.enter_context(atomic.folder_lock(folder))
                checkpoints = self._checkpoints(folder, counts, settings.seed)
            with seeded(settings.seed):
                network = self.build_network(counts.shape[1]).to(device)
            fitting = Fitting(network, filled, settings, device, listener, interrupted, checkpoints)
            result = fitting.run()
            self._adopt(network, result.history)
            self.validation_bound_ = fitting.validation_nats_per_token()
            self.health_ = fitting.health_report(result)
        self.device_ = str(device)
        self.stopped_, self.best_epoch_ = result.stopped, result.best_epoch
        self.start_complete_ = fitting.start_complete

    @usual_torch()
    def transform(self, X: Any, refine: int = 0) -> NDArray[np.float32]:
        """Infer theta, deterministically, from the posterior mean.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative counts over the vocabulary of the fit.
        refine : int
            MAP-EM steps on theta from there, topics held fixed: closer to the best theta of each document, slower.
            The prior they use is a Dirichlet about the encoder's theta.

        Returns
        -------
        ndarray of shape (n_docs, n_topics), float32
            Rows sum to 1; a document without words gets the prior's theta.
        """
        check_is_fitted(self)
        if isinstance(refine, bool) or not isinstance(refine, int | np.integer) or refine < 0:
            raise InputError(f"refine={refine!r} given, expected a number of EM steps, 0 or more")
        if refine and not self.network_.decoder.mixes:
            raise InputError(
                f"refine={refine} given, but under the product decoder documents are no mixtures of topics: leave it"
                " out"
            )
        with torch.inference_mode():
            beta = self.network_.beta() if refine else torch.empty(0)

        def infer(network: TopicNetwork, batch: SparseBatch) -> Tensor:
            theta = network.infer_theta(batch)
            return refine_theta(theta, beta, batch, refine, belief(theta, batch)) if refine else theta

        return self._apply(X, infer)

    def perplexity(self, X: Any) -> float:
        """exp(-bound per token): an upper bound on the perplexity of these documents, from the ELBO.

        Raises
        ------
        InputError
            The model has no bound (W-LDA).
        """
        check_is_fitted(self)
        if not self.network_.has_bound:
            raise InputError(
                f"{type(self).__name__} has no likelihood bound: use document completion"
                " (topicnet.evaluate.perplexity), or score for the likelihood at the inferred theta"
            )
        nats = -self.score(X)
        return math.exp(nats) if nats < LARGEST_EXPONENT else math.inf

    def score(self, X: Any, y: Any = None) -> float:
        """Evidence lower bound per token, nats (one sample of z a document, fixed noise); higher is better.

        A model without a bound gives the log-likelihood per token at the theta it infers from the same words.
        """
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        n_tokens = float(row_sums(counts).sum())
        if n_tokens == 0:
            raise InputError("no known words in any document: there is nothing to score")
        with chosen_threads():
            return -likelihood_nats(self.network_, counts) / n_tokens

    @property
    def mixes(self) -> bool:
        """Whether p(w|d) = theta @ beta, so that theta can be refined."""
        check_is_fitted(self)
        return self.network_.decoder.mixes

    @usual_torch()
    def log_likelihood(self, X: Any, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log-likelihood of documents at a given theta under the model's own decoder.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Counts; theta may come from other words of the same documents (document completion).
        theta : array of shape (n_docs, n_topics)

        Returns
        -------
        ndarray of shape (n_docs,), float64
            Nats; 0 for a document without words. The multinomial coefficient is left out.
        """
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        if np.shape(theta) != (counts.shape[0], self.n_topics):
            raise InputError(f"theta of shape {np.shape(theta)} given, expected {(counts.shape[0], self.n_topics)}")
        network = self.network_
        network.eval()
        device = next(network.parameters()).device
        given = torch.as_tensor(np.asarray(theta, dtype=np.float32), device=device)
        with torch.inference_mode(), chosen_threads():
            topics = network.topics()
            parts = [
                network.decoder.log_likelihood(given[batch.index], topics, batch)
                for batch in SparseBatches(counts, EVALUATION_BATCH, device)
            ]
        nats: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
        return nats

    @usual_torch()
    def check_parameters(self) -> None:
        """Raise InputError for a parameter out of its range, without fitting anything."""
        self.settings(seed=0)
        thread_count()
        choose_device(self.device)
        try:
            with torch.device("meta"):
                weights = sum(one.numel() for one in self.build_network(1).parameters())
        except RuntimeError:  # torch cannot even number them
            weights = sys.maxsize
        if 4 * weights > (available_memory() or math.inf):
            raise InputError(
                f"a model of {weights:.3g} weights was asked for, which do not fit in memory: choose fewer topics, or"
                " smaller sizes"
            )

    @usual_torch()
    @usual_gradients()
    def restore(
        self, vocab_size: int, tensors: Mapping[str, Tensor], history: list[dict[str, float]], ending: FitEnding
    ) -> None:
        """Take over saved weights, as `fit` would leave them, on the CPU.

        Raises
        ------
        InputError
            The tensors are not those of this model with these parameters.
        """
        self.settings(seed=0)  # not the device: a model trained on a GPU loads where there is none
        with torch.device("meta"):
            network = self.build_network(vocab_size)
        try:
            network.load_state_dict(dict(tensors), strict=True, assign=True)
        except RuntimeError as error:
            raise InputError(f"the tensors do not fit the model: {str(error).splitlines()[0]}") from error
        self.n_features_in_ = vocab_size
        self.device_ = "cpu"
        self.stopped_, self.best_epoch_ = ending["stopped"], ending["best_epoch"]
        self.start_complete_, self.validation_bound_ = ending["start_complete"], ending["validation_bound"]
        self.health_ = HealthReport.read(ending["health"]) if "health" in ending else HealthReport(True)
        self._adopt(network, history)

    def ending(self) -> FitEnding:
        """How the fit ended, for saving."""
        check_is_fitted(self)
        return {
            "stopped": self.stopped_,
            "best_epoch": self.best_epoch_,
            "start_complete": self.start_complete_,
            "validation_bound": self.validation_bound_,
            "health": asdict(self.health_),
        }

    def _checkpoints(self, folder: Path, counts: csr_matrix, seed: int) -> Checkpoints:
        if self.random_state is None:
            raise InputError("checkpoints given with random_state=None, expected a number: the same fit is known by it")
        given = self.get_params() | {"device": choose_device(self.device).type}  # other kinds give other bits
        return Checkpoints(folder, fingerprint_of(type(self).__name__, given, seed, counts), checkpoint_seconds())

    def _apply(self, X: Any, function: Callable[[Any, SparseBatch], Tensor]) -> NDArray[np.float32]:
        """Apply `function` to every document in batches; returns (D, n)."""
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        network = self.network_.eval()
        device = next(network.parameters()).device
        n_docs = counts.shape[0]

        def answer(start: int) -> Tensor:
            block = rows_between(counts, start, min(start + INFERENCE_BATCH, n_docs))
            if start % HELD_DOCS == 0:
                release_pages(counts.data, counts.indices)
            batch = SparseBatch.for_inference(padded(block, INFERENCE_BATCH), device)
            return function(network, batch).float().cpu()

        starts = range(0, n_docs, INFERENCE_BATCH)
        answers = np.empty((0, 0), dtype=np.float32)
        with chosen_threads():
            for start, part in zip(starts, in_inference(answer, starts, device), strict=True):
                if start == 0:
                    answers = np.empty((n_docs, part.shape[1]), dtype=np.float32)
                answers[start : start + INFERENCE_BATCH] = part[: n_docs - start].numpy()
        return answers

    def _adopt(self, network: TopicNetwork, history: list[dict[str, float]]) -> None:
        network.eval()
        self.network_ = network
        self.history_ = history
        with torch.inference_mode():
            self.components_: NDArray[np.float32] = network.beta().cpu().numpy()
        self._n_features_out = self.n_topics

    def settings(self, seed: int) -> Settings:
        """The parameters of a fit, checked."""
        names = {field.name for field in fields(Settings)}
        return Settings(
            **{name: value for name, value in self.get_params(deep=False).items() if name in names},
            divergence_warm_up=getattr(self, f"{self.DIVERGENCE}_warm_up"),
            divergence_weight=getattr(self, f"{self.DIVERGENCE}_weight"),
            plan=self.PLANS["random" if self.init == "random" else "em"],
            divergence=self.DIVERGENCE,
            seed=seed,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class VariationalModel(TopicModel):
    """A topic model trained on the evidence lower bound; abstract.

    Parameters
    ----------
    latent_dim : int, optional
        Size Z of the latent Gaussian; by default K.
    kl_warm_up : float
        Fraction of the run over which the KL term grows to its full weight.
    kl_weight : float
        Full weight of the KL term; 1 is the evidence lower bound.
    """

    latent_dim: int | None = None
    kl_warm_up: float = 0.2
    kl_weight: float = 1.0

    def latent_size(self) -> int:
        """Z, checked: `latent_dim`, or K without one."""
        latent_dim = self.n_topics if self.latent_dim is None else self.latent_dim
        check_count("latent_dim", latent_dim)
        return latent_dim
