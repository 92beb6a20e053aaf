"""Command `topicnet images gibbs`, with imports inside the function so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from topicnet.cli.app import Command
from topicnet.cli.commands.images import images
from topicnet.cli.options.images import Seed
from topicnet.cli.options.shared import AsJson, Overwrite, Quiet, group, integer, named_path, option, takes, word
from topicnet.cli.printing.output import echo
from topicnet.runtime.logs import notices

EXAMPLES = """
topicnet images gibbs --potential double-well --height 8
topicnet images gibbs --potential mueller-brown --temperature 20 --out runs/mueller-brown
topicnet images gibbs --potential phi4-ring --sites 16 --mass -1 --coupling 0.25 --json
topicnet images gibbs --potential double-well --objective document
"""
POTENTIAL = group(
    "Potential",
    {
        "height": option(float | None, "Use this barrier of double-well.  [default: 4]"),
        "temperature": option(float | None, "Use this temperature of mueller-brown.  [default: 20]"),
        "n_modes": integer("Use this many modes of mixture.  [default: 4]", "--modes"),
        "radius": option(float | None, "Use this radius of mixture.  [default: 2]"),
        "variance": option(float | None, "Use this variance of each mode of mixture.  [default: 0.25]"),
        "n_dims": integer("Use this many dimensions of double-well (default 1) or mixture (default 2).", "--dims"),
        "n_sites": integer("Use this many sites of phi4-ring.  [default: 8]", "--sites"),
        "length": integer("Use this length of phi4-lattice, which has 2 x LENGTH sites.  [default: 4]"),
        "mass": option(float | None, "Use this squared mass of a phi4 field.  [default: -1 of ring, -2 of lattice]"),
        "coupling": option(float | None, "Use this coupling of a phi4 field.  [default: 0.25 of ring, 0.5 of lattice]"),
    },
)
TRAINING = group(
    "Training",
    {
        "objective": word(
            "Minimise this objective: corrected, or document, an ablation that does not bound log Z."
            "  [default: corrected]"
        ),
        "latent_dim": integer("Use this many latent dimensions.  [default: those of the potential]"),
        "hidden_dim": integer("Use hidden layers of this width.  [default: 64]"),
        "n_restarts": integer(
            "Train from this many starts and keep the one of lowest free energy.  [default: 4]", "--restarts"
        ),
        "n_steps": integer("Train for this many steps.  [default: 3000]", "--steps"),
        "batch_size": integer("Use this many draws per step and start.  [default: 256]"),
        "learning_rate": option(float | None, "Use this peak learning rate.  [default: 0.002]"),
        "initial_beta": option(
            float | None, "Multiply the energy by this factor in the first step.  [default: 0.3]", "--beta"
        ),
        "annealing": option(
            float | None, "Raise this factor to 1 over this fraction of the steps.  [default: a third]"
        ),
    },
)
POTENTIALS = "gaussian, double-well, mixture, mueller-brown, phi4-ring or phi4-lattice"


@images.command(cls=Command, epilog=EXAMPLES)
@takes(POTENTIAL, TRAINING)
def gibbs(
    potential: Annotated[str, typer.Option(help=f"Sample from this potential: {POTENTIALS}.")],
    n_draws: Annotated[
        int, typer.Option("--draws", help="Measure with this many draws, and as many energy calls of each chain.")
    ] = 100_000,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="PATH",
            help="Write the report, tables and figures to this folder.  [default: not written]",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    given: dict[str, Any],
) -> None:
    """Sample from a known energy with a Gibbs VAE, and estimate log Z.

    Potentials of your own are functions in Python: see topicnet.images.gibbs.Potential.
    """
    from topicnet.images.gibbs.names import check_named

    values = {name: value for name, value in given.items() if value is not None}
    parameters = {name: values.pop(name) for name in POTENTIAL.options if name in values}
    check_named(potential, parameters)
    if out is not None:
        _check_out(out, overwrite)
    from topicnet.images.gibbs.estimator import GibbsVAE
    from topicnet.images.gibbs.names import named_potential
    from topicnet.images.gibbs.report import check_draws, measure_with_draws

    target = named_potential(potential, parameters)
    vae = GibbsVAE(random_state=seed, **values)
    vae.check_parameters()
    check_draws(n_draws)
    from topicnet.cli.printing.gibbs import show_report
    from topicnet.cli.printing.progress import show_progress
    from topicnet.images.gibbs.files import record_of, write
    from topicnet.storage.formats import json_text

    with show_progress(quiet) as reporter:
        vae.fit(target, reporter.listener or (lambda progress: None))
        report, draws = measure_with_draws(vae, n_draws, seed)
    settings = {"potential": potential, "parameters": parameters, "training": vae.parameters(), "draws": n_draws}
    if out is not None:
        for path in write(out, target, report, draws, settings, overwrite=overwrite):
            notices.info("wrote %s", path)
    if as_json:
        echo(json_text(record_of(report, settings)), block=True)
        return
    show_report(report)
    if out is not None:
        echo(f"wrote {out}")


def _check_out(out: Path, overwrite: bool) -> None:
    """Check, before any work, that the files can be written and the figures drawn."""
    from topicnet.errors import OutputError
    from topicnet.images.gibbs.names import FILES
    from topicnet.runtime.extras import check_installed
    from topicnet.storage.loose_files import check_files

    if (out / "run.json").is_file():
        raise OutputError(f"--out {str(out)!r} is the folder of a run: name another one")
    check_installed("a figure", ["matplotlib"])
    check_files([out / name for name in FILES], overwrite=overwrite)
