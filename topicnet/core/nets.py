"""Networks shared by the models."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topicnet.core.distributions import Normal
from topicnet.core.sparse import SparseBatch, sparse_linear

# exp(log_var / 2) stays within [0.007, 7]: wider is a network that has lost its way.
LOG_VAR_RANGE = 4.0


def normal_parameter(rows: int, columns: int, std: float) -> nn.Parameter:
    """A parameter (rows, columns) drawn from N(0, std^2).

    On the meta device, where a model to be loaded is laid out, nothing is drawn: torch would import its compiler
    for it, which takes longer than the rest of the loading.
    """
    values = torch.empty(rows, columns)
    return nn.Parameter(values if values.is_meta else values.normal_(std=std))


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
