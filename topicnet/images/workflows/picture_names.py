"""Pictures of `topicnet images draw`: their names and what each takes, importable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from topicnet.errors import InputError

OPTIONS = {"n": "-n", "top": "--top", "columns": "--columns"}  # those that not every picture takes


@dataclass(frozen=True)
class PictureKind:
    """Options, number of runs and library of a picture.

    Attributes
    ----------
    options : tuple of str
        Keys of `OPTIONS`.
    several : bool
        Whether it shows several runs.
    library : str or None
        "PIL" or "matplotlib"; None if that depends on whether the data are pictures.
    """

    options: tuple[str, ...]
    several: bool
    library: str | None


PICTURES: Mapping[str, PictureKind] = MappingProxyType(
    {
        "changed-categories": PictureKind(("n", "top"), several=False, library="PIL"),
        "category-probabilities": PictureKind((), several=True, library="matplotlib"),
        "label-categories": PictureKind(("top", "columns"), several=False, library="matplotlib"),
        "uniform-categories": PictureKind(("n", "columns"), several=True, library=None),
        "samples": PictureKind(("n", "columns"), several=True, library="PIL"),
        "density": PictureKind(("n", "columns"), several=True, library="matplotlib"),
    }
)


def check_picture(name: str, n_runs: int, options: Mapping[str, int | None]) -> PictureKind:
    """Return the kind of a picture.

    Parameters
    ----------
    name : str
        Key of `PICTURES`.
    n_runs : int
        Number of runs to draw.
    options : mapping of str to int or None
        Values of the keys of `OPTIONS`; None if not given.

    Raises
    ------
    InputError
        The name is unknown, or the picture does not take an option or several runs.
    """
    if name not in PICTURES:
        raise InputError(f"--picture {name!r} given, expected one of {', '.join(PICTURES)}")
    kind = PICTURES[name]
    for option, value in options.items():
        if value is not None and option not in kind.options:
            takes = f"it takes {' and '.join(OPTIONS[one] for one in kind.options)}" if kind.options else "leave it out"
            raise InputError(f"{OPTIONS[option]} given for --picture {name}, which does not take it: {takes}")
    if n_runs > 1 and not kind.several:
        raise InputError(f"{n_runs} runs given for --picture {name}, expected one: draw each by a command")
    return kind
