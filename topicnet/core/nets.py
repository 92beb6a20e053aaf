"""Encoder networks and layers shared by the topic models: sparse input layer, dropout, theta map."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.counter_rng import DROPOUT, THETA, Noise
from topicnet.core.distributions import Dirichlet, Normal, Point
from topicnet.core.init import normal_parameter
from topicnet.core.sparse import SparseBatch, sparse_linear
from topicnet.runtime.shard import Shard

# exp(log_var / 2) stays within [0.007, 7]; wider posteriors only occur when training has diverged.
LOG_VAR_RANGE = 4.0


class SparseLinear(nn.Module):
    """Linear layer (V -> H) over sparse counts, transformed by log(1 + x) and scaled to unit length.

    Raw counts overflow. The L1-normalised counts used in the papers (values near 1 / N) give too weak a signal here.

    Parameters
    ----------
    vocab_size, hidden_dim : int
        V and H.
    """

    def __init__(self, vocab_size: int, hidden_dim: int) -> None:
        super().__init__()
        self.weight = normal_parameter(vocab_size, hidden_dim, std=0.25)  # (V, H)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))

    def forward(self, batch: SparseBatch) -> Tensor:
        """Map a batch to (B, H)."""
        values = batch.counts.log1p()
        length = batch.row_sums(values.square()).sqrt().clamp_min(1e-12)  # (B,)
        return sparse_linear(batch, values.div_(length.index_select(0, batch.rows)), self.weight) + self.bias


class Dropout(nn.Module):
    """Dropout with counter-based noise: in training, zero hidden units at a rate and rescale the rest.

    Parameters
    ----------
    rate : float
        Probability of zeroing a unit, below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, hidden: Tensor, noise: Noise) -> Tensor:
        """Apply dropout to hidden units (B, H), given the noise of their documents."""
        if not self.training or self.rate == 0:
            return hidden
        return hidden * noise.dropout_mask(DROPOUT, hidden, self.rate).mul_(1 / (1 - self.rate))


def batch_normalised(norms: Sequence[nn.BatchNorm1d], inputs: Sequence[Tensor], shard: Shard | None) -> list[Tensor]:
    """Apply to each input (b, n) its own batch-normalisation module.

    In training on a shard, the statistics and gradients are those of the whole batch, computed for all inputs in one
    collective (Ioffe & Szegedy 2015, section 3). torch's SyncBatchNorm needs a GPU.
    """
    if shard is None or not norms[0].training:
        return [norm(x) for norm, x in zip(norms, inputs, strict=True)]
    weight, bias = torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])
    normal, mean, var = _WholeBatchNorm.apply(torch.cat(list(inputs), 1), weight, bias, norms[0].eps, shard)  # type: ignore[no-untyped-call]
    widths = [norm.num_features for norm in norms]
    for norm, its_mean, its_var in zip(norms, mean.split(widths), var.split(widths), strict=True):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(its_mean, norm.momentum)
        norm.running_var.lerp_(its_var, norm.momentum)
        norm.num_batches_tracked.add_(1)
    return list(normal.split(widths, 1))


class _WholeBatchNorm(torch.autograd.Function):
    """Synchronised batch normalisation over the rows of all ranks.

    The outputs are weight (x - mean) / sqrt(var + eps) + bias, and the mean and unbiased variance (n,).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, shard: Shard
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Means and centred sums of squares of all ranks are combined without cancellation (Chan et al. 1979).
        my_mean = x.mean(0)
        mine = torch.stack([my_mean, (x - my_mean).square().sum(0)])
        means, squares = shard.world.gather(mine[None], [1] * len(shard.sizes)).unbind(1)  # (processes, n) each
        sizes = shard.counts(x)
        mean = (sizes * means).sum(0) / shard.n_docs
        square = (squares + sizes * (means - mean).square()).sum(0)
        scale = (square / shard.n_docs + eps).rsqrt()
        normal = (x - mean) * scale
        var = square / max(1, shard.n_docs - 1)
        ctx.save_for_backward(normal, weight, scale)
        ctx.shard = shard
        ctx.mark_non_differentiable(mean, var)
        return torch.addcmul(bias, normal, weight), mean, var

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        normal, weight, scale = ctx.saved_tensors
        shard: Shard = ctx.shard
        given = upstream[0]
        mine = torch.stack([given.sum(0), (given * normal).sum(0)])
        means = shard.world.sum(mine.clone()) / shard.n_docs
        # Gradients of weight and bias are this rank's part; they are summed together with all other gradients.
        return (given - means[0] - normal * means[1]) * (weight * scale), mine[1], mine[0], None, None


class SparseEncoder(nn.Module):
    """First layers of an encoder: a sparse layer, a dense layer and dropout.

    Parameters
    ----------
    vocab_size, hidden_dim : int
        V and H.
    dropout : float
        Rate of the dropout.
    """

    def __init__(self, vocab_size: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.input = SparseLinear(vocab_size, hidden_dim)
        self.hidden = nn.Linear(hidden_dim, hidden_dim)
        self.dropout = Dropout(dropout)

    def units(self, batch: SparseBatch) -> Tensor:
        """Return the hidden units (B, H) of each document."""
        h = functional.softplus(self.hidden(functional.softplus(self.input(batch))))
        units: Tensor = self.dropout(h, batch.noise)
        return units


class SparseGaussianEncoder(SparseEncoder):
    """Gaussian encoder q(z | x): sparse layer, dense layer, then batch-normalised mean and log-variance.

    Batch normalisation keeps every latent dimension active early in training, which prevents the KL term from
    collapsing (Srivastava & Sutton 2017, section 3.3).

    Parameters
    ----------
    vocab_size, hidden_dim, latent_dim : int
        V, H and Z.
    dropout : float
        Rate of the dropout.
    """

    def __init__(self, vocab_size: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__(vocab_size, hidden_dim, dropout)
        self.mean = nn.Linear(hidden_dim, latent_dim)
        self.log_var = nn.Linear(hidden_dim, latent_dim)
        self.mean_norm = nn.BatchNorm1d(latent_dim)
        self.log_var_norm = nn.BatchNorm1d(latent_dim)
        nn.init.constant_(self.log_var_norm.bias, -1.0)
        for layer in (self.mean, self.log_var):
            # Normalisation cancels a bias before it. Its gradient is rounding noise, which Adam would scale up to full
            # steps, and the running means lag behind such steps, so evaluation would be off by that lag.
            nn.init.zeros_(layer.bias).requires_grad_(False)

    def forward(self, batch: SparseBatch) -> Normal:
        """Return the posterior of each document: mean and log-variance (B, Z)."""
        h = self.units(batch)
        norms, inputs = (self.mean_norm, self.log_var_norm), (self.mean(h), self.log_var(h))
        mean, log_var = batch_normalised(norms, inputs, batch.shard)
        return Normal(mean, log_var.clamp(-2 * LOG_VAR_RANGE, LOG_VAR_RANGE), batch.noise)


class SparsePointEncoder(SparseEncoder):
    """Deterministic encoder: sparse layer, dense layer, then a point (Nan et al. 2019, section 4.1).

    Parameters
    ----------
    vocab_size, hidden_dim, latent_dim : int
        V, H and Z.
    dropout : float
        Rate of the dropout.
    """

    def __init__(self, vocab_size: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__(vocab_size, hidden_dim, dropout)
        self.point = nn.Linear(hidden_dim, latent_dim)

    def forward(self, batch: SparseBatch) -> Point:
        """Return the point of each document, (B, Z)."""
        return Point(self.point(self.units(batch)))


class SparsePlainGaussianEncoder(SparsePointEncoder):
    """Gaussian encoder q(z | x) without batch normalisation: the point of `SparsePointEncoder` with a variance.

    Parameters
    ----------
    vocab_size, hidden_dim, latent_dim : int
        V, H and Z.
    dropout : float
        Rate of the dropout.
    """

    FIRST_LOG_VAR = -2.0

    def __init__(self, vocab_size: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__(vocab_size, hidden_dim, latent_dim, dropout)
        self.log_var = nn.Linear(hidden_dim, latent_dim)
        nn.init.constant_(self.log_var.bias, self.FIRST_LOG_VAR)

    def forward(self, batch: SparseBatch) -> Normal:  # type: ignore[override]
        """Return the posterior of each document: mean and log-variance (B, Z)."""
        h = self.units(batch)
        return Normal(self.point(h), self.log_var(h).clamp(-2 * LOG_VAR_RANGE, LOG_VAR_RANGE), batch.noise)


class Proportions(nn.Module):
    """Map from latent points to topic proportions: theta = softmax(W z + b).

    Parameters
    ----------
    latent_dim, n_topics : int
        Z and K. W starts at the identity if they are equal.
    bias : bool
        Whether to add b, which starts at 0.
    """

    def __init__(self, latent_dim: int, n_topics: int, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, n_topics, bias=bias)
        if not self.linear.weight.is_meta:
            init_topic_map(self.linear.weight)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Map latent points (B, Z) to theta (B, K)."""
        # Topics as rows: in the usual order, rounding depends on a document's position in memory, and the last bit of
        # theta can differ for the same document.
        logits = (self.linear.weight @ z.t()).t()
        theta: Tensor = (logits if self.linear.bias is None else logits + self.linear.bias).softmax(-1)
        return theta


@torch.no_grad()
def init_topic_map(weight: Tensor) -> None:
    """Initialise a map (K, Z) to the identity if Z = K, else to random unit vectors."""
    if weight.shape[0] == weight.shape[1]:
        nn.init.eye_(weight)
    else:
        weight.normal_()
        weight /= weight.norm(dim=1, keepdim=True)


class SphericalProportions(nn.Module):
    """Map from the unit sphere to theta: two linear layers with a ReLU, layer normalisation, and a softmax.

    The temperature of the softmax is learned, as in S2WTM (Adhya & Sanyal 2025). Here the point itself is added to the
    output of the layers, which starts at 0: so the map starts like those of the other models, and EM starts keep their
    topics.
    """

    FIRST_TEMPERATURE = 0.7

    def __init__(self, n_topics: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_topics, n_topics)
        self.second = nn.Linear(n_topics, n_topics)
        for zeroed in (self.second.weight, self.second.bias):
            nn.init.zeros_(zeroed)
        self.norm = nn.LayerNorm(n_topics)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(self.FIRST_TEMPERATURE)))

    def forward(self, z: Tensor) -> Tensor:
        """Map latent points (B, K), scaled to unit length here, to theta (B, K)."""
        point = functional.normalize(z, dim=-1)
        logits = self.norm(point + self.second(functional.relu(self.first(point)))) / self.log_temperature.exp()
        theta: Tensor = logits.softmax(-1)
        return theta


class DirichletNoise(nn.Module):
    """Dirichlet noise in theta, used only in training: (1 - a) theta + a noise (Nan et al. 2019, section 4.2)."""

    def __init__(self, n_topics: int, concentration: float, fraction: float) -> None:
        super().__init__()
        self.distribution = Dirichlet(n_topics, concentration)
        self.fraction = fraction

    def forward(self, theta: Tensor, noise: Noise) -> Tensor:
        """Mix theta with noise, (B, K)."""
        if self.fraction == 0:
            return theta
        return theta.lerp(self.distribution.sample(noise, theta, THETA), self.fraction)
