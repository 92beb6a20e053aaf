"""Marginal log-likelihood of held-out documents: log p(x) with the latent variables integrated out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from topicnet.core.annealing import (
    AnnealedPath,
    NoiseAt,
    WeightSummary,
    annealed_log_weights,
    geometric_schedule,
    summarise_weights,
    tuned_steps,
)
from topicnet.core.counter_rng import Noise
from topicnet.core.sparse import SparseBatch
from topicnet.errors import InputError
from topicnet.models.base import TopicModel
from topicnet.models.decoders import Decoder, Topics
from topicnet.models.input_counts import check_counts
from topicnet.models.latent_model import frozen
from topicnet.models.network import TopicNetwork
from topicnet.runtime.interrupt import deferred_interrupt
from topicnet.runtime.memory import readable_seconds
from topicnet.runtime.reporter import Reporter
from topicnet.runtime.threads import chosen_threads, map_blocks, worker_count
from topicnet.runtime.torch_state import usual_gradients, usual_torch
from topicnet.storage.mapped import row_sums
from topicnet.training.checks import check_count
from topicnet.training.progress import Progress

ROWS = 1024  # documents times draws or chains that are processed together on the CPU
GPU_FACTOR = 32  # on a GPU, this many times as many
DRAWS_TOGETHER = 16  # draws of each document in a step; fixed, so that a document gets the same ones in any block
PRIOR_FRACTION = 0.1  # of the draws come from the prior, which bounds every weight by 10 times the largest likelihood
PILOT_CHAINS = 4  # of which the step sizes are tuned
FLAT_TOKENS = 8.0  # temperatures are spaced evenly up to the inverse temperature FLAT_TOKENS / N_d
TRIAL_TEMPERATURES, TRIAL_DRAWS = 6, 2 * DRAWS_TOGETHER  # that are timed before the run
IMPORTANCE, PILOT, CHAINS = 0, 1 << 28, 1 << 29  # first numbers of the random streams


@dataclass(frozen=True, kw_only=True)
class LikelihoodOptions:
    """Effort of the estimates of the likelihood.

    Parameters
    ----------
    draws : int
        Draws per document of importance weighting; 0 leaves it out.
    chains : int
        Chains per document of annealed importance sampling; 0 leaves it out.
    temperatures : int
        Number of temperatures from the prior to the posterior. Twice as many halve the variance of a chain's
        log-weight.
    seed : int
        Seed of all random numbers, from 0 to 2^32 - 1.

    Examples
    --------
    >>> from topicnet.models.likelihood import LikelihoodOptions
    >>> LikelihoodOptions(draws=0).temperatures
    300
    """

    draws: int = 1000
    chains: int = 16
    temperatures: int = 300
    seed: int = 0

    def check(self) -> None:
        """Check the values.

        Raises
        ------
        InputError
            A value is out of its range, or both estimates are left out.

        Examples
        --------
        >>> from topicnet.models.likelihood import LikelihoodOptions
        >>> LikelihoodOptions(draws=100).check()
        """
        check_count("draws", self.draws, least=0)
        check_count("chains", self.chains, least=0)
        check_count("temperatures", self.temperatures)
        check_count("seed", self.seed, least=0)
        if self.seed >= 2**32:
            raise InputError(f"seed={self.seed} given, expected a whole number below 2^32")
        if self.draws == 1 or self.chains == 1:
            name = "draws" if self.draws == 1 else "chains"
            raise InputError(
                f"{name}=1 given, expected 2 or more, so that the error can be estimated, or 0 to leave out"
            )
        if not self.draws and not self.chains:
            raise InputError("draws=0 and chains=0 given, expected one of them above 0: nothing would be estimated")


@dataclass(frozen=True, eq=False)
class DocumentLikelihoods:
    """Estimates of log p(x) for each of D documents, in nats, without the multinomial coefficient.

    Parameters
    ----------
    tokens : ndarray of shape (D,), float64
        Number of tokens. A document without any has log p(x) = 0 exactly.
    bound : ndarray of shape (D,) or None
        Evidence lower bound under the encoder's proposal; None without importance weighting.
    importance : WeightSummary or None
        Estimate by importance weighting, its standard error and effective sample size; None if it was left out, or
        the model has no proposal.
    annealed : WeightSummary or None
        The same by annealed importance sampling; None if it was left out.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.models.likelihood import DocumentLikelihoods
    >>> DocumentLikelihoods(np.array([3.0]), np.array([-9.0]), None, None).bound.tolist()
    [-9.0]
    """

    tokens: NDArray[np.float64]
    bound: NDArray[np.float64] | None
    importance: WeightSummary | None
    annealed: WeightSummary | None


@usual_torch()
@usual_gradients()
def document_likelihoods(
    model: TopicModel, X: object, options: LikelihoodOptions | None = None, reporter: Reporter | None = None
) -> DocumentLikelihoods:
    """Estimate the marginal log-likelihood of each document under a fitted model.

    log p(x_d) = log of the integral of p(z) p(x_d|z) over z, with p(z) the prior of the model and p(x|z) its decoder:
    the probability of the document without any look at its words.

    Parameters
    ----------
    model : TopicModel
        A fitted model.
    X : array or sparse matrix of shape (n_docs, vocab_size)
        Non-negative word counts over the vocabulary of the fit.
    options : LikelihoodOptions, optional
        Numbers of draws, chains and temperatures.
    reporter : Reporter, optional
        Receives an estimate of the time, and the progress.

    Returns
    -------
    DocumentLikelihoods
        Estimates, standard errors and effective sample sizes.

    Raises
    ------
    InputError
        If an option is out of its range, a count is above 2^31, or only importance weighting was asked for and the
        model has no proposal (W-LDA with a Gaussian mixture as its prior).
    ValueError
        If `X` has no documents, a negative or non-finite number, or another number of words than in `fit`.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    KeyboardInterrupt
        If Ctrl-C was pressed.

    Notes
    -----
    Importance weighting: mean of p(z) p(x|z) / q(z) over draws from q, a mixture of the encoder's posterior (90 %) and
    the prior (10 %), which keeps the variance finite (Hesterberg 1995). Its log is a lower bound in expectation that
    rises with the number of draws (Burda, Grosse & Salakhutdinov 2016).

    Annealed importance sampling (Neal 2001; Wallach, Murray, Salakhutdinov & Mimno 2009): chains from the prior to the
    posterior by Hamiltonian transitions on the latent points, which does not depend on the encoder. Step sizes are
    tuned in a pilot run. It is a lower bound in expectation, too.

    W-LDA has a deterministic encoder. Its proposal is Dirichlet(alpha0 + N_d theta(x_d)), the posterior if the topics
    of the tokens were known; its chains run on standard normal numbers that are mapped to the Dirichlet.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet import ETM
    >>> from topicnet.models.likelihood import LikelihoodOptions, document_likelihoods
    >>> counts = np.random.default_rng(0).poisson(1.0, (20, 12))
    >>> model = ETM(n_topics=2, init="random", max_epochs=1, random_state=0).fit(counts)
    >>> found = document_likelihoods(model, counts[:5], LikelihoodOptions(draws=100, chains=4, temperatures=20))
    >>> bool((found.bound <= found.importance.log_mean).all()), found.annealed.ess.shape
    (True, (5,))
    """
    options = options or LikelihoodOptions()
    options.check()
    check_is_fitted(model)
    counts = check_counts(model, X, reset=False)
    estimator = _Estimator.of(model.network_, options)
    if options.draws and not estimator.has_proposal(counts):
        if not options.chains:
            raise InputError(
                "chains=0 given, but this model has no proposal for importance weighting: only annealing is valid, so"
                " leave chains out"
            )
        estimator = replace(estimator, options=replace(options, draws=0))
    tokens = np.asarray(row_sums(counts), dtype=np.float64)
    filled = np.flatnonzero(tokens > 0)
    reporter = reporter or Reporter()
    parts: list[_Part] = []
    if len(filled):
        with chosen_threads(), deferred_interrupt() as interrupted:
            _report_cost(estimator, counts, filled, interrupted, reporter)
            tracker = _Tracker(len(filled), estimator.work(len(filled)), interrupted, reporter)
            parts = list(estimator.run(counts, filled, tracker))
    return _joined(parts, tokens, filled, estimator.options)


class _Part(NamedTuple):
    """Estimates of a block of b documents: bound (b,), and summaries of (b,) each."""

    bound: NDArray[np.float64] | None
    importance: WeightSummary | None
    annealed: WeightSummary | None


@dataclass(frozen=True)
class _Estimator:
    """Estimation of the likelihood of blocks of documents under fixed weights."""

    network: TopicNetwork
    topics: Topics
    decoder: Decoder
    options: LikelihoodOptions
    device: torch.device

    @classmethod
    def of(cls, network: TopicNetwork, options: LikelihoodOptions) -> _Estimator:
        network.eval()
        with torch.no_grad():
            topics = network.topics()
        # Stored by word, so that the likelihood transposes the topics without a copy at every step.
        topics = Topics(topics.logits.detach(), topics.beta.detach().t().contiguous().t())
        return cls(network, topics, frozen(network.decoder), options, topics.beta.device)

    def has_proposal(self, counts: csr_matrix) -> bool:
        with torch.no_grad():
            return self.network.proposal(SparseBatch.for_inference(counts[:1], self.device)) is not None

    @property
    def block_docs(self) -> int:
        rows = ROWS * (1 if self.device.type == "cpu" else GPU_FACTOR)
        return max(1, rows // max(self.options.chains, DRAWS_TOGETHER))

    def run(self, counts: csr_matrix, filled: NDArray[np.intp], tracker: _Tracker) -> Iterator[_Part]:
        """Estimate the documents `filled` of the counts, block by block."""
        size = self.block_docs
        blocks = [filled[at : at + size] for at in range(0, len(filled), size)]

        def one(docs: NDArray[np.intp]) -> _Part:
            return self.block(csr_matrix(counts[docs], dtype=np.float32), docs, tracker)

        yield from map_blocks(one, blocks, self.device)

    def block(self, counts: csr_matrix, docs: NDArray[np.intp], tracker: _Tracker) -> _Part:
        """Estimate some documents, given their numbers in the corpus, which name their random streams."""
        bound, importance = self._importance(counts, docs, tracker) if self.options.draws else (None, None)
        return _Part(bound, importance, self._annealed(counts, docs, tracker) if self.options.chains else None)

    def work(self, n_docs: int) -> int:
        """Return how many steps `block` reports for a number of documents, times documents."""
        n_prior, n_own = self._split()
        chunks = -(-n_prior // DRAWS_TOGETHER) - (-n_own // DRAWS_TOGETHER) if self.options.draws else 0
        transitions = 2 * self.options.temperatures - 1 if self.options.chains else 0
        return n_docs * (chunks + transitions)

    def _split(self) -> tuple[int, int]:
        """Return the numbers of draws from the prior and from the encoder."""
        n_prior = max(1, round(PRIOR_FRACTION * self.options.draws))
        return n_prior, self.options.draws - n_prior

    def _noise(self, docs: NDArray[np.intp], stream: int, n: int) -> Noise:
        return Noise.of(self.options.seed + (stream << 32), docs.astype(np.int64), self.device).repeated(n)

    def _repeated(self, counts: csr_matrix, n: int) -> SparseBatch:
        return SparseBatch.for_inference(vstack([counts] * n, format="csr", dtype=np.float32), self.device)

    @torch.no_grad()
    def _importance(
        self, counts: csr_matrix, docs: NDArray[np.intp], tracker: _Tracker
    ) -> tuple[NDArray[np.float64] | None, WeightSummary | None]:
        found = self.network.proposal(SparseBatch.for_inference(counts, self.device))
        if found is None:
            return None, None
        latent, proposal = found
        many = self._repeated(counts, DRAWS_TOGETHER)
        like = torch.empty(many.n_docs, latent.latent_dim, device=self.device)
        log_weights: list[Tensor] = []
        log_ratios: list[Tensor] = []
        n_prior, n_own = self._split()
        log_prior_share, log_own_share = (math.log(n / self.options.draws) for n in (n_prior, n_own))
        stream = IMPORTANCE
        for of_prior, wanted in ((True, n_prior), (False, n_own)):
            for done in range(0, wanted, DRAWS_TOGETHER):
                tracker.step(len(docs))
                noise = self._noise(docs, stream, DRAWS_TOGETHER)
                stream += 1
                z = latent.prior.sample(noise, like) if of_prior else proposal.sample(noise)
                nats = self.decoder.log_likelihood(latent.theta(z).to(like.dtype), self.topics, many).double()
                of_p, of_q = latent.prior.log_density(z).double(), proposal.log_density(z).double()
                rows = slice(0, min(DRAWS_TOGETHER, wanted - done))
                mixed = torch.logaddexp(of_p + log_prior_share, of_q + log_own_share)
                log_weights.append((nats + of_p - mixed).view(DRAWS_TOGETHER, -1)[rows])
                if not of_prior:
                    log_ratios.append((nats + of_p - of_q).view(DRAWS_TOGETHER, -1)[rows])
        bound = torch.cat(log_ratios).mean(0).cpu().numpy()
        return bound, summarise_weights(torch.cat(log_weights).cpu().numpy())

    def _annealed(self, counts: csr_matrix, docs: NDArray[np.intp], tracker: _Tracker) -> WeightSummary:
        with torch.no_grad():
            latent = self.network.latent_model()
        tokens = torch.as_tensor(np.asarray(counts.sum(1)).ravel(), device=self.device)
        betas = geometric_schedule(self.options.temperatures, FLAT_TOKENS / tokens)

        def chains(n: int, stream: int) -> tuple[AnnealedPath, Tensor, NoiseAt, Callable[[], None]]:
            many = self._repeated(counts, n)

            def log_likelihood(z: Tensor) -> Tensor:
                return self.decoder.log_likelihood(latent.theta(z), self.topics, many)

            def noise_at(transition: int) -> Noise:
                return self._noise(docs, stream + transition, n)

            like = torch.empty(many.n_docs, latent.latent_dim, device=self.device)
            with torch.no_grad():
                start = latent.prior.sample(noise_at(0), like)
            path = AnnealedPath(latent.prior.log_density, log_likelihood)
            return path, start, noise_at, lambda: tracker.step(len(docs))

        path, start, noise_at, check = chains(PILOT_CHAINS, PILOT)
        steps = tuned_steps(path, start, betas, noise_at, check)
        path, start, noise_at, check = chains(self.options.chains, CHAINS)
        return summarise_weights(annealed_log_weights(path, start, betas, steps, noise_at, check).cpu().numpy())


class _Tracker:
    """Count of the work done by all threads, which reports progress and raises KeyboardInterrupt after Ctrl-C."""

    def __init__(self, n_docs: int, work: int, interrupted: Callable[[], bool], reporter: Reporter) -> None:
        self.n_docs, self.work, self.interrupted, self.reporter = n_docs, work, interrupted, reporter
        self.done, self.reported, self.began = 0, 0, time.perf_counter()
        self.lock = threading.Lock()

    def step(self, amount: int) -> None:
        """Count one step for `amount` documents."""
        if self.interrupted():
            raise KeyboardInterrupt
        with self.lock:
            self.done += amount
            reached = self.done * self.n_docs // self.work
            if reached <= self.reported or self.reporter.listener is None:
                return
            self.reported = reached
            seconds = time.perf_counter() - self.began
            self.reporter.listener(Progress("likelihood", reached, self.n_docs, seconds))


def _report_cost(
    estimator: _Estimator, counts: csr_matrix, filled: NDArray[np.intp], interrupted: Callable[[], bool], to: Reporter
) -> None:
    """Time a few temperatures on the first documents, and report how long all of it takes."""
    trial = replace(estimator, options=replace(estimator.options, temperatures=TRIAL_TEMPERATURES, draws=TRIAL_DRAWS))
    docs = filled[: estimator.block_docs]
    part = csr_matrix(counts[docs], dtype=np.float32)
    silent = _Tracker(len(docs), 1, interrupted, Reporter())
    trial.block(part, docs, silent)  # the first call also builds tables and pools
    began = time.perf_counter()
    trial.block(part, docs, silent)
    seconds = time.perf_counter() - began
    blocks = len(filled) / len(docs)
    at_once = min(blocks, worker_count() if estimator.device.type == "cpu" else 1)
    total = seconds * estimator.work(len(docs)) / trial.work(len(docs)) * blocks / at_once
    to.notice(f"estimate: {readable_seconds(total)} for the likelihood of {len(filled):,} documents")


def _joined(
    parts: list[_Part], tokens: NDArray[np.float64], filled: NDArray[np.intp], options: LikelihoodOptions
) -> DocumentLikelihoods:
    """Put the blocks together; an empty document has a likelihood of 1 exactly."""

    def whole(values: list[NDArray[np.float64]], empty: float) -> NDArray[np.float64]:
        joined = np.full(len(tokens), empty)
        if values:
            joined[filled] = np.concatenate(values)
        return joined

    def summary(found: list[WeightSummary], n: int) -> WeightSummary:
        means, errors, sizes = (
            whole([one[at] for one in found], empty) for at, empty in enumerate((0.0, 0.0, float(n)))
        )
        return WeightSummary(means, errors, sizes)

    weighted = [part.importance for part in parts if part.importance is not None]
    bounds = [part.bound for part in parts if part.bound is not None]
    annealed = [part.annealed for part in parts if part.annealed is not None]
    return DocumentLikelihoods(
        tokens=tokens,
        bound=whole(bounds, 0.0) if options.draws else None,
        importance=summary(weighted, options.draws) if options.draws else None,
        annealed=summary(annealed, options.chains) if options.chains else None,
    )
