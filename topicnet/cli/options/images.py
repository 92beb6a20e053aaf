"""Options of the `topicnet images` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topicnet.cli.options.shared import group, integer, named_path, option, run_there, whole, word

DATA_HELP = (
    "Fit these images: digits, bimodal, a folder with the idx files of MNIST, an idx or .npz file, or a folder of PNG"
    " or JPEG images.  [default: digits]"
)


def epochs_or_fraction(given: str) -> float:
    """Parse a length: 10 is a number of epochs, 0.1 a fraction of the run."""
    try:
        return float(given) if set(given) & set(".eE") else int(given)
    except ValueError:
        raise typer.BadParameter(
            f"{given!r} given, expected epochs such as 10, or a fraction of the run such as 0.1"
        ) from None


FITTING = group(
    "Fit",
    {
        "data": word(DATA_HELP, metavar="SOURCE"),
        "categories": integer("Use this many categories, in variants with a discrete code.  [default: 10]"),
        "latent_dim": integer("Use this many latent dimensions.  [default: 2 to 40, by image size]"),
        "hidden_dim": integer("Use hidden layers of this width.  [default: 300]"),
        "layers": integer("Use this many gated layers in encoder and decoder.  [default: 2]"),
        "architecture": word(
            "Use this kind of layers: dense, or conv for pictures of 8 x 8 or more.  [default: dense]"
        ),
        "likelihood": word(
            "Use this likelihood: bernoulli, gaussian or logistic.  [default: by the variant; logistic in colour]"
        ),
        "estimator": word(
            "Estimate gradients through categories by gumbel, straight-through or enumerate.  [default: gumbel]"
        ),
        "epochs": integer("Stop after this many passes over the images.  [default: a budget of steps]"),
        "batch_size": integer("Use this many images per step.  [default: 100]"),
        "learning_rate": option(
            float | None, "Use this peak learning rate.  [default: by the schedule, 0.003 or 0.001]"
        ),
        "warm_up": option(
            float | None,
            "Phase in the divergences over this many epochs (10), or this fraction of the run (0.1).  [default: by the"
            " variant]",
            parser=epochs_or_fraction,
            metavar="EPOCHS|FRACTION",
        ),
        "schedule": word("Use this learning rate schedule: one-cycle or constant.  [default: one-cycle]"),
        "optimizer": word("Use this optimizer: adam or adam_normgrad.  [default: adam]"),
        "patience": integer("Stop after this many epochs without a better validation loss.  [default: 50]"),
        "information_every": integer(
            "Bound the information of decoded images about the code every n epochs.  [default: never]"
        ),
        "parameters": option(
            list[str] | None, "Set a parameter of the variant; may be repeated.", "--param", metavar="NAME=VALUE"
        ),
        "device": word("Fit on this device: auto, cpu, cuda or cuda:N.  [default: auto]"),
        "seed": integer("Use this random seed; the same seed gives the same result.  [default: 0]"),
        "config": option(Path | None, "Read options from this YAML file; options on the command line override it."),
    },
)

_there = run_there("image model", "topicnet images fit")


def _all_there(runs: list[Path]) -> list[Path]:
    """Reject a folder without a saved model."""
    return [_there(run) for run in runs]


RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="Run folder of `topicnet images fit`.",
        callback=_there,
    ),
]
RunArguments = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="Run folders of `topicnet images fit`.", callback=_all_there),
]
Category = Annotated[int | None, typer.Option(parser=whole, metavar="INTEGER", help="Draw only from this category.")]
Label = Annotated[
    int | None,
    typer.Option(parser=whole, metavar="INTEGER", help="Draw from the categories of images with this label."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Use this random seed; the same seed gives the same result.")
]
Importance = Annotated[
    int, typer.Option(min=1, help="Estimate the likelihood by this many importance draws per image.")
]
Information = Annotated[
    bool,
    typer.Option("--information", help="Bound the information of decoded images about the code, by a trained network."),
]
Components = Annotated[
    str | None,
    typer.Option(
        metavar="c|z|J,J",
        help="Bound the information about the category, about z, or about these dimensions of z, counted from 0."
        "  [default: the part that the variant informs, else z]",
    ),
]
FromPrior = Annotated[
    bool,
    typer.Option(
        "--from-prior", help="Draw codes from the prior, whose entropy is exact if it is N(0, I), not from q(z|x)."
    ),
]
MeanImage = Annotated[bool, typer.Option("--mean-image", help="Decode codes to mean images, not to draws from p(x|z).")]
TestSource = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="Test on these images.  [default: test images of the fit]")
]
ResultFile = Annotated[
    Path | None, typer.Option(parser=named_path, metavar="PATH", help="Write the result to this JSON file, too.")
]
