"""Adam (Kingma & Ba 2015) with lazy updates of rows that have sparse gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8
LENGTH_EPSILON = 1e-7  # added to the length that a gradient is divided by
CHUNK_ENTRIES = 2**17  # entries of a parameter updated at a time: four arrays of 512 KB fit in the cache


@dataclass
class _Moments:
    """Adam's state for one parameter."""

    parameter: Tensor
    lr_scale: float
    decay: float
    first: Tensor
    second: Tensor
    steps: Tensor  # scalar step count; with sparse gradients, the last step in which each row was updated


class Adam:
    """Adam over the parameters of a network that have gradients.

    A row-sparse gradient updates only its rows. Their moments first decay for the steps that they missed, as in dense
    Adam; the moves that dense Adam would make by momentum alone are omitted ("lazy" Adam).

    Parameters
    ----------
    network : nn.Module
        Network to train.
    weight_decay : float
        L2 penalty on matrices; biases and normalisation parameters get none.
    lr_scales : mapping of str to float
        Factor of the learning rate by parameter name; 1 for parameters not named.
    normalise : bool
        Divide the gradient of each parameter by its length first, as the reference code of the VampPrior does (Tomczak
        & Welling 2018; AdamNormGrad). Applies to dense gradients only.
    first_decay : float
        Decay beta1 of the mean gradients.

    Raises
    ------
    KeyError
        A name in `lr_scales` is not that of a parameter.
    """

    def __init__(
        self,
        network: nn.Module,
        weight_decay: float,
        lr_scales: Mapping[str, float],
        normalise: bool = False,
        first_decay: float = FIRST_DECAY,
    ) -> None:
        self._first_decay = first_decay
        self._normalise = normalise
        named = dict(network.named_parameters())
        if unknown := lr_scales.keys() - named.keys():
            raise KeyError(f"no parameters {', '.join(sorted(unknown))}")
        self._names = {value: name for name, value in named.items() if value.requires_grad}
        self._settings = {
            name: (lr_scales.get(name, 1.0), weight_decay if value.ndim > 1 else 0.0) for name, value in named.items()
        }
        self._moments: dict[str, _Moments] = {}
        self.n_steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every parameter that has a gradient, with this learning rate, and drop the gradients."""
        self.n_steps += 1
        groups: dict[tuple[float, float], list[_Moments]] = {}
        for parameter, name in self._names.items():
            if parameter.grad is None:
                continue
            moments = self._moments_of(name, parameter)
            if parameter.grad.is_sparse:
                self._move_rows(moments, parameter.grad, rate)
                parameter.grad = None
            else:
                groups.setdefault((moments.lr_scale, moments.decay), []).append(moments)
        for (lr_scale, decay), members in groups.items():
            gradients = [m.parameter.grad for m in members if m.parameter.grad is not None]
            if self._normalise:
                lengths = torch._foreach_norm(gradients)
                torch._foreach_add_(lengths, LENGTH_EPSILON)
                torch._foreach_div_(gradients, lengths)
            _adam(members, gradients, lr_scale * rate, decay, self._first_decay)
            for moments in members:
                moments.parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the whole state by name; the tensors are not copied."""
        remembered = {"n_steps": torch.tensor(self.n_steps)}
        for name, moments in self._moments.items():
            for kind in ("first", "second", "steps"):
                remembered[f"{kind}.{name}"] = getattr(moments, kind)
        return remembered

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state returned by `state`, copied to the device."""
        self.n_steps = int(state["n_steps"])
        parameters = {name: parameter for parameter, name in self._names.items()}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if name:
                moments = self._moments_of(name, parameters[name])
                setattr(moments, kind, value.to(moments.first.device, copy=True))

    def _moments_of(self, name: str, parameter: nn.Parameter) -> _Moments:
        if name not in self._moments:
            first = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            steps = torch.zeros((), dtype=torch.float32, device=first.device)  # the type that the GPU kernel reads
            self._moments[name] = _Moments(parameter, *self._settings[name], first, torch.zeros_like(first), steps)
        return self._moments[name]

    def _move_rows(self, moments: _Moments, gradient: Tensor, rate: float) -> None:
        """Update the rows of a row-sparse gradient, in which each row occurs once."""
        whole = moments.parameter
        if moments.steps.ndim == 0:
            moments.steps = torch.zeros(len(whole), dtype=torch.float32, device=whole.device)
        rows, values = gradient._indices()[0], gradient._values()
        missed = self.n_steps - 1 - moments.steps.index_select(0, rows)  # (n,)
        moments.steps.index_fill_(0, rows, float(self.n_steps))
        n_rows = max(1, CHUNK_ENTRIES // max(1, whole.shape[1]))
        for part in (slice(begin, begin + n_rows) for begin in range(0, len(rows), n_rows)):
            some = rows[part]
            first = moments.first.index_select(0, some).mul_((self._first_decay ** missed[part])[:, None])
            second = moments.second.index_select(0, some).mul_((SECOND_DECAY ** missed[part])[:, None])
            steps = torch.full((), self.n_steps - 1.0, dtype=torch.float32, device=whole.device)
            few = replace(moments, parameter=whole.index_select(0, some), first=first, second=second, steps=steps)
            _adam([few], [values[part]], moments.lr_scale * rate, moments.decay, self._first_decay)
            whole.index_copy_(0, some, few.parameter)
            moments.first.index_copy_(0, some, few.first)
            moments.second.index_copy_(0, some, few.second)


def _adam(members: list[_Moments], gradients: list[Tensor], rate: float, decay: float, first_decay: float) -> None:
    """Make one fused Adam step."""
    # Called directly because the class torch.optim.Adam imports torch's compiler at the first step, which takes 1.5 s.
    adam(
        [m.parameter for m in members],
        gradients,
        [m.first for m in members],
        [m.second for m in members],
        [],
        [m.steps for m in members],
        fused=True,
        amsgrad=False,
        beta1=first_decay,
        beta2=SECOND_DECAY,
        lr=rate,
        weight_decay=decay,
        eps=EPSILON,
        maximize=False,
    )
