"""The primal of the Wasserstein autoencoder: an encoder is a coupling, so its cost is at least the exact one."""

import numpy as np
import pytest

from topicnet import transport
from topicnet.images import ImageVAE, load_images


@pytest.mark.parametrize(("variant", "epochs"), [("wae-mmd", 1), ("wae-mmd", 40), ("wae-gan", 5)])
def test_the_cost_of_an_encoder_is_at_least_that_of_the_best_coupling(variant, epochs):
    """For a fixed decoder, W_2^2 between images and decoded codes is at most the mean squared error per image."""
    images = load_images("digits").train.pixels[:150]
    model = ImageVAE(variant, latent_dim=4, hidden_dim=24, n_layers=1, max_epochs=epochs, random_state=0, device="cpu")
    decoded = model.fit(images).reconstruct(images)
    exact = transport.wasserstein(decoded, images, p=2)
    by_encoder = float(((decoded - images) ** 2).sum(1).mean())
    assert 0 < float(exact.cost) <= by_encoder + 1e-5
    assert exact.gap == pytest.approx(0, abs=1e-6)
    # A coupling that pairs images with codes of others costs more.
    shifted = float(((np.roll(decoded, 1, axis=0) - images) ** 2).sum(1).mean())
    assert shifted > by_encoder
