"""Convolutional encoders and decoders, and the likelihood of colour."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from topicnet.errors import InputError
from topicnet.images import ImageVAE
from topicnet.images.model import convolutions
from topicnet.images.model.convolutions import ConvolutionalBody, ConvolutionalOutput, most_layers, pixel_body
from topicnet.images.model.nets import Body, Sizes
from topicnet.images.model.variants import VARIANTS
from topicnet.images.workflows.storage import SavedModel, load_model, save_model
from topicnet.runtime.seeding import seeded

SHAPE = (9, 11, 3)
COLOUR = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)
FLAT = COLOUR.reshape(40, -1)


def small(variant="vae", **options):
    options = {"latent_dim": 3, "hidden_dim": 8, "max_epochs": 2, "batch_size": 20, "architecture": "conv"} | options
    return ImageVAE(variant, device="cpu", random_state=0, **options)


def sizes_of(shape, n_layers=2):
    return Sizes(int(np.prod(shape)), 3, 6, n_layers, None, shape, True)


@pytest.mark.parametrize(("shape", "n_layers"), [((8, 8), 2), ((9, 11, 3), 2), ((8, 31), 1), ((17, 16, 3), 3)])
def test_layers_fit_any_size(shape, n_layers):
    sizes = sizes_of(shape, n_layers)
    with seeded(0):
        body, out = ConvolutionalBody(sizes), ConvolutionalOutput(sizes, 5)
    x = torch.rand(4, sizes.n_pixels)
    assert body(x).shape == (4, 6)
    assert out(torch.rand(4, 5)).shape == x.shape


def test_an_encoder_reads_height_width_and_channels_in_their_places():
    """A feature of a red pixel at one place must not depend on other places or colours."""
    sizes = sizes_of((16, 16, 3), 1)
    with seeded(0):
        body = ConvolutionalBody(sizes)
    picture = torch.zeros(1, 16, 16, 3)
    changed = picture.clone()
    changed[0, 2, 12, 1] = 1.0
    seen = []
    body.dense.register_forward_hook(lambda module, given, result: seen.append(given[0].view(-1, 8, 8)))
    for x in (picture, changed):
        body(x.flatten(1))
    differs = (seen[0] != seen[1]).any(0)
    assert differs.nonzero().tolist() == [[1, 6]]  # kernels of 3 around even rows and columns


def test_a_decoder_builds_each_place_from_its_neighbourhood():
    sizes = sizes_of((16, 16, 3), 1)
    with seeded(0):
        out = ConvolutionalOutput(sizes, 5)
    out.dense = torch.nn.Identity()
    grid = torch.zeros(2, 32, 8, 8)
    grid[1, :, 2, 6] = 1.0
    first, second = out(grid.flatten(1)).detach().view(2, 16, 16, 3)
    rows, columns = (first != second).any(-1).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 6, 11, 14)


def test_large_batches_are_computed_in_parts_without_gradients(monkeypatch):
    monkeypatch.setattr(convolutions, "MOST_FLOATS", 64 * 4 * 4 * 3)
    with seeded(0):
        body, out = ConvolutionalBody(sizes_of((8, 8))), ConvolutionalOutput(sizes_of((8, 8)), 6)
    assert body.rows == 3
    x = torch.rand(10, 64)
    whole = out(body(x))
    with torch.inference_mode():
        assert torch.allclose(out(body(x)), whole, atol=1e-6)


@pytest.mark.parametrize("name", ["vae", "cp-vae", "hvp", "vmi-c", "gmvae", "wgan"])
def test_variants_with_convolutions(name, tmp_path):
    options = {"max_epochs": 1} | ({"parameters": {"q_network": "decoder"}} if name == "vmi-c" else {})
    options |= {"parameters": {"components": 4}} if name == "hvp" else {}
    options |= {"n_categories": 3} if VARIANTS[name].has_categories else {}
    model = small(name, **options).fit(COLOUR, validation=COLOUR[:10])
    again = small(name, **options).fit(COLOUR, validation=COLOUR[:10])
    state = again.network_.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.network_.state_dict().items())
    assert any(isinstance(part, ConvolutionalOutput) for part in model.network_.modules())
    assert any(isinstance(part, ConvolutionalBody) for part in model.network_.modules()) == VARIANTS[name].has_encoder
    save_model(SavedModel(model, SHAPE), tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.shape, loaded.model.image_shape_, loaded.model.architecture) == (SHAPE, SHAPE, "conv")
    assert np.array_equal(loaded.model.sample(3, draw=True), model.sample(3, draw=True))
    if VARIANTS[name].has_bound:
        assert loaded.model.score(FLAT) == model.score(COLOUR)


def test_a_killed_fit_resumes_to_identical_weights(tmp_path):
    def press(progress):
        if progress.done == 2:
            signal.raise_signal(signal.SIGINT)

    whole = small(max_epochs=4).fit(COLOUR)
    with pytest.raises(KeyboardInterrupt):
        small(max_epochs=4).fit(COLOUR, listener=press, checkpoints=tmp_path)
    again = small(max_epochs=4).fit(COLOUR, checkpoints=tmp_path)
    assert len(again.history_) == 4
    assert np.array_equal(again.reconstruct(COLOUR), whole.reconstruct(COLOUR))


def test_colour_is_not_binarised_by_default():
    model = small(architecture="dense", max_epochs=1).fit(COLOUR)
    assert type(model.network_.likelihood).__name__ == "Logistic"
    assert not model.binarises
    assert small(architecture="dense", max_epochs=1).fit(FLAT).binarises  # vectors
    assert small("wae-mmd", architecture="dense", max_epochs=1).fit(COLOUR).image_shape_ == SHAPE
    assert small(likelihood="bernoulli", max_epochs=1).fit(COLOUR).binarises


def test_dense_models_have_the_same_weights_for_pictures_as_for_vectors():
    gray = COLOUR[..., 0]
    pictures, vectors = (
        small(architecture="dense", max_epochs=1).fit(x).network_.state_dict() for x in (gray, gray.reshape(40, -1))
    )
    assert all(torch.equal(pictures[key], value) for key, value in vectors.items())
    assert isinstance(pixel_body(replace(sizes_of((8, 8)), convolutional=False)), Body)


def test_convolutions_learn_coloured_spots():
    rng = np.random.default_rng(0)
    x = np.zeros((120, 8, 8, 3), np.float32)
    for picture in x:
        row, column, channel = *rng.integers(0, 5, 2), rng.integers(3)
        picture[row : row + 4, column : column + 4, channel] = 1.0
    model = small(latent_dim=6, hidden_dim=32, max_epochs=25, likelihood="gaussian").fit(x)
    error = np.square(model.reconstruct(x) - x.reshape(120, -1)).sum(1).mean()
    assert error < 0.5 * np.square(x - x.mean(0)).sum((1, 2, 3)).mean()


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({}, FLAT, "vectors given with architecture='conv', expected pictures"),
        ({}, COLOUR[:, :7], "pictures of 7 x 11 pixels given with architecture='conv', expected sides of 8"),
        ({"n_layers": 3}, COLOUR[:, :8], None),
        ({"n_layers": 3}, COLOUR, None),
        ({"n_layers": 4}, COLOUR, "each of which halves the sides: give at most"),
        ({"n_layers": 0}, COLOUR, "n_layers=0 given with architecture='conv'"),
        ({"architecture": "resnet"}, COLOUR, "architecture='resnet' given, expected one of dense, conv"),
    ],
)
def test_pictures_that_do_not_suit_convolutions(options, x, message):
    if message is None:
        assert most_layers(x.shape[1:]) <= 3
        message = "give at most 2"
    with pytest.raises(InputError, match=message):
        small(**options).fit(x)
