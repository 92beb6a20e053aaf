"""Options of the commands about images, named once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.options.shared import group, integer, option, run_there, whole, word

DATA_HELP = (
    "digits, bimodal, a folder with the idx files of MNIST, an idx file, an .npz file, or a folder of PNG images."
    "  [default: digits]"
)

FITTING = group(
    "Fit",
    {
        "data": word(DATA_HELP, metavar="SOURCE"),
        "categories": integer("K of the discrete code, of variants that have one.  [default: 10]"),
        "latent_dim": integer("Latent dimensions.  [default: by the pixels, 2 to 40]"),
        "hidden_dim": integer("Width of the layers.  [default: 300]"),
        "layers": integer("Gated layers of encoder and decoder.  [default: 2]"),
        "likelihood": word("bernoulli, gaussian or logistic.  [default: the variant's own]"),
        "estimator": word("How gradients pass categories: gumbel, straight-through, enumerate.  [default: gumbel]"),
        "epochs": integer("Passes over the images.  [default: a budget of steps]"),
        "batch_size": integer("Images per step.  [default: 100]"),
        "learning_rate": option(float | None, "Highest rate.  [default: by the schedule, 0.003 or 0.001]"),
        "warm_up": integer("Epochs in which divergences are phased in.  [default: by the variant]"),
        "schedule": word("one-cycle or constant.  [default: one-cycle]"),
        "optimizer": word("adam or adam_normgrad.  [default: adam]"),
        "patience": integer("Epochs without a better validation loss before it ends.  [default: 50]"),
        "parameters": option(
            list[str] | None, "A parameter of the variant; may be repeated.", "--param", metavar="NAME=VALUE"
        ),
        "device": word("auto, cpu, cuda or cuda:N.  [default: auto]"),
        "seed": integer("Same seed, same result.  [default: 0]"),
        "config": option(Path | None, "YAML file of options; those given here win."),
    },
)

RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run folder of `topicnet images fit`.",
        callback=run_there("image model", "topicnet images fit"),
    ),
]
Category = Annotated[int | None, typer.Option(parser=whole, metavar="INTEGER", help="Draw from this category alone.")]
Label = Annotated[
    int | None, typer.Option(parser=whole, metavar="INTEGER", help="Draw from the categories of images of this label.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same result.")]
Importance = Annotated[int, typer.Option(min=1, help="Draws an image for the estimate of its likelihood.")]
