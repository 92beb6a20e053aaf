"""Information of decoded images about any part of the code: models with an exact answer, entropies and refusals."""

import copy
import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch

from topicnet.errors import InputError
from topicnet.images import information_bound
from topicnet.images.data.checks import Split
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.evaluation import information
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import VARIANTS

P, Z, K = 5, 3, 3
UNIT = 0.5 * math.log(2 * math.pi * math.e)  # entropy of N(0, 1)
RNG = np.random.default_rng(0)
# Of every factorisation of q and p, and every prior.
KINDS = ["vae", "mog", "vampprior", "aae", "wae-mmd", "hvae", "hvp", "cp-vae", "indq", "indqp", "vade", "gmvae"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(information, "LEAST_DRAWS", 3_000)
    monkeypatch.setenv("TOPICNET_THREADS", "1")


@pytest.fixture(scope="module")
def data() -> ImageData:
    """Images of five pixels."""
    pixels = RNG.random((100, P)).astype(np.float32)
    parts = [Split(part, None) for part in (pixels, pixels[:20], pixels[:60])]
    return dataclasses.replace(load_images("digits"), train=parts[0], validation=parts[1], test=parts[2], shape=None)


@pytest.fixture(scope="module")
def fitted(data):
    models: dict[tuple[str, str], ImageVAE] = {}

    def of(variant: str, **options) -> ImageVAE:
        key = (variant, repr(options))
        if key not in models:
            more = {"n_categories": K} if VARIANTS[variant].has_categories else {}
            if "components" in VARIANTS[variant].parameters:
                more["parameters"] = {"components": 3}
            settings = {"latent_dim": Z, "hidden_dim": 8, "n_layers": 0, "max_epochs": 1, "random_state": 0}
            models[key] = ImageVAE(variant, **(settings | more | options)).fit(data.train.pixels)
        return copy.deepcopy(models[key])

    return of


def standard_errors(found, exact: float) -> float:
    """Distance of the bound above the exact value; 0 for a bound below it that is clipped with its whole interval."""
    if found["low"] == found["high"]:
        return 0.0 if found["bound"] <= exact else math.inf
    return (found["bound"] - exact) / ((found["high"] - found["low"]) / 3.92)


# A linear decoder with Gaussian pixels: z and the image are jointly Gaussian


def linear(fitted, weights, noise=0.25) -> ImageVAE:
    """A model with x = W z + N(0, noise I), and q(z | x) = N(0, I) for every x."""
    model = fitted("vae", likelihood="gaussian")
    with torch.no_grad():
        model.network_.decoder.out.weight.copy_(torch.as_tensor(weights))
        model.network_.likelihood.log_var.fill_(math.log(noise))
        for layer in (model.network_.latents.head.mean, model.network_.latents.head.log_var):
            layer.weight.zero_()
            layer.bias.zero_()
    return model


def exact_information(weights, chosen, noise=0.25) -> tuple[float, float]:
    """I(z_chosen; x), and the least upper limit of a bound by a Gaussian with independent dimensions."""
    posterior = np.linalg.inv(np.eye(Z) + weights.T @ weights / noise)[np.ix_(chosen, chosen)]
    return -0.5 * np.linalg.slogdet(posterior)[1], -0.5 * np.log(np.diag(posterior)).sum()


ORTHOGONAL = np.linalg.qr(RNG.normal(size=(P, Z)))[0] * [1.0, 0.5, 2.0]
OBLIQUE = RNG.normal(size=(P, Z))


@pytest.mark.parametrize(
    ("weights", "components", "origin"),
    [
        (ORTHOGONAL, [0], "prior"),
        (ORTHOGONAL, "2,1", "posterior"),
        (OBLIQUE, "z", "posterior"),
    ],
)
def test_information_of_a_linear_model_is_exact(fitted, data, weights, components, origin):
    """Tight if the dimensions are independent given the image; otherwise up to the best diagonal Q."""
    chosen = [*range(Z)] if components == "z" else [int(j) for j in str(components).strip("[]").split(",")]
    found = information_bound(linear(fitted, weights), data, components=components, drawn_from=origin, epochs=10)
    exact, reachable = exact_information(weights, chosen)
    assert standard_errors(found, exact) < 4
    assert found["bound"] == pytest.approx(reachable, abs=0.12)
    assert found["entropy"] == pytest.approx(len(chosen) * UNIT, abs=1e-9 if origin == "prior" else 0.05)
    assert found["bound"] == pytest.approx(found["log_q"] + found["entropy"])
    assert found["drawn_from"] == origin
    assert found["of"] == {1: "z_0", 2: "z_2 and z_1", 3: "z"}[len(chosen)]


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["prior", "posterior"])
@pytest.mark.parametrize("components", [[0], [1, 2], "z"])
def test_information_of_a_linear_model_is_exact_with_the_usual_draws(fitted, data, components, origin, monkeypatch):
    monkeypatch.setattr(information, "LEAST_DRAWS", 10_000)
    chosen = [*range(Z)] if components == "z" else components
    found = information_bound(linear(fitted, ORTHOGONAL), data, components=components, drawn_from=origin)
    exact, _ = exact_information(ORTHOGONAL, chosen)
    assert found["bound"] == pytest.approx(exact, abs=0.03)
    assert abs(standard_errors(found, exact)) < 3


@pytest.mark.parametrize("origin", ["prior", "posterior"])
def test_a_decoder_that_ignores_z_gives_no_information(fitted, data, origin):
    found = information_bound(linear(fitted, 0 * ORTHOGONAL), data, components="0,2", drawn_from=origin, epochs=8)
    assert found["low"] == 0.0
    assert found["bound"] < 0.005


# A decoder that shows each category in another pixel


def channel(fitted, contrast: float) -> ImageVAE:
    """A model of categories that q(c | x) draws uniformly; pixel c is 1 with a larger probability than the others."""
    model = fitted("indqp")
    with torch.no_grad():
        out, latents = model.network_.decoder.out, model.network_.latents
        latents.category.weight.zero_()
        latents.category.bias.zero_()
        out.weight.zero_()
        out.bias.fill_(-1.0)
        out.weight[:K, Z:] = contrast * torch.eye(K)
    return model


def channel_information(contrast: float) -> float:
    """I(c; x) by enumeration of all images."""
    p = 1 / (1 + np.exp(1.0 - contrast * np.eye(K)))  # (c, pixel)
    images = np.array([*itertools.product([0, 1], repeat=K)])
    likelihood = np.prod(np.where(images[:, None], p, 1 - p), axis=2).T / K  # p(c, x)
    return float((likelihood * np.log(likelihood * K / likelihood.sum(0))).sum())


@pytest.mark.parametrize("origin", ["prior", "posterior"])
@pytest.mark.parametrize("contrast", [0.0, 3.0])
def test_information_of_categories_through_a_noisy_channel_is_exact(fitted, data, contrast, origin):
    found = information_bound(channel(fitted, contrast), data, components="c", drawn_from=origin, epochs=8)
    exact = channel_information(contrast)
    assert (contrast == 0.0) == (exact < 1e-9)
    assert standard_errors(found, exact) < 4
    assert found["bound"] == pytest.approx(exact, abs=0.03)
    assert found["entropy"] == pytest.approx(math.log(K), abs=1e-6)
    assert 0 <= found["low"] <= found["high"] <= found["entropy"]
    assert contrast or found["low"] == 0.0


def test_the_mean_image_has_more_information_than_a_drawn_one(fitted, data):
    """The mean shows the category without noise."""
    found = information_bound(channel(fitted, 3.0), data, image="mean", epochs=8)
    assert (found["of"], found["image"]) == ("c", "mean")
    assert found["bound"] == pytest.approx(math.log(K), abs=0.02)
    assert channel_information(3.0) < 0.6 * math.log(K)


# Every kind of code


@pytest.mark.parametrize("variant", KINDS)
def test_every_part_of_every_kind_of_code_can_be_measured(fitted, data, variant, monkeypatch):
    monkeypatch.setattr(information, "LEAST_DRAWS", 400)
    model = fitted(variant)
    weights = copy.deepcopy(model.network_.state_dict())
    torch_state = torch.random.get_rng_state()
    last = model.network_.latents.latent_dim - 1
    asked = [{}, {"components": [last]}, {"components": "z", "drawn_from": "prior"}, {"components": [0]}]
    if VARIANTS[variant].has_categories:
        asked.append({"components": "c", "drawn_from": "prior"})
    for options in asked:
        if options.get("components") == [last] and variant not in ("aae", "wae-mmd"):
            options |= {"drawn_from": "posterior"}
        found = information_bound(model, data, epochs=1, **options)
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert 0 <= found["low"] <= found["bound"] <= found["high"]
        assert found["drawn_from"] == options.get("drawn_from", found["drawn_from"])
        if found["of"] == "c":
            assert found["high"] <= found["entropy"] <= math.log(K) + 1e-9
    assert information_bound(model, data, epochs=1) == information_bound(model, data, epochs=1)
    assert all(torch.equal(value, weights[name]) for name, value in model.network_.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), torch_state)


@pytest.mark.parametrize(
    ("variant", "components", "entropy_of", "exact"),
    [
        ("vae", "z", "h(p(z)), exact", True),
        ("aae", "1", "h(p(z)), exact", True),
        ("indqp", "0,1", "h(p(z)), exact", True),
        ("mog", "z", "h(p(z)), from its density at the draws", False),
        ("vade", "0,2", "h(p(z)), from its density at the draws", False),
        ("indq", "1", "h(p(z)), from its density at the draws", False),
        ("hvae", "z", "h(p(z)), from its density at the draws", False),
        ("hvae", "0,1", "h(p(z)), of the mixture of draws of p(z | .)", False),
        ("hvae", "3,5", "h(p(z)), exact", True),
        ("gmvae", "z", "h(p(z)), of the mixture of draws of p(z | .)", False),
    ],
)
def test_the_entropy_of_a_prior_that_equals_a_standard_normal(
    fitted, data, variant, components, entropy_of, exact, monkeypatch
):
    """All weights of the prior are zero, so that every Gaussian in it is N(0, I)."""
    monkeypatch.setattr(information, "LEAST_DRAWS", 1_000)
    model = fitted(variant)
    latents = model.network_.latents
    with torch.no_grad():
        parts = [getattr(latents, name, None) for name in ("prior", "prior_head", "components", "mixture")]
        for part in parts:
            for parameter in part.parameters() if isinstance(part, torch.nn.Module) else ():
                parameter.zero_()
    found = information_bound(model, data, components=components, drawn_from="prior", epochs=1)
    n = latents.latent_dim if components == "z" else len(components.split(","))
    assert found["entropy_of"] == entropy_of
    assert found["entropy"] == pytest.approx(n * UNIT, abs=1e-9 if exact else 0.2)


def test_the_entropy_of_a_known_mixture(fitted, data):
    """Three far components of unit variance, equally likely: log 3 more than one of them."""
    model = fitted("mog")
    mixture = model.network_.latents.prior.mixture
    with torch.no_grad():
        mixture.free_log_var.zero_()
        mixture.means.copy_(torch.tensor([[-50.0], [0.0], [50.0]]).expand(-1, Z))
    found = information_bound(model, data, components="1", drawn_from="prior", epochs=1)
    assert found["entropy"] == pytest.approx(UNIT + math.log(3), abs=0.06)


def test_what_training_informs_is_measured_by_default(fitted, data, monkeypatch):
    monkeypatch.setattr(information, "LEAST_DRAWS", 400)
    found = information_bound(fitted("vmi-z", parameters={"informed": "2,0"}), data, epochs=1)
    assert found["of"] == "z_2 and z_0"
    assert information_bound(fitted("vmi-c"), data, epochs=1)["of"] == "c"
    assert information_bound(fitted("hvae"), data, epochs=1)["drawn_from"] == "prior"


@pytest.mark.parametrize(
    ("variant", "options", "message"),
    [
        ("vae", {"components": "c"}, "components 'c' given, but the model has no categories: cp-vae, "),
        ("vae", {"components": "3"}, "components 3 given, expected dimensions of z from 0 to 2"),
        ("vae", {"components": "1,1"}, "components='1,1' given, expected different dimensions of z, .* or c, or z"),
        ("vae", {"components": []}, r"components=\[\] given"),
        ("vae", {"components": "x"}, "components='x' given"),
        ("vae", {"image": "blurred"}, "image='blurred' given, expected one of draw, mean"),
        ("vae", {"drawn_from": "q"}, "drawn_from='q' given, expected one of posterior, prior"),
        ("aae", {"drawn_from": "posterior"}, "the encoder is deterministic: draw from the prior"),
        ("hvae", {"components": "2,3"}, r"expected some of 0 to 2 \(z1\) or 3 to 5 \(z2\), or all of z from the prior"),
        ("hvae", {"components": "z", "drawn_from": "posterior"}, "components of both levels given"),
    ],
)
def test_parts_without_a_known_density_are_refused(fitted, data, variant, options, message):
    with pytest.raises(InputError, match=message) as caught:
        information_bound(fitted(variant), data, **options)
    assert "\n" not in str(caught.value)
