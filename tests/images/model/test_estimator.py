"""The contract of ImageVAE, tested for each variant."""

import math
import signal

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from topicnet.errors import InputError
from topicnet.images.data.load import load_images
from topicnet.images.model.estimator import ImageVAE
from topicnet.images.model.latents import ESTIMATORS
from topicnet.images.model.vae import Vae
from topicnet.images.model.variants import VARIANTS, WITH_CATEGORIES
from topicnet.training.checkpoint import Checkpoints

N, P, Z, K = 60, 64, 3, 3
every_variant = pytest.mark.parametrize("name", VARIANTS)
every_encoder = pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.has_encoder])


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Use one thread: several wait for each other on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPICNET_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def images():
    return load_images("digits").train.pixels[:N]


def small(name, **options):
    """A model with few narrow layers, trained for two epochs."""
    variant = VARIANTS[name]
    sizes = {"latent_dim": Z, "hidden_dim": 16, "batch_size": 20, "max_epochs": 2, "random_state": 0}
    if variant.has_categories:
        sizes["n_categories"] = K
    if "components" in variant.parameters:
        sizes["parameters"] = {"components": 4}
    return ImageVAE(name, **(sizes | options))


@pytest.fixture(scope="module")
def fitted(images):
    models = {}

    def of(name):
        if name not in models:
            models[name] = small(name).fit(images)
        return models[name]

    return of


def weights(model):
    return {key: value.numpy().tobytes() for key, value in model.network_.state_dict().items()}


def everything(model):
    """All results of a fit except seconds; as text, so that NaN equals NaN."""
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in model.history_]
    ending = (model.best_epoch_, model.best_loss_, model.stopped_, model.parameters_, model.sizes_)
    return weights(model), repr((history, ending))


def is_image(values, n):
    return values.shape == (n, P) and values.dtype == np.float32 and bool(((values >= 0) & (values <= 1)).all())


# ---------------------------------------------------------------- the contract


@every_encoder
def test_shapes_and_values(name, fitted, images):
    model, variant = fitted(name), VARIANTS[name]
    width = 2 * Z if variant.latents == "two-level" else Z
    z = model.transform(images)
    assert (z.shape, z.dtype) == ((N, width), np.float32)
    assert np.isfinite(z).all()
    assert is_image(model.reconstruct(images), N)
    assert is_image(model.sample(7), 7)
    assert is_image(model.sample(7, draw=True), 7)
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert all(math.isfinite(row["loss"]) for row in model.history_)
    assert (model.n_features_in_, model.sizes_.latent_dim, model.stopped_) == (P, Z, "done")
    assert not model.network_.training


@every_variant
def test_the_score_is_a_finite_bound_or_refused(name, fitted, images):
    model = fitted(name)
    if VARIANTS[name].has_bound:
        assert math.isfinite(model.score(images))
        assert -P * 2 * math.log(2) < model.score(images) < 0 or name == "vade"  # its clusters are narrow at first
        assert model.score(images) == model.score(images)
    else:
        with pytest.raises(InputError, match="has no evidence lower bound"):
            model.score(images)


@every_variant
def test_category_probabilities_are_valid_or_refused(name, fitted, images):
    model = fitted(name)
    if name in WITH_CATEGORIES:
        q_c = model.category_probabilities(images)
        assert q_c.shape == (N, K)
        assert np.allclose(q_c.sum(1), 1, atol=1e-5)
        assert is_image(model.sample(5, category=K - 1), 5)
        mixed = model.sample(5, category=np.array([0, 1, 0, 2, 1]))
        for k in range(K):
            rows = np.array([0, 1, 0, 2, 1]) == k
            assert np.allclose(mixed[rows], model.sample(5, category=k)[rows], atol=1e-6)
        for wrong in (np.array([0, 1]), np.array([0, 1, 0, K, 1]), np.zeros(5), np.array([-1, 0, 0, 0, 0])):
            with pytest.raises(InputError, match=r"expected \(5,\) whole numbers from 0 to 2"):
                model.sample(5, category=wrong)
        message = "expected a whole number, from 0 to 2"
    else:
        with pytest.raises(InputError, match="has no categories"):
            model.category_probabilities(images)
        message = "has no categories"
    with pytest.raises(InputError, match=message):
        model.sample(5, category=K)


@every_encoder
def test_reconstructions_are_decoded_codes(name, fitted, images):
    model = fitted(name)
    c = None
    if model.network_.latents.decodes_categories:
        c = np.eye(K, dtype=np.float32)[model.category_probabilities(images).argmax(1)]
    decoded = model.decode(model.transform(images), c)
    assert np.allclose(decoded, model.reconstruct(images), atol=1e-6)
    with pytest.raises(InputError, match="decodes z"):
        model.decode(model.transform(images), np.eye(K, dtype=np.float32)[[0] * N] if c is None else None)


@every_variant
def test_same_seed_same_bits_and_another_seed_another_model(name, fitted, images):
    assert everything(small(name).fit(images)) == everything(fitted(name))
    assert weights(small(name, random_state=1).fit(images)) != weights(fitted(name))


@every_variant
def test_the_caller_s_random_state_and_images_are_left_alone(name, images):
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), images.copy()  # noqa: NPY002
    model = small(name, max_epochs=1).fit(images)
    if VARIANTS[name].has_encoder:
        model.transform(images)
    model.sample(3)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(images, before[2])


@every_encoder
def test_results_do_not_depend_on_the_other_images(name, fitted, images):
    model = fitted(name)
    whole = model.transform(images)
    assert model.transform(images[:1]).shape == whole[:1].shape
    for some in (images[7:8], images[[3, 7, 50]][1:2], images[::-1][N - 8 : N - 7]):
        assert np.allclose(model.transform(some), whole[7:8], atol=1e-5)
    assert np.allclose(model.transform(images[::-1]), whole[::-1], atol=1e-5)
    assert np.allclose(model.reconstruct(images[7:8]), model.reconstruct(images)[7:8], atol=1e-5)


@pytest.mark.parametrize("name", WITH_CATEGORIES)
def test_one_category(name, images):
    model = small(name, n_categories=1).fit(images)
    assert np.allclose(model.category_probabilities(images), 1)
    assert is_image(model.sample(5, category=0), 5)
    assert math.isfinite(model.score(images))
    assert all(math.isfinite(row["loss"]) for row in model.history_)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", ["cp-vae", "vmi-c"])
def test_every_estimator_of_categories_learns(name, estimator, images):
    model = small(name, estimator=estimator, max_epochs=8, learning_rate=1e-2).fit(images)
    assert model.history_[-1]["reconstruction"] < model.history_[0]["reconstruction"] - 1


@pytest.mark.parametrize("epochs", [4, 8])
def test_the_temperature_depends_on_the_fraction_of_the_run(epochs, images):
    model = small("cp-vae", max_epochs=epochs, parameters={"temperature": 1.0, "temperature_end": 0.25}).fit(images)
    seen = [row["temperature"] for row in model.history_]
    assert seen[0] == 1.0
    assert seen[epochs // 4] == pytest.approx(0.5)
    assert seen[epochs // 2 :] == pytest.approx([0.25] * (epochs // 2))


def test_a_warm_up_is_a_number_of_epochs_or_a_fraction_of_the_run(images):
    epochs, fraction, none = (small("vae", max_epochs=4, warm_up=given).fit(images) for given in (2, 0.5, 0))
    assert everything(epochs) == everything(fraction)
    assert everything(epochs) != everything(none)


def test_a_resumed_fit_continues_with_the_temperature_of_its_epoch(images, tmp_path):
    given = {"max_epochs": 6, "parameters": {"temperature": 1.0, "temperature_end": 0.1}}
    whole, again = small("cp-vae", **given).fit(images), small("cp-vae", **given)
    with pytest.raises(KeyboardInterrupt):
        small("cp-vae", **given).fit(images, listener=press_in_epoch(3), checkpoints=tmp_path)
    again.fit(images, checkpoints=tmp_path)
    assert [row["temperature"] for row in again.history_] == [row["temperature"] for row in whole.history_]
    assert everything(again) == everything(whole)


@pytest.mark.parametrize("name", ["vae", "cp-vae", "hvp", "iwae", "wae-mmd", "factor-vae"])
def test_training_lowers_the_loss(name, images):
    model = small(name, max_epochs=30, learning_rate=1e-2).fit(images)
    first, last = (model.history_[at]["loss"] for at in (0, -1))
    assert last < 0.8 * first


@pytest.mark.parametrize("name", ["vae", "gmvae", "aae"])
@pytest.mark.parametrize("n_layers", [0, 1])
def test_few_layers(name, n_layers, images):
    assert is_image(small(name, n_layers=n_layers).fit(images).reconstruct(images), N)


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_gray_likelihoods_use_gray_values(likelihood, images):
    model = small("vae", likelihood=likelihood, max_epochs=1).fit(images)
    assert not model.binarises
    assert np.array_equal(model.fixed(images), images)
    assert math.isfinite(model.score(images))
    assert model.sample(4, draw=True).shape == (4, P)


def test_training_images_are_binarised_in_each_epoch_and_validation_images_once(images, monkeypatch):
    seen = []
    terms = Vae.terms
    monkeypatch.setattr(Vae, "terms", lambda self, batch: seen.append(batch.pixels) or terms(self, batch))
    model = small("vae", batch_size=N).fit(images, validation=images)
    assert model.binarises
    assert all(set(pixels.unique().tolist()) == {0.0, 1.0} for pixels in seen)
    sums = [pixels.sum(0) for pixels in seen]  # in any order
    # Validation and monitoring run once before training; then each of two epochs trains, validates and monitors.
    assert torch.equal(sums[0], torch.as_tensor(model.fixed(images).sum(0)))
    assert torch.equal(sums[3], sums[0])
    assert torch.equal(sums[6], sums[0])
    assert torch.equal(sums[4], sums[1])
    assert not torch.equal(sums[2], sums[5])
    assert not small("vae", binarise="never").binarises


def test_bytes_bools_and_pictures_are_accepted(images):
    bytes_ = (images * 255).round().astype(np.uint8)
    same = [small("vae").fit(given) for given in (bytes_, bytes_.reshape(N, 8, 8), bytes_.reshape(N, 8, 8, 1))]
    assert weights(same[0]) == weights(same[1]) == weights(same[2])
    assert np.array_equal(same[0].transform(bytes_), same[0].transform(bytes_.reshape(N, 8, 8)))
    black = images > 0.5
    assert weights(small("vae").fit(black)) == weights(small("vae").fit(black.astype(np.float32)))


def test_validation_images_select_the_best_epoch(images):
    reported = []
    model = small("vae", max_epochs=12, learning_rate=0.05, patience=3).fit(
        images[:20], validation=images[20:], listener=lambda news: reported.append(news.values)
    )
    losses = [row["validation_loss"] for row in model.history_]
    assert model.best_epoch_ == int(np.argmin(losses)) + 1
    assert model.best_loss_ == pytest.approx(min(losses))
    assert model.best_loss_ == pytest.approx(-model.score(images[20:]), rel=1e-3)
    assert len(reported) == len(model.history_)


def test_the_normalised_optimiser_and_a_constant_rate(images):
    plain, other = small("vae").fit(images), small("vae", optimizer="adam_normgrad").fit(images)
    assert weights(plain) != weights(other)
    constant = small("vae", schedule="constant", max_epochs=3).fit(images)
    assert {row["learning_rate"] for row in constant.history_} == {1e-3}
    cycle = [row["learning_rate"] for row in small("vae", max_epochs=20).fit(images).history_]
    assert max(cycle) == pytest.approx(3e-3, rel=0.05)
    assert min(cycle[0], cycle[-1]) < 1.5e-3
    assert {
        row["learning_rate"] for row in small("vae", schedule="constant", learning_rate=0.02).fit(images).history_
    } == {0.02}


def test_each_sample_depends_on_the_seed_and_its_number_alone(fitted):
    model = fitted("cp-vae")
    assert np.array_equal(model.sample(5), model.sample(5))
    assert np.allclose(model.sample(5), model.sample(9)[:5], atol=1e-6)
    assert not np.array_equal(model.sample(5), model.sample(5, random_state=1))


# ---------------------------------------------------------------- resuming


def press_in_epoch(epoch):
    """Return a listener that presses Ctrl-C once the previous epoch is reported."""

    def press(progress):
        if progress.stage == "train" and progress.done == epoch - 1:
            signal.raise_signal(signal.SIGINT)

    return press


STOPPED = ["vae", "cp-vae", "vade", "factor-vae", "aae", "vmi-z", "wgan", "wgan-gp"]


@pytest.mark.parametrize("name", STOPPED)
def test_an_interrupted_fit_resumes_to_identical_weights(name, images, tmp_path):
    whole = small(name, max_epochs=4).fit(images)
    first = small(name, max_epochs=4)
    with pytest.raises(KeyboardInterrupt):
        first.fit(images, listener=press_in_epoch(3), checkpoints=tmp_path)
    assert (first.stopped_, len(first.history_)) == ("interrupted", 2)
    assert is_image(first.sample(N), N)  # the best weights so far
    stages = set()
    again = small(name, max_epochs=4)
    again.fit(images, listener=lambda news: stages.add(news.stage), checkpoints=tmp_path)
    assert stages == {"train"}  # pretraining is not repeated
    assert everything(again) == everything(whole)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("vmi-z", {"parameters": {"informed": "2,0", "q_network": "decoder"}}, marks=pytest.mark.slow),
        ("vmi-c", {"parameters": {"q_network": "encoder"}}),
    ],
)
def test_a_fit_that_measures_information_resumes_to_an_identical_history(name, options, images, tmp_path):
    options = options | {"max_epochs": 4, "information_every": 2}
    whole = small(name, **options).fit(images)
    with pytest.raises(KeyboardInterrupt):
        small(name, **options).fit(images, listener=press_in_epoch(3), checkpoints=tmp_path)
    again = small(name, **options).fit(images, checkpoints=tmp_path)
    assert everything(again) == everything(whole)
    assert [row["information"] >= 0 for row in whole.history_] == [False, True, False, True]  # NaN is not
    last = whole.history_[-1]
    assert 0 <= last["information_low"] <= last["information"] <= last["information_high"]
    if name == "vmi-c":
        assert last["information_high"] <= last["code_entropy"] <= math.log(K) + 1e-9
    plain = small(name, **(options | {"information_every": None})).fit(images)  # measuring changes nothing else
    assert np.array_equal(plain.reconstruct(images), whole.reconstruct(images))


class KilledError(Exception):
    """Ends a fit anywhere, like a kill."""


@pytest.mark.parametrize("name", ["vae", "cp-vae", "aae", "wgan-gp"])
def test_a_fit_killed_repeatedly_ends_with_identical_weights(name, images, tmp_path, monkeypatch):
    save, left, kills = Checkpoints.save, [0], 0

    def save_or_kill(self, saved):
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        save(self, saved)

    whole = small(name).fit(images)
    monkeypatch.setattr(Checkpoints, "save", save_or_kill)
    monkeypatch.setenv("TOPICNET_CHECKPOINT_SECONDS", "0")
    while True:
        left[0] = 2
        try:
            model = small(name).fit(images, checkpoints=tmp_path)
        except KilledError:
            kills += 1
            continue
        break
    assert kills >= 4  # six steps, one more completed each time
    assert everything(model) == everything(whole)


def test_checkpoints_of_another_fit_are_refused(images, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        small("vae").fit(images, listener=press_in_epoch(2), checkpoints=tmp_path)
    for other, given in ((small("vae", hidden_dim=17), images), (small("cp-vae"), images), (small("vae"), images[1:])):
        with pytest.raises(InputError, match="of a fit with another value of"):
            other.fit(given, checkpoints=tmp_path)
    with pytest.raises(InputError, match="random_state=None"):
        small("vae", random_state=None).fit(images, checkpoints=tmp_path)


# ---------------------------------------------------------------- scikit-learn


@every_variant
def test_clones_are_unfitted_copies(name, images):
    model = small(name)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(hidden_dim=7, parameters=None).get_params() == model.get_params() | {
        "hidden_dim": 7,
        "parameters": None,
    }
    assert not hasattr(copy, "network_")


def test_it_works_in_a_pipeline_and_a_grid_search(images):
    pipeline = make_pipeline(FunctionTransformer(lambda x: x * 0.5), small("vae"))
    assert pipeline.fit_transform(images).shape == (N, Z)
    assert np.isfinite(pipeline.score(images))
    assert np.array_equal(small("vae").fit_transform(images), small("vae").fit(images).transform(images))
    search = GridSearchCV(small("vae", max_epochs=1), {"latent_dim": [1, 2]}, cv=2).fit(images)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class Squashed(ImageVAE):
    """ImageVAE that squashes any numbers into [0, 1]: scikit-learn's checks use normal ones, which are not pixels."""

    def _pixels(self, X, where):
        values = np.asarray(X)
        squashed = np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values) and np.isfinite(values).all()
        return super()._pixels(1 / (1 + np.exp(-values.astype(np.float64))) if squashed else values, where)


# Checks that expect scikit-learn's own wording, where these messages describe images, or do not apply to images.
IN_OTHER_WORDS = {
    "check_n_features_in_after_fitting": "the message names pixels, not features",
    "check_complex_data": "the message names the type",
    "check_dtype_object": "objects are not pixels",
    "check_estimators_empty_data_messages": "the message names pixels",
    "check_estimators_nan_inf": "the message names the position, not NaN",
    "check_estimator_sparse_tag": "the message names the shape, not sparse",
    "check_estimator_sparse_array": "the message names the shape, not sparse",
    "check_estimator_sparse_matrix": "the message names the shape, not sparse",
    "check_transformer_preserve_dtypes": "codes are single precision",
    "check_fit2d_predict1d": "the message names images",
}


@parametrize_with_checks(
    [Squashed("vae", latent_dim=2, hidden_dim=4, max_epochs=1, random_state=0)],
    expected_failed_checks=lambda estimator: IN_OTHER_WORDS,
)
def test_check_estimator(estimator, check):
    check(estimator)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "vea"}, "variant 'vea' given, expected one of vae"),
        ({"latent_dim": 0}, "latent_dim=0 given"),
        ({"n_categories": 3}, "3 categories given for vae, which has none"),
        ({"parameters": {"beta": 2}}, "it has none"),
        ({"likelihood": "normal"}, "expected one of bernoulli"),
        ({"binarise": "yes"}, "expected one of auto, never"),
        ({"estimator": "gumbel"}, "draws no categories"),
        ({"batch_size": 0}, "batch_size=0 given"),
        ({"max_epochs": 0}, "max_epochs=0 given"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 given, expected a number above 0 and at most 1"),
        ({"warm_up": -1}, "warm_up=-1 given"),
        ({"warm_up": 1.5}, "warm_up=1.5 given, expected a whole number of epochs, 0 or more, or a fraction of the run"),
        ({"warm_up": True}, "warm_up=True given"),
        ({"schedule": "cosine"}, "expected one of one-cycle, constant"),
        ({"optimizer": "sgd"}, "expected one of adam, adam_normgrad"),
        ({"patience": 0}, "patience=0 given"),
        ({"device": "tpu"}, "tpu"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_parameters_out_of_range_are_refused_in_one_line(options, message, images):
    model = small("vae").set_params(**options)
    with pytest.raises(InputError) as caught:
        model.fit(images)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:1], "n_samples=1 images given, expected 2 or more"),
        (lambda x: x * 2, "expected floats from 0 to 1"),
        (lambda x: np.where(x > 0.9, np.nan, x), "expected floats from 0 to 1"),
        (lambda x: x[0], "expected gray images"),
        (lambda x: x.astype(np.int64), "expected uint8"),
    ],
    ids=["one", "bright", "nan", "flat", "integers"],
)
def test_invalid_images_are_refused_in_one_line(change, message, images):
    with pytest.raises(InputError) as caught:
        small("vae").fit(change(images))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_of_another_size_are_refused(fitted, images):
    with pytest.raises(InputError, match="images of 63 pixels given, expected 64"):
        fitted("vae").transform(images[:, 1:])
    with pytest.raises(InputError, match="validation images of 63 pixels given"):
        small("vae").fit(images, validation=images[:, 1:])


@pytest.mark.parametrize("name", ["wae-gan", "vmi-c"])
def test_a_loss_with_a_critic_does_not_select_the_epoch(name):
    """The loss is smallest against an untrained critic, which would select the initial weights."""
    digits = load_images("digits")
    model = ImageVAE(name, latent_dim=4, hidden_dim=16, max_epochs=4, random_state=0)
    model.fit(digits.train.pixels[:200], validation=digits.validation.pixels)
    assert model.best_epoch_ == 4
    assert "active_units" in model.history_[-1]
