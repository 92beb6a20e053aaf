"""Signs of collapse: categories, levels and dimensions that a model does not use, each by a constructed case."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from topicnet.images.data.checks import Split
from topicnet.images.data.load import load_images
from topicnet.images.evaluation.collapse import signs_of_collapse
from topicnet.images.evaluation.evaluate import evaluate
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.variants import WITH_CATEGORIES
from topicnet.images.workflows.record import metrics_of

N, K = 200, 4
LABELS = np.arange(N) % K
VARYING = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
PARTS = {"kl_z": 3.0}


def codes_of(categories, certainty=0.97):
    """Return log q(c|x) (N, K) with one likely category per image."""
    q = torch.full((N, K), (1 - certainty) / (K - 1))
    q[torch.arange(N), torch.as_tensor(categories)] = certainty
    return q.double().log()


@pytest.mark.parametrize("variant", WITH_CATEGORIES)
def test_informative_categories_and_varying_codes_are_no_sign_of_collapse(variant):
    assert signs_of_collapse(variant, VARYING, PARTS, codes_of(LABELS), LABELS) == []
    assert signs_of_collapse(variant, VARYING, PARTS, codes_of(LABELS)) == []


@pytest.mark.parametrize("variant", WITH_CATEGORIES)
def test_one_category_for_all_images_is_named_though_its_divergence_is_that_of_a_perfect_code(variant):
    (sign,) = signs_of_collapse(variant, VARYING, PARTS, codes_of(np.zeros(N, int), certainty=0.9999), LABELS)
    assert sign.startswith("the categories have collapsed to one, q(c) = 1.00 (I(c;x) 0.00 and KL_c 1.39, log K 1.39")
    assert sign.partition(": ")[2]  # what to do


def test_equal_probabilities_are_uninformative_but_not_one_category():
    (sign,) = signs_of_collapse("indqp", VARYING, PARTS, torch.full((N, K), -math.log(K)), LABELS)
    assert sign.startswith("the categories carry no information about the images (I(c;x) 0.00 and KL_c 0.00")
    assert "use cp-vae, indq or vmi-c" in sign


def test_categories_unrelated_to_the_labels_are_at_chance():
    labels = np.arange(N) // 50  # each of the four labels in each category alike
    (sign,) = signs_of_collapse("cp-vae", VARYING, PARTS, codes_of(LABELS), labels)
    assert "majority accuracy 0.26, 0.25 for the most frequent label alone" in sign
    assert signs_of_collapse("cp-vae", VARYING, PARTS, codes_of(LABELS), np.zeros(N, int)) == []  # one label


def test_codes_that_do_not_vary():
    (sign,) = signs_of_collapse("vae", torch.ones(N, 3), {"kl_z": 0.0})
    assert sign.startswith("no dimension of z varies over the images: lengthen the warm-up")
    assert signs_of_collapse("wae-mmd", VARYING, {}) == []


@pytest.mark.parametrize(("level", "name"), [(1, "lower"), (2, "upper")])
def test_a_level_that_is_not_used(level, name):
    constant = torch.zeros(N, 3)
    codes = torch.cat([constant, VARYING] if level == 1 else [VARYING, constant], 1)
    used = {"kl_z1": 5.0, "kl_z2": 5.0}
    (sign,) = signs_of_collapse("hvae", codes, used)
    assert sign.startswith(f"the {name} level z{level} is not used (KL 5.00 nats, 0 of 3 dimensions in use): lengthen")
    both = torch.cat([VARYING, VARYING], 1)
    assert signs_of_collapse("hvp", both, used) == []
    (sign,) = signs_of_collapse("hvp", both, used | {f"kl_z{level}": 0.02})
    assert "KL 0.02 nats, 3 of 3 dimensions in use" in sign


def test_a_single_image_and_a_single_category_are_no_sign():
    assert signs_of_collapse("vae", torch.zeros(1, 3), {"kl_z": 0.0}) == []
    assert signs_of_collapse("cp-vae", VARYING, PARTS, torch.zeros(N, 1)) == []


def test_the_report_and_the_metrics_of_a_collapsed_model_say_so():
    whole = load_images("digits")
    data = dataclasses.replace(whole, test=Split(whole.test.pixels[:60], whole.test.labels[:60]))
    model = ImageVAE("cp-vae", latent_dim=2, hidden_dim=8, n_categories=3, max_epochs=1, random_state=0, device="cpu")
    model.fit(whole.train.pixels[:100])
    with torch.no_grad():  # one category for all images, and a z that does not depend on them
        latents = model.network_.latents
        latents.category.weight.zero_()
        latents.category.bias.copy_(torch.tensor([0.0, 20.0, 0.0]))
        latents.head.mean.weight.zero_()
    found = evaluate(model, data, n_importance=1, n_resamplings=1)["collapse"]
    assert [sign.split(" (")[0] for sign in found[:1]] == ["the categories have collapsed to one, q(c) = 1.00"]
    assert found[1].startswith("no dimension of z varies over the images")
    assert metrics_of(model, data)["collapse"] == found
