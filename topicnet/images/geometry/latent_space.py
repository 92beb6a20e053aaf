"""Latent space of a fitted image model as a Riemannian manifold, with geodesics between images."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from topicnet.core import geometry
from topicnet.core.geometry import Geodesic, LatentGraph, Metric
from topicnet.core.geometry.metrics import check_regular
from topicnet.errors import InputError
from topicnet.images.data.checks import checked_images
from topicnet.images.geometry.choices import METHODS, METRICS, check_choice
from topicnet.images.model.batches import to_unit_interval
from topicnet.images.model.convolutions import GatedConvolution
from topicnet.images.model.estimator import ROWS, ImageVAE
from topicnet.images.model.latents import CategoricalLatents, one_hot
from topicnet.images.model.likelihoods import Bernoulli, Gaussian, Likelihood, Logistic
from topicnet.images.model.nets import GatedDense
from topicnet.images.model.settings import MOST_THREADS
from topicnet.runtime.threads import chosen_threads
from topicnet.runtime.torch_state import usual_torch
from topicnet.training.checks import check_count

N_CENTERS, WIDTH = 64, 2.0  # of the radial basis functions of the scale
IMAGES_PER_CENTER = 20  # at least, so that the scale follows the density of the codes rather than single codes
OUTER_SCALE = 10.0  # scale far from the images, relative to their root mean squared residual
MOST_IMAGES = 5_000  # to which the scale is fitted
MOST_NODES, NEIGHBORS = 1_000, 10  # codes in the graph, and edges of each
STRAIGHT_SEGMENTS = 1_000  # chords that measure the straight line
MOST_POINTS = 100
CHORDS, CHORD_TOLERANCE = 10, 0.02  # of a segment, when a curve is measured again; relative difference accepted

Array = NDArray[np.float64]
Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ImageGeodesic:
    """Geodesic between two images in the latent space of a model, with the images decoded along it.

    Parameters
    ----------
    geodesic : Geodesic
        Curve, length, energy, whether the solver converged, and method.
    straight_length : float
        Length of the straight line between the same codes, under the same metric.
    times : ndarray of shape (n_points,)
        Equal times from 0 to 1, at which points are decoded.
    codes, straight_codes : ndarray of shape (n_points, Z)
        Latent codes on the geodesic and on the straight line.
    images, straight_images : ndarray of shape (n_points, P)
        Mean images, float32, decoded from these codes.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.images import ImageVAE, LatentSpace
    >>> X = np.random.default_rng(0).random((40, 16))
    >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
    >>> path = LatentSpace.of(model, X, metric="pullback").geodesic(X[0], X[1], n_points=5)
    >>> path.images.shape, path.ratio <= 1
    ((5, 16), True)
    """

    geodesic: Geodesic
    straight_length: float
    times: Array
    codes: Array
    straight_codes: Array
    images: Images
    straight_images: Images

    @property
    def ratio(self) -> float:
        """Length of the geodesic divided by that of the straight line."""
        return self.geodesic.length / self.straight_length


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """Latent space of a fitted image model with the metric of its decoder.

    Make one with `of`. Everything is computed in double precision on the CPU.

    Parameters
    ----------
    model : ImageVAE
        The fitted model.
    metric : Metric
        Metric of the latent space, for all functions of `topicnet.geometry`.
    category : int or None
        Category with which codes are encoded and decoded; None if the decoder takes z alone.
    reference_codes : Tensor of shape (n, Z)
        Codes of the reference images.
    decoder : callable
        Differentiable map of one code (Z,) to the mean image (P,).

    See Also
    --------
    topicnet.geometry.geodesic : Geodesics of any metric.

    References
    ----------
    Arvanitidis, Hansen & Hauberg (2018), "Latent space oddity: on the curvature of deep generative models", ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from topicnet.images import ImageVAE, LatentSpace
    >>> X = np.random.default_rng(0).random((40, 16))
    >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
    >>> space = LatentSpace.of(model, X)
    >>> space.metric.volume(space.encode(X[:3])).shape
    torch.Size([3])
    """

    model: ImageVAE
    metric: Metric
    category: int | None
    reference_codes: Tensor
    decoder: Callable[[Tensor], Tensor]

    @classmethod
    @usual_torch()
    def of(
        cls, model: ImageVAE, X: Any, *, metric: str = "expected", category: int | None = None, seed: int = 0
    ) -> LatentSpace:
        """Equip the latent space of a model with the metric of its decoder.

        Parameters
        ----------
        model : ImageVAE
            A fitted model.
        X : array of shape (n, P), (n, h, w) or (n, h, w, 1)
            Reference images, usually those of the fit. The scale of "expected" grows away from their codes, and graph
            paths run along these; at most 5,000 of them are used, evenly spaced.
        metric : {"expected", "pullback", "fisher-rao"}
            "expected" is the pullback of z -> (mean(z), scale(z)), where the scale is fitted to the residuals of X and
            grows away from their codes, so that geodesics keep to the images. "pullback" is that of the mean image
            alone (the probabilities of a Bernoulli likelihood), and "fisher-rao" that of the likelihood.
        category : int, optional
            Category to hold; required by variants whose decoder takes a category, and only by these.
        seed : int
            Seed of the k-means that places the basis functions of the scale.

        Returns
        -------
        LatentSpace
            The space.

        Raises
        ------
        InputError
            The metric is unknown, the likelihood has no Fisher-Rao metric, a category is missing, out of range or not
            accepted, the images do not fit the model, or all of them have the same code.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE, LatentSpace
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
        >>> LatentSpace.of(model, X, metric="fisher-rao").category is None
        True
        """
        check_is_fitted(model)
        check_choice("metric=", metric, METRICS)
        _check_category(model, category)
        check_count("seed", seed, least=0)
        decoder, likelihood = _decoder(model, category)
        pixels = _unit_pixels(model, X)
        pixels = pixels[np.unique(np.linspace(0, len(pixels) - 1, MOST_IMAGES).astype(int))]
        with torch.no_grad(), chosen_threads(MOST_THREADS):
            codes = _codes(model, pixels, category)
            made = _metric(metric, decoder, likelihood, pixels, codes, seed)
        return cls(model, made, category, codes, lambda z: likelihood.mean(decoder(z)))

    def encode(self, X: Any) -> Tensor:
        """Encode images to posterior means, given the category of the space if there is one.

        Parameters
        ----------
        X : array of shape (n, P), (n, h, w) or (n, h, w, 1)
            Images like those of the fit.

        Returns
        -------
        Tensor
            (n, Z), float64.

        Raises
        ------
        InputError
            The images do not fit the model.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE, LatentSpace
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
        >>> LatentSpace.of(model, X).encode(X).dtype
        torch.float64
        """
        with usual_torch(), torch.no_grad(), chosen_threads(MOST_THREADS):
            return _codes(self.model, _unit_pixels(self.model, X), self.category)

    def geodesic(
        self, start: Any, end: Any, *, method: str = "refined", n_segments: int = 100, n_points: int = 11
    ) -> ImageGeodesic:
        """Find a geodesic between the codes of two images, and decode images along it and along the straight line.

        Parameters
        ----------
        start, end : array of shape (P,) or (h, w)
            Two images with different codes.
        method : {"refined", "energy", "spline", "bvp", "graph", "shooting"}
            "refined" minimises the energy twice, from the straight line and from the shortest path in a graph of the
            reference codes, and returns the shorter curve. The others are those of `topicnet.geometry.geodesic`.
        n_segments : int
            Number of segments of the curve, at least 2.
        n_points : int
            Number of images decoded along each path, from 2 to 100, at equal times.

        Returns
        -------
        ImageGeodesic
            The path with its images.

        Raises
        ------
        InputError
            The images have the same code, the metric is singular on the path (for instance because the decoder ignores
            a dimension), the graph of "graph" is disconnected, or a number is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE, LatentSpace
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
        >>> path = LatentSpace.of(model, X).geodesic(X[3], X[8], method="energy")
        >>> path.geodesic.method, path.codes.shape, path.straight_images.shape
        ('energy', (11, 2), (11, 16))
        """
        check_choice("method=", method, METHODS)
        check_count("n_points", n_points, least=2, most=MOST_POINTS)
        ends = self.encode(np.stack([_one_image(start), _one_image(end)]))
        if torch.equal(ends[0], ends[1]):
            raise InputError("two images with the same latent code given, expected images with different codes")
        with usual_torch(), chosen_threads(MOST_THREADS):
            found = self._solve(ends[0], ends[1], method, n_segments)
            line = geometry.straight_line(ends[0], ends[1], STRAIGHT_SEGMENTS)
            with torch.no_grad():
                straight_length = float(geometry.curve_length(self.metric, line))
            times = np.linspace(0, 1, n_points)
            codes, straight = (_at_times(curve.detach(), times) for curve in (found.curve, line))
            return ImageGeodesic(
                found, straight_length, times, codes, straight, self.decode(codes), self.decode(straight)
            )

    def decode(self, codes: Any) -> Images:
        """Decode latent codes to mean images, given the category of the space if there is one.

        Parameters
        ----------
        codes : Tensor or array-like
            (n, Z).

        Returns
        -------
        ndarray of shape (n, P)
            float32 mean images.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE, LatentSpace
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
        >>> LatentSpace.of(model, X).decode([[0.0, 1.0]]).shape
        (1, 16)
        """
        with torch.no_grad(), chosen_threads(MOST_THREADS):
            parts = torch.split(torch.as_tensor(codes, dtype=torch.float64), ROWS)
            decoded = torch.cat([torch.vmap(self.decoder)(part).float() for part in parts])
        return np.asarray(decoded.numpy())

    def _solve(self, start: Tensor, end: Tensor, method: str, n_segments: int) -> Geodesic:
        if method == "energy":
            return self._remeasured(geometry.geodesic(self.metric, start, end, n_segments=n_segments))
        if method not in ("refined", "graph"):
            return geometry.geodesic(self.metric, start, end, method=method, n_segments=n_segments)
        # Singular metrics are reported before the graph is measured, which takes longer.
        check_regular(self.metric, torch.stack([start, end]))
        if method == "graph":
            return geometry.geodesic(self.metric, start, end, method="graph", graph=self._graph, n_segments=n_segments)
        line = self._along_line(start, end, n_segments)
        if len(start) == 1:  # every path between two numbers covers the numbers between them
            return line
        found = [geometry.geodesic(self.metric, start, end, n_segments=n_segments)]
        if connected_components(self._graph.lengths, directed=False)[0] == 1:
            first = self._graph.shortest_path(start, end, n_segments).curve
            found.append(geometry.geodesic(self.metric, start, end, n_segments=n_segments, initial=first))
        best = min(map(self._remeasured, found), key=lambda one: (not one.converged, one.length))
        if best.length > line.length:
            best = replace(line, converged=False)
        return replace(best, method="refined")

    def _along_line(self, start: Tensor, end: Tensor, n_segments: int) -> Geodesic:
        """Return the straight line at constant speed."""
        line = geometry.straight_line(start, end, STRAIGHT_SEGMENTS)
        length = float(geometry.curve_length(self.metric, line).detach())
        curve = geometry.constant_speed(self.metric, line, n_segments)
        curve[0], curve[-1] = start, end
        return Geodesic(curve, length, length**2, True, "refined")

    def _remeasured(self, found: Geodesic) -> Geodesic:
        """Measure a discrete curve by shorter chords, and mark it as not converged if it is longer by these.

        Where images come back to similar ones, one long step of a discrete curve can skip those between, because its
        chord is short.
        """
        steps = torch.arange(CHORDS, dtype=found.curve.dtype)[:, None] / CHORDS
        inner = found.curve[:-1, None] + steps * found.curve.diff(dim=0)[:, None]
        fine = torch.cat([inner.flatten(0, 1), found.curve[-1:]])
        with torch.no_grad():
            length = float(geometry.curve_length(self.metric, fine))
            energy = float(geometry.curve_energy(self.metric, fine))
        if length <= found.length * (1 + CHORD_TOLERANCE):
            return found
        return Geodesic(found.curve, length, energy, False, found.method)

    @cached_property
    def _graph(self) -> LatentGraph:
        return self.graph()

    def graph(self, codes: Any = None, n_neighbors: int = NEIGHBORS) -> LatentGraph:
        """Join latent codes to their nearest neighbours by edges that carry lengths under the metric.

        Parameters
        ----------
        codes : Tensor or array-like, optional
            (n, Z), by default at most 1,000 different codes of the reference images, evenly spaced.
        n_neighbors : int
            Number of neighbours, fewer if there are not that many codes.

        Returns
        -------
        LatentGraph
            The graph, which need not be connected.

        Raises
        ------
        InputError
            There are fewer than two different codes, or n_neighbors is below 1.

        Examples
        --------
        >>> import numpy as np
        >>> from topicnet.images import ImageVAE, LatentSpace
        >>> X = np.random.default_rng(0).random((40, 16))
        >>> model = ImageVAE(latent_dim=2, hidden_dim=8, max_epochs=20, device="cpu", random_state=0).fit(X)
        >>> LatentSpace.of(model, X).graph().points.shape
        torch.Size([40, 2])
        """
        check_count("n_neighbors", n_neighbors)
        if codes is None:
            different = np.unique(self.reference_codes.numpy(), axis=0)
            chosen = np.unique(np.linspace(0, len(different) - 1, MOST_NODES).astype(int))
            codes = torch.as_tensor(different[chosen])
        return LatentGraph.from_points(self.metric, codes, max(1, min(n_neighbors, len(codes) - 1)))


def decoding_space(model: ImageVAE, category: int | None) -> LatentSpace:
    """Return the latent space with the pullback metric and without reference images, for encoding and decoding."""
    _check_category(model, category)
    decoder, likelihood = _decoder(model, category)

    def mean(z: Tensor) -> Tensor:
        return likelihood.mean(decoder(z))

    none = torch.zeros(0, model.network_.latents.latent_dim, dtype=torch.float64)
    return LatentSpace(model, geometry.pullback(mean), category, none, mean)


def _metric(
    name: str,
    decoder: Callable[[Tensor], Tensor],
    likelihood: Likelihood,
    pixels: Images,
    codes: Tensor,
    seed: int,
) -> Metric:
    def mean(z: Tensor) -> Tensor:
        return likelihood.mean(decoder(z))

    if name == "pullback":
        return geometry.pullback(mean)
    if name == "fisher-rao":
        return _fisher_rao(decoder, likelihood)
    decoded = torch.cat([torch.vmap(mean)(part) for part in torch.split(codes, ROWS)])
    residuals = (torch.as_tensor(pixels).double() - decoded).square().mean(1, keepdim=True)  # (n, 1)
    floor = 1 / (OUTER_SCALE**2 * max(float(residuals.mean()), 1e-12))
    n_centers = max(1, min(N_CENTERS, len(codes) // IMAGES_PER_CENTER))
    scale = geometry.fit_rbf_precision(
        codes, residuals, n_centers=n_centers, width=WIDTH, floor=floor, seed=seed
    )  # one scale for all pixels
    return geometry.expected_pullback(mean, scale)


def _fisher_rao(decoder: Callable[[Tensor], Tensor], likelihood: Likelihood) -> Metric:
    if isinstance(likelihood, Bernoulli):
        return geometry.fisher_rao_bernoulli(decoder, from_logits=True)
    if isinstance(likelihood, Gaussian):
        rate = (-0.5 * likelihood.log_var.detach()).exp()
        return geometry.pullback(lambda z: rate * decoder(z))
    if isinstance(likelihood, Logistic):  # the information of a logistic density about its mean is 1 / (3 scale^2)
        rate = 1 / (math.sqrt(3) * likelihood.scale.detach())
        return geometry.pullback(lambda z: rate * likelihood.mean(decoder(z)))
    raise InputError("metric='fisher-rao' given for a model without a likelihood, expected expected or pullback")


def _decoder(model: ImageVAE, category: int | None) -> tuple[Callable[[Tensor], Tensor], Likelihood]:
    """Return the decoder of one code (Z,) before the likelihood, and the likelihood, in double precision."""
    network = model.network_
    decoder = copy.deepcopy(network.decoder).double().cpu().eval().requires_grad_(False)
    for part in [*decoder.modules()]:
        for name, layer in [*part.named_children()]:
            if isinstance(layer, GatedDense) or (isinstance(layer, GatedConvolution) and layer.gated):
                setattr(part, name, _Gate(layer))
    likelihood = copy.deepcopy(network.likelihood).double().cpu().eval().requires_grad_(False)
    latents = network.latents
    c = None
    if category is not None:
        c = torch.zeros(1, latents.n_categories or 1, dtype=torch.float64)
        c[0, category] = 1.0

    def decode(z: Tensor) -> Tensor:
        out: Tensor = decoder(latents.code_of(z[None], c))
        return out[0]

    return decode, likelihood


class _Gate(nn.Module):
    """Gated layer without glu, whose forward derivative torch cannot compute for many points at once."""

    def __init__(self, layer: GatedDense | GatedConvolution) -> None:
        super().__init__()
        self.both = layer.both

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n) to (B, m), or (B, c, h, w) to (B, d, ...)."""
        values, gates = self.both(x).chunk(2, 1)
        gated: Tensor = values * gates.sigmoid()
        return gated


def _codes(model: ImageVAE, pixels: Images, category: int | None) -> Tensor:
    """Return posterior means (n, Z) of images in [0, 1], given a category if the decoder takes one."""
    latents, device = model.network_.latents, model.network_.device
    parts = []
    for part in torch.split(torch.as_tensor(pixels), ROWS):
        x = part.to(device)
        if category is None or not isinstance(latents, CategoricalLatents):
            parts.append(latents.codes(x).cpu())
            continue
        hidden = latents.body(x)
        logits = latents.category(hidden)
        c = one_hot(torch.full_like(logits[:, 0], category, dtype=torch.long), logits)
        parts.append(latents.posterior(hidden, c).mean.cpu())
    return torch.cat(parts).detach().double()


def _unit_pixels(model: ImageVAE, X: Any) -> Images:
    """Return images (n, P) with values in [0, 1], checked against the model."""
    images = checked_images(np.asarray(X), "X")
    pixels = np.ascontiguousarray(images.reshape(len(images), -1))
    if len(pixels) == 0 or pixels.shape[1] != model.n_features_in_:
        raise InputError(
            f"{len(pixels)} images of {pixels.shape[1]} pixels given, expected at least one, of {model.n_features_in_}"
        )
    return np.asarray(to_unit_interval(torch.as_tensor(pixels)).float().numpy())


def _one_image(image: Any) -> NDArray[Any]:
    array = np.asarray(image)
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"an image of shape {array.shape} given, expected (P,) or (h, w)")
    return array.reshape(-1)


def _check_category(model: ImageVAE, category: int | None) -> None:
    latents = model.network_.latents
    if not latents.decodes_categories:
        if category is not None:
            raise InputError(f"category {category} given for {model.variant}, which decodes z alone: leave it out")
        return
    n_categories = latents.n_categories or 1
    if isinstance(category, bool) or not isinstance(category, int | np.integer) or not 0 <= category < n_categories:
        raise InputError(
            f"category={category} given for {model.variant}, whose decoder takes a category; expected one to hold, from"
            f" 0 to {n_categories - 1}"
        )


def _at_times(curve: Tensor, times: Array) -> Array:
    """Interpolate a discrete curve (n + 1, Z), given at equal times, at other times in [0, 1]."""
    array = curve.double().numpy()
    own = np.linspace(0, 1, len(array))
    return np.stack([np.interp(times, own, column) for column in array.T], 1)
