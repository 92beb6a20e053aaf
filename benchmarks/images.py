"""Time the image VAE on MNIST: a default fit of five epochs, and an epoch compared with pythae.

Usage: python benchmarks/images.py [--data DIR] [--repeats 3] [--epochs 2] [--skip-pythae] [--threads N]

DIR holds the four idx files of MNIST (by default `../shared/data/mnist`, relative to the checkout). Each fit runs in a
subprocess, alternating between topicnet and pythae, and medians are printed.

Five epochs: 50,000 images, batches of 100, learning rate 1e-3, no warm-up, dynamic binarisation, the default network
(784-300-300 gated, 40 latent dimensions). The bound is the mean of ten draws on the 10,000 test images, binarised once.

Comparison with pythae (0.1.2, needs `pip install pythae`): the same network (made of the same layers), grey images,
Bernoulli likelihood, batches of 100, Adam at 1e-3, the same number of threads, no validation images, no checkpoints.
Seconds per epoch are as reported by each library. pythae trains with the defaults of its `BaseTrainer`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MNIST = HERE.parent.parent / "shared/data/mnist"
HIDDEN, LATENT, BATCH, RATE = 300, 40, 100, 1e-3


def five_epochs(data: Path) -> dict[str, float]:
    """Fit with default settings; returns seconds of the fit and the bound on the test images."""
    import torch

    from topicnet.images.data.load import load_images
    from topicnet.images.model.estimator import ImageVAE

    images = load_images(data)
    began = time.perf_counter()
    model = ImageVAE(max_epochs=5, warm_up=0, learning_rate=RATE, batch_size=BATCH, random_state=0)
    model.fit(images.train.pixels, validation=images.validation.pixels)
    seconds = time.perf_counter() - began
    bounds = []
    with torch.inference_mode():
        batches = model.batches(images.test.pixels)
        for draw in range(10):
            nats = [torch.stack(list(model.network_.bound(b).values())).sum() for b in batches.repeat(draw)]
            bounds.append(float(torch.stack(nats).sum()) / batches.n_docs)
    return {"seconds": seconds, "nelbo": statistics.mean(bounds)}


def ours(data: Path, epochs: int) -> dict[str, float]:
    from topicnet.images.data.load import load_images
    from topicnet.images.model.estimator import ImageVAE

    pixels = load_images(data).train.pixels
    model = ImageVAE(
        max_epochs=epochs, warm_up=0, learning_rate=RATE, batch_size=BATCH, binarise="never", schedule="constant",
        random_state=0,
    )  # fmt: skip
    model.fit(pixels)
    last = model.history_[-1]
    return {"seconds": statistics.median(row["seconds"] for row in model.history_), "loss": last["loss"]}


def pythaes(data: Path, epochs: int) -> dict[str, float]:
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    from topicnet.images.data.load import gray, load_images
    from topicnet.images.model.nets import Body, dense

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.body = Body(784, HIDDEN, 2)
            self.mean, self.log_var = dense(HIDDEN, LATENT), dense(HIDDEN, LATENT)

        def forward(self, x: torch.Tensor) -> ModelOutput:
            hidden = self.body(x)
            return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_var(hidden))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.body, self.out = Body(LATENT, HIDDEN, 2), dense(HIDDEN, 784)

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.out(self.body(z)).sigmoid())

    class Clock(TrainingCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.losses: list[float] = []

        def on_epoch_begin(self, training_config: Any, **kwargs: Any) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

        def on_log(self, training_config: Any, logs: Any, **kwargs: Any) -> None:
            self.losses += [logs["train_epoch_loss"]] if "train_epoch_loss" in logs else []

    pixels = torch.as_tensor(gray(load_images(data).train.pixels))
    torch.manual_seed(0)
    model = VAE(VAEConfig(input_dim=(784,), latent_dim=LATENT, reconstruction_loss="bce"), Encoder(), Decoder())
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, learning_rate=RATE, per_device_train_batch_size=BATCH, no_cuda=True
        )
        BaseTrainer(
            model, BaseDataset(pixels, torch.zeros(len(pixels))), training_config=config, callbacks=[clock]
        ).train()
    return {"seconds": statistics.median(clock.seconds), "loss": clock.losses[-1] if clock.losses else float("nan")}


def in_a_process(what: str, data: Path, epochs: int, threads: int) -> dict[str, float]:
    """Run one fit in a subprocess."""
    environment = os.environ | {"TOPICNET_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--one", what, "--data", str(data), "--epochs", str(epochs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=MNIST)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="Epochs per fit in the comparison with pythae.")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--skip-pythae", action="store_true")
    parser.add_argument("--one", choices=["five", "ours", "pythae"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        fits = {"five": lambda: five_epochs(given.data)}
        fits |= {"ours": lambda: ours(given.data, given.epochs), "pythae": lambda: pythaes(given.data, given.epochs)}
        print(json.dumps(fits[given.one]()))
        return
    libraries = ["torch", "numpy"] + ([] if given.skip_pythae else ["pythae"])
    print(
        f"{platform.machine()}, {given.threads} threads; {', '.join(f'{name} {version(name)}' for name in libraries)}"
    )
    runs = [in_a_process("five", given.data, 5, given.threads) for _ in range(given.repeats)]
    seconds = statistics.median(run["seconds"] for run in runs)
    print(
        f"five epochs of MNIST: {seconds:.1f} s (median of {given.repeats}),"
        f" NELBO {runs[0]['nelbo']:.2f} on test images"
    )
    if given.skip_pythae:
        return
    pairs = []
    for _ in range(given.repeats):
        pairs.append([in_a_process(who, given.data, given.epochs, given.threads) for who in ("ours", "pythae")])
    mine, theirs = (statistics.median(pair[i]["seconds"] for pair in pairs) for i in (0, 1))
    ratio = statistics.median(pair[1]["seconds"] / pair[0]["seconds"] for pair in pairs)
    print(f"one epoch: {mine:.2f} s, pythae {theirs:.2f} s: ratio {ratio:.2f} (median of {given.repeats} pairs)")
    print(f"loss after {given.epochs} epochs: {pairs[0][0]['loss']:.2f}, pythae {pairs[0][1]['loss']:.2f}")


if __name__ == "__main__":
    main()
