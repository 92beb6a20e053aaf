"""Global torch settings and concurrent fits do not change the results of image models."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from topicnet.images import ImageVAE

PIXELS = np.random.default_rng(0).random((80, 16), dtype=np.float32)


def bits(variant: str, seed: int) -> bytes:
    sizes = {"latent_dim": 2, "hidden_dim": 8, "n_layers": 1, "batch_size": 20, "max_epochs": 2, "device": "cpu"}
    model = ImageVAE(variant, random_state=seed, **sizes).fit(PIXELS)
    return bytes(model.transform(PIXELS).tobytes() + model.sample(3, draw=True).tobytes())


@pytest.mark.parametrize("variant", ["vae", "factor-vae", "vampprior"])
def test_torch_settings_and_concurrent_fits_do_not_change_results(variant: str) -> None:
    generator = torch.random.get_rng_state()
    expected = [bits(variant, seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda seed: bits(variant, seed), range(3))) == expected
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.device("meta"):
            assert bits(variant, 0) == expected[0]
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.random.get_rng_state(), generator)
