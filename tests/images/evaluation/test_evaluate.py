"""Evaluation of small fitted models: identities, brute force, and models with a known answer."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from topicnet.core.counter_rng import Noise
from topicnet.errors import InputError
from topicnet.images.data.checks import Split
from topicnet.images.data.load import ImageData, load_images
from topicnet.images.evaluation import information, sample_distance
from topicnet.images.evaluation.aggregated import aggregated_split, information_between
from topicnet.images.evaluation.encoded import encoded
from topicnet.images.evaluation.evaluate import evaluate
from topicnet.images.evaluation.information import information_bound
from topicnet.images.model.batches import ImageBatches
from topicnet.images.model.estimator import ImageVAE, rows_at_once
from topicnet.images.model.variants import VARIANTS, WITH_CATEGORIES

CPU = torch.device("cpu")
WITH_BOUND = ["vae", "iwae", "vampprior", "hvae", "cp-vae", "indqp", "vade", "gmvae"]


@pytest.fixture(scope="module")
def digits() -> ImageData:
    whole = load_images("digits")
    train, test = (Split(part.pixels[:n], part.labels[:n]) for part, n in ((whole.train, 500), (whole.test, 150)))
    return dataclasses.replace(whole, train=train, test=test)


@pytest.fixture(scope="module")
def fitted(digits):
    """Small models, each fitted once; tests get a copy."""
    models: dict[str, ImageVAE] = {}

    def fit(variant: str, epochs: int = 8) -> ImageVAE:
        if variant not in models:
            model = ImageVAE(
                variant, latent_dim=3, hidden_dim=24, n_layers=1, max_epochs=epochs, learning_rate=5e-3, random_state=0
            )
            models[variant] = model.fit(digits.train.pixels)
        return copy.deepcopy(models[variant])

    return fit


def report_of(model: ImageVAE, data: ImageData, **options):
    return evaluate(model, data, **({"n_importance": 60, "n_resamplings": 3} | options))


# The sections


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_a_report_of_json_values(fitted, digits, variant):
    model = fitted(variant, epochs=8 if variant in WITH_BOUND else 2)
    report = report_of(model, digits, n_importance=3, n_resamplings=2)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    sections = ["data", "bound", "reconstruction", "codes", "categories", "collapse", "prior_match", "samples"]
    assert [*report] == sections
    line = VARIANTS[variant]
    assert (report["bound"] is not None) == line.has_bound
    samples = report["samples"]
    for name in ("w2", "sliced_w2"):  # a few epochs are far from the images; other images are near
        assert 0 < samples[name + "_of_training_images"] < samples[name]
    assert samples["sliced_w2"] < samples["w2"]
    assert (report["categories"] is not None) == line.has_categories
    assert report["data"] == {
        "name": "digits",
        "n_images": 150,
        "n_pixels": 64,
        "binarised": line.likelihood == "bernoulli",
    }
    if not line.has_encoder:
        absent = ("bound", "reconstruction", "codes", "categories", "prior_match")
        assert [report[name] for name in absent] == [None] * 5
        return
    assert (report["codes"]["split"] is not None) == line.has_bound
    assert 0 <= report["reconstruction"]["per_pixel"] == pytest.approx(report["reconstruction"]["per_image"] / 64)
    assert report["reconstruction"]["per_pixel"] < 0.25  # reached by a constant gray level
    assert 0 <= report["codes"]["active_units"] <= report["codes"]["n_dimensions"]


def test_results_depend_on_the_seed_alone(fitted, digits):
    model = fitted("cp-vae")
    torch_state = torch.random.get_rng_state()
    weights = copy.deepcopy(model.network_.state_dict())
    first = report_of(model, digits, seed=1)
    assert report_of(model, digits, seed=1) == first
    other = report_of(model, digits, seed=2)
    for section, name in (
        ("bound", "nelbo"),
        ("bound", "nll"),
        ("prior_match", "mmd"),
        ("samples", "frechet_distance"),
    ):
        assert other[section][name] != first[section][name]
    assert other["categories"] == first["categories"]
    assert other["reconstruction"] == first["reconstruction"]
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert all(torch.equal(value, weights[name]) for name, value in model.network_.state_dict().items())


def test_one_image_without_a_label(fitted, digits):
    model = fitted("cp-vae")
    unknown = dataclasses.replace(digits, test=Split(digits.test.pixels[:1], None))
    report = report_of(model, unknown, n_resamplings=1)
    assert report["categories"]["labels"] is None
    assert report["bound"]["spread"] is None
    assert report["prior_match"] is None
    assert report["samples"] is None
    assert report["codes"]["split"]["mutual_information"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("option", [{"n_importance": 0}, {"n_resamplings": 0}, {"seed": -1}, {"n_importance": 1.5}])
def test_numbers_out_of_range_are_refused(fitted, digits, option):
    with pytest.raises(InputError, match=next(iter(option))):
        evaluate(fitted("vae"), digits, **option)


@pytest.mark.parametrize("function", [evaluate, information_bound])
def test_images_of_another_size_are_refused(fitted, function):
    with pytest.raises(InputError, match="images of 1 pixels given, expected 64"):
        function(fitted("cp-vae"), load_images("bimodal"))


# The bound


@pytest.mark.parametrize("variant", WITH_BOUND)
def test_the_parts_sum_to_the_bound_and_the_likelihood_exceeds_it(fitted, digits, variant):
    model = fitted(variant)
    bound = report_of(model, digits)["bound"]
    assert sum(bound["parts"].values()) == pytest.approx(bound["nelbo"], abs=1e-9)
    assert bound["nll"] <= bound["nelbo"] + 3 * bound["spread"]
    assert bound["nll"] > bound["nelbo"] - 10
    assert abs(bound["nelbo"] + model.score(digits.test.pixels)) < 10 * bound["spread"]


def test_more_importance_draws_raise_the_likelihood(fitted, digits):
    """The bound with S draws rises with S (Burda et al. 2016, theorem 1), here by far more than its noise."""
    model = fitted("iwae")
    few, many = (report_of(model, digits, n_importance=n)["bound"] for n in (1, 120))
    assert many["nll"] < few["nll"]
    assert few["nll"] == pytest.approx(few["nelbo"], abs=6 * few["spread"])  # one draw is the plain bound


def test_the_likelihood_of_a_model_that_ignores_its_code_is_exact(fitted, digits):
    """With a decoder that ignores its code and q = p, every weight is p(x) and all divergences are 0."""
    model = blind(fitted("vae"))
    report = report_of(model, digits)
    assert report["bound"]["nll"] == pytest.approx(report["bound"]["nelbo"], abs=1e-4)
    assert report["bound"]["parts"]["kl_z"] == pytest.approx(0, abs=1e-6)
    assert report["bound"]["spread"] == pytest.approx(0, abs=1e-5)
    pixels, logits = torch.tensor(model.fixed(digits.test.pixels)), model.network_.decoder.out.bias.detach()
    by_hand = -(pixels * logits - torch.nn.functional.softplus(logits)).sum(1).mean()
    assert report["bound"]["nll"] == pytest.approx(float(by_hand), abs=1e-4)
    split = report["codes"]["split"]
    assert [split[name] for name in ("mutual_information", "marginal_kl", "mean_kl")] == pytest.approx(
        [0] * 3, abs=1e-6
    )
    assert report["codes"]["active_units"] == 0
    assert report["prior_match"]["p_value"] > 0.01


def blind(model: ImageVAE) -> ImageVAE:
    """Make the encoder return N(0, I) for every image, and the decoder one image for every code."""
    with torch.no_grad():
        for layer in (model.network_.latents.head.mean, model.network_.latents.head.log_var):
            layer.weight.zero_()
            layer.bias.zero_()
        model.network_.decoder.out.weight.zero_()
    return model


def test_enumerated_categories_agree_with_drawn_ones_in_smaller_batches(fitted, digits):
    model = fitted("cp-vae")
    drawn = report_of(model, digits, n_resamplings=20)["bound"]
    model.network_.latents.estimator = "enumerate"
    exact = report_of(model, digits, n_resamplings=20)["bound"]
    error = math.hypot(drawn["spread"], exact["spread"]) / math.sqrt(20)
    assert abs(exact["nelbo"] - drawn["nelbo"]) < 4 * error
    assert exact["parts"]["kl_c"] == pytest.approx(drawn["parts"]["kl_c"], abs=1e-5)
    model.network_.latents.n_categories = 500
    assert rows_at_once(model.network_.latents) == 2


# The codes


@pytest.mark.parametrize("variant", WITH_BOUND)
def test_information_and_marginal_divergence_sum_to_the_mean_divergence(fitted, digits, variant):
    split = report_of(fitted(variant), digits, n_importance=1, n_resamplings=1)["codes"]["split"]
    assert split["mutual_information"] + split["marginal_kl"] == pytest.approx(split["mean_kl"], abs=1e-10)
    assert abs(split["residual"]) < 1e-5  # the model's own divergence is in single precision
    assert 0 < split["mutual_information"] <= split["log_n_images"] == math.log(150)


@pytest.mark.parametrize("variant", ["vae", "vampprior", "indqp", "cp-vae"])
def test_the_divergence_of_the_draws_agrees_with_the_bound(fitted, digits, variant):
    model = fitted(variant)
    report = report_of(model, digits, n_importance=1, n_resamplings=20)
    expected = sum(value for name, value in report["bound"]["parts"].items() if name != "reconstruction")
    batch = next(iter(model.batches(digits.test.pixels)))
    log_ratio = model.network_.latents.importance_draw(batch.pixels, batch.noise).log_ratio.detach()
    error = float(log_ratio.std()) / math.sqrt(150)
    assert report["codes"]["split"]["mean_kl"] == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("variant", ["cp-vae", "indq"])
def test_joint_densities_equal_a_double_loop(fitted, digits, variant):
    latents = fitted(variant).network_.eval().latents
    batches = ImageBatches(torch.tensor(digits.test.pixels[:7]), 7, CPU, binarise=False)
    with torch.inference_mode():
        draws = encoded(latents, batches)
        found = draws.log_q_given(*draws.points)
        log_prior = draws.log_prior(*draws.points)
        (batch,) = batches
        code = latents.importance_draw(batch.pixels, batch.noise).code[0]
        order = code[:, 3:].argmax(1).argsort(stable=True)  # rows and columns come sorted by category
        z, one_hot, hidden = code[order, :3], code[order, 3:], latents.body(batch.pixels)[order]
        log_q_c = latents.category(hidden).log_softmax(-1)
        for i in range(7):
            c = one_hot[i : i + 1]
            for j in range(7):
                q = latents.posterior(hidden[j : j + 1], c)
                expected = density(q, z[i]) + float(log_q_c[j] @ one_hot[i])
                assert float(found[i, j]) == pytest.approx(expected, abs=1e-3)
            assert float(log_prior[i]) == pytest.approx(
                density(latents.mixture.component(c), z[i]) - math.log(10), abs=1e-4
            )
    split = aggregated_split(draws.points, draws.log_q_given, draws.log_prior)
    assert split.mean_kl == pytest.approx(draws.mean_kl, abs=1e-5)


@pytest.mark.parametrize("variant", ["cp-vae", "indq", "indp", "indqp", "joint-vae", "vmi-c"])
def test_the_parts_of_the_divergence_sum_to_it(fitted, digits, variant):
    codes = report_of(fitted(variant), digits, n_importance=1, n_resamplings=1)["codes"]
    terms, split = codes["terms"], codes["split"]
    assert sum(terms[name] for name in ("b1", "b2", "c1", "c2")) == pytest.approx(split["mean_kl"], abs=1e-4)
    assert (terms["overlap"] is None) == VARIANTS[variant].learned
    shift = terms["overlap"] or 0.0
    assert terms["b1"] + terms["b2"] == pytest.approx(split["mutual_information"] + shift)
    assert terms["c1"] + terms["c2"] == pytest.approx(split["marginal_kl"] - shift)


@pytest.mark.parametrize("variant", ["indp", "indqp"])
def test_the_information_between_z_and_c_equals_a_triple_loop(fitted, digits, variant):
    latents = fitted(variant).network_.eval().latents
    with torch.no_grad():  # an informative code, so that z and c depend on each other
        latents.category.weight.mul_(5.0)
    batches = ImageBatches(torch.tensor(digits.test.pixels[:9]), 9, CPU, binarise=False)
    with torch.inference_mode():
        draws = encoded(latents, batches)
        (batch,) = batches
        order = latents.importance_draw(batch.pixels, batch.noise).code[0][:, 3:].argmax(1).argsort(stable=True)
        hidden, (z, c) = latents.body(batch.pixels)[order], draws.points
        q_c_given = latents.category(hidden).softmax(-1).double()
        q_c, logs = q_c_given.mean(0), []
        for i in range(9):
            each = np.zeros((9, 10))
            for k in range(10):
                q = latents.posterior(hidden, torch.eye(10)[[k] * 9])
                for j in range(9):
                    one = type(q)(q.mean[j : j + 1], q.log_var[j : j + 1])
                    each[j, k] = math.exp(density(one, z[i])) * float(q_c_given[j, k])
            logs.append(math.log(each[:, c[i]].mean() / each.sum(1).mean() / float(q_c[c[i]])))
        found = information_between(z, c, draws.log_q_given, draws.log_q_z_given, q_c)
    assert found == pytest.approx(np.mean(logs), abs=2e-5)


def density(gaussian, z):
    return float(Independent(Normal(gaussian.mean, (0.5 * gaussian.log_var).exp()), 1).log_prob(z)[0])


# The categories


@pytest.mark.parametrize("variant", ["cp-vae", "indqp", "vade", "gmvae"])
def test_the_divergence_of_categories_is_information_plus_marginal_divergence(fitted, digits, variant):
    report = report_of(fitted(variant), digits, n_importance=1, n_resamplings=1)
    found = report["categories"]
    assert found["mean_kl"] == pytest.approx(found["mutual_information"] + found["marginal_kl"], abs=1e-10)
    assert found["mutual_information"] == pytest.approx(found["entropy"] - found["conditional_entropy"], abs=1e-12)
    assert 0 <= found["mutual_information"] <= found["entropy"] <= math.log(10) + 1e-9
    assert found["marginal_kl"] >= -1e-12
    assert sum(found["marginal"]) == pytest.approx(1)
    assert found["in_use"] == [k for k, share in enumerate(found["marginal"]) if share > 0.1]
    if variant != "gmvae":  # its q(c|x, z, w) differs between draws
        assert report["bound"]["parts"]["kl_c"] == pytest.approx(found["mean_kl"], abs=1e-4)


def test_vade_is_compared_with_its_own_category_weights(fitted, digits):
    model = fitted("vade")
    found = report_of(model, digits, n_importance=1, n_resamplings=1)["categories"]
    q_c, pi = np.array(found["marginal"]), model.network_.latents.mixture.log_weights().exp().detach().numpy()
    assert found["marginal_kl"] == pytest.approx(float((q_c * np.log(q_c / pi)).sum()), abs=1e-6)


def test_agreement_with_labels_as_counted_by_hand(fitted, digits):
    model = fitted("cp-vae")
    found = report_of(model, digits, n_importance=1, n_resamplings=1)["categories"]["labels"]
    assert found["hungarian_accuracy"] <= found["majority_accuracy"]  # ten categories, ten labels
    q = model.category_probabilities(model.fixed(digits.test.pixels))
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (q.argmax(1), digits.test.labels), 1)
    assert found["majority_accuracy"] == pytest.approx(counts.max(1).sum() / 150)
    row = found["top"][3]
    shares = q[digits.test.labels == 3].mean(0)
    assert row["label"] == 3
    assert row["categories"] == np.argsort(-shares)[:5].tolist()
    assert row["shares"] == pytest.approx(np.sort(shares)[::-1][:5], abs=1e-6)


# Prior and samples


def test_a_posterior_far_from_the_prior_has_the_smallest_p_value(fitted, digits):
    model = fitted("vae")
    with torch.no_grad():
        model.network_.latents.head.mean.bias += 3
    match = report_of(model, digits, n_importance=1, n_resamplings=1)["prior_match"]
    assert match["p_value"] == pytest.approx(1 / 201)
    assert match["sliced_w2"] == pytest.approx(9, rel=0.3)  # t^2 for a shift of 3 in each dimension
    assert (match["n_points"], match["n_permutations"]) == (150, 200)


def test_prior_draws_of_categorical_latents_follow_the_prior_and_not_q_of_c(fitted, digits):
    """With all images in one category, samples come from that one, but prior draws from all ten."""
    model = fitted("cp-vae")
    latents = model.network_.eval().latents
    with torch.no_grad():
        latents.mixture.means.zero_()[:, 0] = torch.arange(10.0)
        latents.mixture.free_log_var.fill_(-6)
    like = torch.empty(2_000, 3)
    drawn = sample_distance._prior_draws(latents, Noise.of(0, np.arange(2_000), CPU), like)
    shares = np.bincount(drawn[:, 0].detach().round().long().clamp(0, 9), minlength=10) / 2_000
    assert shares == pytest.approx([0.1] * 10, abs=0.03)


def test_samples_are_farther_from_test_images_than_training_images_are(fitted, digits):
    far = report_of(blind(fitted("vae")), digits, n_importance=1, n_resamplings=1)["samples"]
    near = report_of(fitted("vae"), digits, n_importance=1, n_resamplings=1)["samples"]
    assert 0 < near["frechet_distance_of_training_images"] < near["frechet_distance"]
    assert far["frechet_distance_of_training_images"] == near["frechet_distance_of_training_images"]
    assert far["features"] == "the first 20 principal components of the training pixels"
    assert far["n_images"] == 150


def test_principal_axes_are_those_of_an_exact_decomposition():
    rng = np.random.default_rng(0)
    rows = torch.tensor(rng.standard_normal((300, 40)) * np.geomspace(10, 0.1, 40), dtype=torch.float32)
    centred = rows - rows.mean(0)
    axes = sample_distance._principal_axes(centred, seed=0)
    exact = torch.linalg.svd(centred)[2][:20]
    assert axes.shape == (40, 20)
    assert torch.allclose((exact @ axes).abs(), torch.eye(20), atol=1e-2)


def test_vectors_that_are_not_pictures():
    data = load_images("bimodal")
    few = {name: Split(getattr(data, name).pixels[:400], None) for name in ("train", "validation", "test")}
    data = dataclasses.replace(data, **few)
    model = ImageVAE("cp-vae", latent_dim=2, n_categories=2, hidden_dim=8, likelihood="gaussian", max_epochs=2)
    report = report_of(model.set_params(random_state=0).fit(data.train.pixels), data)
    assert report["samples"]["features"].startswith("the first 1 principal")
    assert not report["data"]["binarised"]


# The bound on information


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(information, "LEAST_DRAWS", 1_500)
    monkeypatch.setattr(information, "BATCH", 50)


@pytest.mark.parametrize("variant", [*WITH_CATEGORIES, "vmi-z"])
def test_the_bound_is_between_zero_and_the_entropy(quick, fitted, digits, variant):
    model = fitted(variant, epochs=8 if variant in WITH_BOUND else 2)
    weights = copy.deepcopy(model.network_.state_dict())
    found = information_bound(model, digits, epochs=2)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert 0 <= found["low"] <= found["bound"] <= found["high"]
    assert (found["n_images"], found["n_draws"], found["epochs"]) == (75, 1_500, 2)
    if variant == "vmi-z":
        chosen = sorted(int(name.removeprefix("z_")) for name in found["of"].split(" and "))
        assert chosen == sorted(model.network_.penalty.chosen.tolist())
    else:
        assert found["of"] == "c"
        assert found["high"] <= found["entropy"] <= math.log(10) + 1e-9
    assert all(torch.equal(value, weights[name]) for name, value in model.network_.state_dict().items())
    assert not model.network_.training  # in training mode its categories would be relaxed


def categorical(fitted, seen: float, certain: float = 0.0) -> ImageVAE:
    """A model whose decoder shows c in ten pixels, with the contrast `seen`, and nothing else."""
    model = fitted("indqp")
    latents, decoder = model.network_.latents, model.network_.decoder
    with torch.no_grad():
        latents.category.weight.zero_()
        latents.category.bias.zero_()[0] = certain
        for parameter in decoder.parameters():
            parameter.zero_()
        linear = decoder.branches[0][0].both  # (values, gates) of 24 units each, from z (3) and c (10)
        linear.bias[24:] = 20.0  # open
        linear.weight[:10, 3:] = torch.eye(10)
        decoder.out.weight[:10, :10] = seen * torch.eye(10)
    return model


@pytest.mark.slow
def test_a_decoder_that_shows_the_category_has_all_its_information(quick, fitted, digits):
    found = information_bound(categorical(fitted, seen=8.0), digits, epochs=15)
    assert found["entropy"] == pytest.approx(math.log(10), abs=1e-6)
    assert found["bound"] == pytest.approx(math.log(10), abs=0.02)


@pytest.mark.slow
def test_a_decoder_that_hides_the_category_has_no_information(quick, fitted, digits):
    found = information_bound(categorical(fitted, seen=0.0), digits, epochs=10)
    assert found["bound"] < 0.01


@pytest.mark.slow
def test_a_constant_category_has_no_information(quick, fitted, digits):
    """With the constant H = log K the bound would be 2.3 nats."""
    found = information_bound(categorical(fitted, seen=8.0, certain=30.0), digits, epochs=15)
    assert found["entropy"] < 1e-6
    assert found["bound"] == found["high"] < 1e-6
    assert found["log_q"] > -0.1


@pytest.mark.slow
def test_two_dimensions_that_the_decoder_shows_have_information(quick, fitted, digits):
    """Compared with a decoder that shows nothing."""
    model = fitted("vmi-z", epochs=2)
    shown = information_bound(model, digits, epochs=6)
    with torch.no_grad():
        model.network_.decoder.out.weight.zero_()
    hidden = information_bound(model, digits, epochs=6)
    assert hidden["entropy"] == pytest.approx(shown["entropy"])
    assert hidden["bound"] < 0.1 < shown["bound"]


def test_the_bound_is_the_same_for_the_same_seed(quick, fitted, digits):
    model = fitted("cp-vae")
    torch_state = torch.random.get_rng_state()
    first = information_bound(model, digits, seed=3, epochs=1)
    assert information_bound(model, digits, seed=3, epochs=1) == first
    assert information_bound(model, digits, seed=4, epochs=1) != first
    assert torch.equal(torch.random.get_rng_state(), torch_state)


def test_too_few_images_are_refused(fitted, digits):
    few = dataclasses.replace(digits, test=Split(digits.test.pixels[:19], None))
    with pytest.raises(InputError, match="19 test images given, expected 20 or more"):
        information_bound(fitted("cp-vae"), few)
    with pytest.raises(InputError, match="epochs=0"):
        information_bound(fitted("cp-vae"), digits, epochs=0)
