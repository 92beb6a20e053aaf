"""Potentials by name with the parameters of each, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from topicnet.errors import InputError

if TYPE_CHECKING:
    from topicnet.images.gibbs.potentials import Potential

# Function of `potentials`, and the parameters that it takes by name.
NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "gaussian": ("gaussian", ()),
    "double-well": ("double_well", ("height", "n_dims")),
    "mixture": ("mixture", ("n_modes", "radius", "variance", "n_dims")),
    "mueller-brown": ("mueller_brown", ("temperature",)),
    "phi4-ring": ("phi4_ring", ("n_sites", "mass", "coupling")),
    "phi4-lattice": ("phi4_lattice", ("length", "mass", "coupling")),
}
# Files that `files.write` writes.
FILES = (
    "report.json", "moments.csv", "restarts.csv", "samples.csv", "chain.csv",
    "density.png", "samples.png", "chain.png",
)  # fmt: skip
# Options of the command line whose names differ from the parameters.
OPTIONS = {"n_dims": "--dims", "n_modes": "--modes", "n_sites": "--sites"}


def option_of(parameter: str) -> str:
    """Return the option of the command line for a parameter."""
    return OPTIONS.get(parameter, f"--{parameter}")


def check_named(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise InputError for an unknown potential, or a parameter that it does not take."""
    if name not in NAMED:
        raise InputError(f"--potential {name} given, expected one of {', '.join(NAMED)}")
    known = NAMED[name][1]
    for parameter, value in parameters.items():
        if parameter not in known:
            takes = ", ".join(map(option_of, known)) or "no option"
            raise InputError(
                f"{option_of(parameter)} {value} given for {name}, which does not take it, expected {takes}: leave"
                " it out"
            )


def named_potential(name: str, parameters: Mapping[str, Any]) -> Potential:
    """Create a potential by its name, with parameters as in `potentials`."""
    check_named(name, parameters)
    function = getattr(import_module("topicnet.images.gibbs.potentials"), NAMED[name][0])
    found: Potential = function(**parameters)
    return found
