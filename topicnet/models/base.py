"""TopicModel: the scikit-learn estimator that every topic model derives from."""

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

from topicnet.core.em import encoder_pseudo_counts, refine_theta
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
from topicnet.runtime.threads import chosen_threads, map_inference, thread_count
from topicnet.runtime.torch_state import usual_gradients, usual_torch
from topicnet.storage import atomic
from topicnet.storage.mapped import release_pages, row_sums, rows_between
from topicnet.training.checkpoint import Checkpoints, checkpoint_seconds
from topicnet.training.checks import check_count
from topicnet.training.collapse import HealthReport
from topicnet.training.progress import Callback, Listener, logged, with_callback

LARGEST_EXPONENT = 700.0  # exp of more overflows a float
# Documents in every inference batch. Matrix products round differently for other numbers of rows, and the theta of a
# document should not depend on the documents around it. Most kernels divide a multiple of 48 evenly.
INFERENCE_BATCH = 480
RELEASE_DOCS = 100 * INFERENCE_BATCH  # memory-mapped counts: release pages after this many documents


class FitEnding(TypedDict):
    """Outcome of a fit, as saved with a model.

    `TopicModel` describes each value under the attribute of the same name.
    """

    stopped: str
    best_epoch: int
    start_complete: bool
    validation_bound: float  # nats per token on held-out documents; NaN without them, or without a bound
    health: NotRequired[dict[str, Any]]  # HealthReport as a dict; missing in models saved by 0.1.0


@dataclass(frozen=True)
class ExtraTables:
    """Pair of tables, by document and by word, for a unit other than the topic, such as a mixture component.

    Parameters
    ----------
    unit : str
        Name of the unit, used in the names of files and columns: doc_component.csv, component_0.
    words : ndarray of shape (n, V), float32
        Probability of each word in each unit; rows sum to 1.
    of_documents : callable
        Function that infers the weight of each unit in each document, (D, n) float32, from counts (D, V).
    """

    unit: str
    words: NDArray[np.float32]
    of_documents: Callable[[Any], NDArray[np.float32]]


@dataclass(eq=False, repr=False)
class TopicModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Abstract base class of the neural topic models: scikit-learn transformers from word counts to topic proportions.

    Parameters are stored as given and checked in `fit`. A subclass is a keyword-only dataclass whose fields are its
    additional parameters. It must define `build_network` and may define `extra_tables`. Its docstring is completed with
    the parameters and attributes described here.

    Parameters
    ----------
    n_topics : int
        Number of topics K.
    hidden_dim : int
        Width H of the encoder's hidden layers.
    decoder : {"mixture", "product"}
        Model p(w|d) as a mixture of topics, or as their normalised product.
    dropout : float
        Fraction of hidden units dropped in training, from 0 to below 1.
    init : {"em", "random"}
        Start from topics found by k-means and MAP-EM, with the encoder warmed up on their theta; or start from random
        weights.
    batch_size : int
        Documents per training step, 2 or more.
    max_epochs : int, optional
        Passes over the corpus. By default derived from the number of steps in the class attribute `PLANS`, within the
        bounds given there.
    learning_rate : float, optional
        Peak of the one-cycle schedule. By default that of `PLANS`, reduced after an EM start if documents have fewer
        than 20 tokens on average.
    diversity_weight : float, optional
        Weight in the loss, in nats per token, of the overlap of topics: the mean over topics of the sum of cosines with
        all other topics. By default that of `PLANS`; 0 is the objective of the paper. The bound, the score and the
        perplexity do not include it.
    weight_decay : float
        Weight decay of Adam, applied to weight matrices.
    validation_fraction : float
        Fraction of the documents held out to choose the best epoch and to stop early, from 0 to below 1. At most 2,000
        documents are held out, and none if the fraction gives fewer than 10.
    patience : int
        Stop after this many epochs without a lower loss on the held-out documents.
    device : str
        Device to train on: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".
    random_state : int, RandomState or None
        Seed. The same seed gives bit-identical results on one machine with one number of threads.

    Attributes
    ----------
    components_ : ndarray of shape (n_topics, vocab_size), float32
        Topics beta; each row is a probability distribution over words.
    history_ : list of dict
        Values of each epoch: loss terms in nats per document, validation loss, signs of collapse, seconds.
    health_ : HealthReport
        Signs of collapse, remedies applied, and whether the model is fit for use.
    stopped_ : {"done", "early", "interrupted", "diverged"}
        Why training ended; "early" means that `patience` was exhausted.
    best_epoch_ : int
        Epoch whose weights were kept, counted from 1; 0 if no epoch improved on the start.
    validation_bound_ : float
        Negative evidence lower bound on the held-out documents, nats per token; NaN without such documents, or for a
        model without a bound.
    start_complete_ : bool
        False if Ctrl-C cut the EM start or the encoder warm-up short.
    device_ : str
        Device the model was trained on; "cpu" for a loaded model.
    network_ : torch.nn.Module
        Trained network, in evaluation mode.
    n_features_in_ : int
        Number of words V (`vocab_size`).

    See Also
    --------
    topicnet.fit : Fit a model to texts, with tokenisation and vocabulary pruning.

    Examples
    --------
    >>> from topicnet import MODELS, TopicModel
    >>> all(issubclass(model, TopicModel) for model in MODELS.values())
    True
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
        if cls.__doc__ and inherited:  # python -OO strips docstrings
            cls.__doc__ = inherit_entries(cls.__doc__, inherited)

    @abstractmethod
    def build_network(self, vocab_size: int) -> TopicNetwork:
        """Build an untrained network.

        Parameters
        ----------
        vocab_size : int
            Number of words V.

        Returns
        -------
        TopicNetwork
            Network with random weights, on torch's default device.

        Raises
        ------
        InputError
            If a parameter of this model is out of its range.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(n_topics=3).build_network(vocab_size=12).beta().shape
        torch.Size([3, 12])
        """

    def extra_tables(self) -> list[ExtraTables]:
        """List the tables of a fitted model for units other than topics.

        Returns
        -------
        list of ExtraTables
            One entry for each unit; empty for a model that has only topics.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(n_topics=3).extra_tables()
        []
        """
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
            Non-negative word counts of two or more documents. Empty documents are allowed and ignored.
        y : None
            Ignored; present for compatibility with scikit-learn.
        callback : callable, optional
            Called with an `EpochReport` after every epoch of training. It does not change the result and is not saved.
            An exception that it raises ends the fit and is passed on; checkpoints that were saved by then stay.
        listener : callable, optional
            Function called with a `Progress` after every pass and epoch.
        checkpoints : str or Path, optional
            Folder in which the state of the fit is saved about every 20 s. If it contains checkpoints of an interrupted
            fit of the same model to the same counts, that fit is resumed and ends with exactly the weights it would
            have had. The checkpoints are kept when the fit ends; a second call repeats the fit from the last of them.
            They need an integer `random_state`.

        Returns
        -------
        TopicModel
            The fitted model itself.

        Raises
        ------
        InputError
            If a parameter is out of its range, `X` has fewer than two documents, no word at all or a count above 2^31,
            or the checkpoints are those of another fit.
        ValueError
            If `X` has a negative or non-finite number.
        OutputError
            If the checkpoints cannot be written, or another process is writing to the folder.
        FitInterrupted
            If Ctrl-C was pressed (a KeyboardInterrupt). The model is then fitted with the best weights so far, which
            are also saved if `checkpoints` was given.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts).components_.shape
        (3, 12)
        """
        counts = check_counts(self, X, reset=True)
        if counts.shape[0] < 2:
            raise InputError("n_samples=1 document was given, expected 2 or more to fit")
        self.check_parameters()
        settings = self.settings(int(check_random_state(self.random_state).randint(2**31 - 1)))
        if self.n_topics > counts.shape[1]:
            warnings.warn(
                f"n_topics={self.n_topics} exceeds the {counts.shape[1]} words of the vocabulary: expect duplicates",
                stacklevel=2,
            )
        folder = None if checkpoints is None else Path(checkpoints)
        self._fit(counts, settings, logged(with_callback(listener, callback), self.random_state), folder)
        if self.stopped_ == "interrupted":
            raise FitInterrupted
        return self

    def _fit(self, counts: csr_matrix, settings: Settings, listener: Listener, folder: Path | None) -> None:
        filled = Rows.filled(counts)
        if filled.n_docs == 0:
            raise InputError(f"all {counts.shape[0]} documents are empty; expected at least one known word")
        device = choose_device(self.device)
        with ExitStack() as stack:
            stack.enter_context(chosen_threads())  # before deferred_interrupt: Ctrl-C should end a wait for threads
            interrupted = stack.enter_context(deferred_interrupt())
            checkpoints = None
            if folder is not None and is_rank_zero():
                stack.enter_context(atomic.folder_lock(folder))
                checkpoints = self._checkpoints(folder, counts, settings.seed)
            with seeded(settings.seed):
                network = self.build_network(counts.shape[1]).to(device)
            fitting = Fitting(network, filled, settings, device, listener, interrupted, checkpoints)
            result = fitting.run()
            self._set_network(network, result.history)
            self.validation_bound_ = fitting.validation_nats_per_token()
            self.health_ = fitting.health_report(result)
        self.device_ = str(device)
        self.stopped_, self.best_epoch_ = result.stopped, result.best_epoch
        self.start_complete_ = fitting.start_complete

    @usual_torch()
    def transform(self, X: Any, refine: int = 0) -> NDArray[np.float32]:
        """Infer the topic proportions theta of documents, deterministically, from the posterior mean.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative word counts over the vocabulary of the fit.
        refine : int
            Number of MAP-EM steps that refine the encoder's theta for the fixed topics, under a Dirichlet prior centred
            on it. More steps come closer to the optimal theta of each document and take longer. Needs the mixture
            decoder.

        Returns
        -------
        ndarray of shape (n_docs, n_topics), float32
            Topic proportions; rows sum to 1. An empty document gets the prior's theta.

        Raises
        ------
        InputError
            If `refine` is not an integer of 0 or more, or is above 0 under the product decoder, or a count is
            above 2^31.
        ValueError
            If `X` has a negative or non-finite number, or another number of words than in `fit`.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.transform(counts[:5], refine=10).shape
        (5, 3)
        """
        check_is_fitted(self)
        if isinstance(refine, bool) or not isinstance(refine, int | np.integer) or refine < 0:
            raise InputError(f"refine={refine!r} given, expected a number of EM steps, 0 or more")
        if refine and not self.network_.decoder.mixes:
            raise InputError(
                f"refine={refine} given, but under the product decoder documents are not mixtures of topics: leave it"
                " out"
            )
        with torch.inference_mode():
            beta = self.network_.beta() if refine else torch.empty(0)

        def infer(network: TopicNetwork, batch: SparseBatch) -> Tensor:
            theta = network.infer_theta(batch)
            return refine_theta(theta, beta, batch, refine, encoder_pseudo_counts(theta, batch)) if refine else theta

        return self._apply(X, infer)

    def perplexity(self, X: Any) -> float:
        """Compute an upper bound on the perplexity of documents: exp of the negative bound per token.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative word counts over the vocabulary of the fit.

        Returns
        -------
        float
            Perplexity per token, at least 1; lower is better, inf if it is too large for a float.

        Raises
        ------
        InputError
            If the model has no likelihood bound (W-LDA), or no document contains a word.
        ValueError
            If `X` has a negative or non-finite number, or another number of words than in `fit`.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Notes
        -----
        The evidence lower bound reads the words that it predicts. For perplexities that compare with other models, use
        document completion: :func:`topicnet.evaluate.perplexity.document_completion`.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> bool(np.isclose(model.perplexity(counts), np.exp(-model.score(counts))))
        True
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
        """Compute the evidence lower bound per token; higher is better.

        A model without a bound (W-LDA) returns the log-likelihood per token at the theta inferred from the same words.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative word counts over the vocabulary of the fit.
        y : None
            Ignored; present for compatibility with scikit-learn.

        Returns
        -------
        float
            Nats per token, from one sample of z per document with fixed random numbers: equal for equal `X`.

        Raises
        ------
        InputError
            If no document contains a word, or a count is above 2^31.
        ValueError
            If `X` has a negative or non-finite number, or another number of words than in `fit`.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Notes
        -----
        Kingma & Welling 2014, eq. 7. The multinomial coefficient is left out.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> -4.0 < model.score(counts) < -2.0  # log(1/12) is -2.5
        True
        """
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        n_tokens = float(row_sums(counts).sum())
        if n_tokens == 0:
            raise InputError("all documents are empty; expected at least one known word to score")
        with chosen_threads():
            return -likelihood_nats(self.network_, counts) / n_tokens

    @property
    def mixes(self) -> bool:
        """True if p(w|d) = theta @ beta, so that `transform` can refine theta.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.mixes
        True
        """
        check_is_fitted(self)
        return self.network_.decoder.mixes

    @usual_torch()
    def log_likelihood(self, X: Any, theta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the log-likelihood of documents at a given theta under the model's own decoder.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_docs, vocab_size)
            Non-negative word counts over the vocabulary of the fit.
        theta : array of shape (n_docs, n_topics)
            Topic proportions of the documents, often inferred from other words of theirs (document completion).

        Returns
        -------
        ndarray of shape (n_docs,), float64
            Nats per document; 0 for an empty document. The multinomial coefficient is left out.

        Raises
        ------
        InputError
            If `theta` has another shape, or a count is above 2^31.
        ValueError
            If `X` has a negative or non-finite number, or another number of words than in `fit`.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.log_likelihood(counts, model.transform(counts)).shape
        (20,)
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
        """Check all parameters without fitting anything.

        Raises
        ------
        InputError
            If a parameter is out of its range, the device does not exist, or the weights do not fit in memory.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(n_topics=3, dropout=0.5).check_parameters()
        """
        self.settings(seed=0)
        thread_count()
        choose_device(self.device)
        try:
            with torch.device("meta"):
                weights = sum(one.numel() for one in self.build_network(1).parameters())
        except RuntimeError:  # more weights than torch can count
            weights = sys.maxsize
        if 4 * weights > (available_memory() or math.inf):
            raise InputError(
                f"these parameters give a model of {weights:.3g} weights, which do not fit in memory: choose fewer"
                " topics, or smaller sizes"
            )

    @usual_torch()
    @usual_gradients()
    def restore(
        self, vocab_size: int, tensors: Mapping[str, Tensor], history: list[dict[str, float]], ending: FitEnding
    ) -> None:
        """Load saved weights on the CPU and set all attributes that `fit` sets.

        Parameters
        ----------
        vocab_size : int
            Number of words V.
        tensors : mapping of str to Tensor
            State of the network, by the names of its `state_dict`.
        history : list of dict
            Values of each epoch, for `history_`.
        ending : FitEnding
            Outcome of the fit, from `ending`.

        Raises
        ------
        InputError
            If a parameter is out of its range, or the tensors do not fit a model with these parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> loaded = ETM(n_topics=3)
        >>> loaded.restore(12, model.network_.state_dict(), model.history_, model.ending())
        >>> np.array_equal(loaded.components_, model.components_)
        True
        """
        self.settings(seed=0)  # does not check the device: a model trained on a GPU must load without one
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
        self._set_network(network, history)

    def ending(self) -> FitEnding:
        """Collect the outcome of the fit, for saving.

        Returns
        -------
        FitEnding
            Values that `restore` takes, all of them JSON values.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet import ETM
        >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
        >>> model = ETM(n_topics=3, init="random", max_epochs=1, random_state=0).fit(counts)
        >>> model.ending()["stopped"]
        'done'
        """
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
            raise InputError("checkpoints given with random_state=None, expected a number: it identifies the fit")
        given = self.get_params() | {"device": choose_device(self.device).type}  # results depend on the kind of device
        return Checkpoints(folder, fingerprint_of(type(self).__name__, given, seed, counts), checkpoint_seconds())

    def _apply(self, X: Any, function: Callable[[Any, SparseBatch], Tensor]) -> NDArray[np.float32]:
        """Apply `function` to every document in batches; returns (D, n)."""
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        network = self.network_.eval()
        device = next(network.parameters()).device
        n_docs = counts.shape[0]

        def infer_block(start: int) -> Tensor:
            block = rows_between(counts, start, min(start + INFERENCE_BATCH, n_docs))
            if start % RELEASE_DOCS == 0:
                release_pages(counts.data, counts.indices)
            batch = SparseBatch.for_inference(padded(block, INFERENCE_BATCH), device)
            return function(network, batch).float().cpu()

        starts = range(0, n_docs, INFERENCE_BATCH)
        rows = np.empty((0, 0), dtype=np.float32)
        with chosen_threads():
            for start, part in zip(starts, map_inference(infer_block, starts, device), strict=True):
                if start == 0:
                    rows = np.empty((n_docs, part.shape[1]), dtype=np.float32)
                rows[start : start + INFERENCE_BATCH] = part[: n_docs - start].numpy()
        return rows

    def _set_network(self, network: TopicNetwork, history: list[dict[str, float]]) -> None:
        network.eval()
        self.network_ = network
        self.history_ = history
        with torch.inference_mode():
            self.components_: NDArray[np.float32] = network.beta().cpu().numpy()
        self._n_features_out = self.n_topics

    def settings(self, seed: int) -> Settings:
        """Check the parameters and collect them for a fit.

        Parameters
        ----------
        seed : int
            Seed of the fit.

        Returns
        -------
        Settings
            Parameters, with the plan that the defaults come from.

        Raises
        ------
        InputError
            If a parameter is out of its range.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(dropout=0.5).settings(seed=0).dropout
        0.5
        """
        names = {field.name for field in fields(Settings)}
        return Settings(
            **{name: value for name, value in self.get_params(deep=False).items() if name in names},
            divergence_warm_up=getattr(self, f"{self.DIVERGENCE}_warm_up"),
            divergence_weight=getattr(self, f"{self.DIVERGENCE}_weight"),
            plan=self.PLANS["random" if self.init == "random" else "em"],
            divergence_name=self.DIVERGENCE,
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
    """Abstract base class of the topic models that are trained on the evidence lower bound.

    Parameters
    ----------
    latent_dim : int, optional
        Size Z of the latent Gaussian. By default K.
    kl_warm_up : float
        Fraction of the training steps over which the weight of the KL term grows from 0 to `kl_weight`.
    kl_weight : float
        Final weight of the KL term; 1 gives the evidence lower bound.

    Examples
    --------
    >>> from topicnet import ETM, WLDA
    >>> from topicnet.models.base import VariationalModel
    >>> issubclass(ETM, VariationalModel), issubclass(WLDA, VariationalModel)
    (True, False)
    """

    latent_dim: int | None = None
    kl_warm_up: float = 0.2
    kl_weight: float = 1.0

    def latent_size(self) -> int:
        """Return the size of the latent Gaussian.

        Returns
        -------
        int
            `latent_dim`, or the number of topics if that is None.

        Raises
        ------
        InputError
            If `latent_dim` is not an integer of 1 or more.

        Examples
        --------
        >>> from topicnet import ETM
        >>> ETM(n_topics=3).latent_size()
        3
        """
        latent_dim = self.n_topics if self.latent_dim is None else self.latent_dim
        check_count("latent_dim", latent_dim)
        return latent_dim
