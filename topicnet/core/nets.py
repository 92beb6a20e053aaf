"""Networks shared by the models."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.distributions import Normal, Point
from topicnet.core.parameters import normal_parameter
from topicnet.core.sparse import SparseBatch, sparse_linear

# exp(log_var / 2) stays within [0.007, 7]: wider is a network that has lost its way.
LOG_VAR_RANGE = 4.0


class SparseLinear(nn.Module):
    """A linear layer (V -> H) over a sparse input: log(1 + x), scaled to unit length.

    Raw counts overflow, and the L1-normalised counts of the papers (values near 1 / N) starve this layer.
    """

    def __init__(self, vocab_size: int, hidden_dim: int) -> None:
        super().__init__()
        self.weight = normal_parameter(vocab_size, hidden_dim, std=0.25)  # (V, H)
        self.bias = nn.Parameter(torch.zeros(hidden_dim))

    def forward(self, batch: SparseBatch) -> Tensor:
        """Map a batch to (B, H)."""
        values = batch.counts.log1p()
        length = batch.row_sums(values.square()).sqrt().clamp_min(1e-12)  # (B,)
        return sparse_linear(batch, values / length[batch.rows], self.weight) + self.bias


class SparseGaussianEncoder(nn.Module):
    """q(z | x): sparse layer, one dense layer, then mean and log-variance, each batch-normalised.

    Batch normalisation keeps every latent dimension in use early on, which is what holds the KL up
    (Srivastava & Sutton 2017, section 3.3).
    """

    def __init__(self, vocab_size: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__()
        self.input = SparseLinear(vocab_size, hidden_dim)
        self.hidden = nn.Linear(hidden_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.mean = nn.Linear(hidden_dim, latent_dim)
        self.log_var = nn.Linear(hidden_dim, latent_dim)
        self.mean_norm = nn.BatchNorm1d(latent_dim)
        self.log_var_norm = nn.BatchNorm1d(latent_dim)
        nn.init.constant_(self.log_var_norm.bias, -1.0)

    def forward(self, batch: SparseBatch) -> Normal:
        """Posterior of each document: mean and log-variance (B, Z)."""
        h = functional.softplus(self.input(batch))
        h = self.dropout(functional.softplus(self.hidden(h)))  # (B, H)
        log_var = self.log_var_norm(self.log_var(h))
        return Normal(self.mean_norm(self.mean(h)), log_var.clamp(-2 * LOG_VAR_RANGE, LOG_VAR_RANGE))


class SparsePointEncoder(nn.Module):
    """A deterministic encoder: sparse layer, one dense layer, then a point (Nan et al. 2019, section 4.1)."""

    def __init__(self, vocab_size: int, hidden_dim: int, latent_dim: int, dropout: float) -> None:
        super().__init__()
        self.input = SparseLinear(vocab_size, hidden_dim)
        self.hidden = nn.Linear(hidden_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.point = nn.Linear(hidden_dim, latent_dim)

    def forward(self, batch: SparseBatch) -> Point:
        """The point of each document, (B, Z)."""
        h = functional.softplus(self.input(batch))
        return Point(self.point(self.dropout(functional.softplus(self.hidden(h)))))


class Proportions(nn.Module):
    """theta = softmax(W z + b), or softmax(z) where Z = K and no map is wanted."""

    def __init__(self, latent_dim: int, n_topics: int, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, n_topics, bias=bias)
        if not self.linear.weight.is_meta:
            start_of_map(self.linear.weight)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Map latent points (B, Z) to theta (B, K)."""
        theta: Tensor = self.linear(z).softmax(-1)
        return theta


@torch.no_grad()
def start_of_map(weight: Tensor) -> None:
    """Begin a map (K, Z) at the identity where Z = K, else with random directions of unit length for the topics."""
    if weight.shape[0] == weight.shape[1]:
        nn.init.eye_(weight)
    else:
        weight.normal_()
        weight /= weight.norm(dim=1, keepdim=True)
