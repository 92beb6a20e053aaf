"""Names of splits, metrics and methods of geodesics between images, importable without torch."""

from __future__ import annotations

from topicnet.errors import InputError

SPLITS = ("train", "validation", "test")
METRICS = ("expected", "pullback", "fisher-rao")
METHODS = ("refined", "energy", "spline", "bvp", "graph", "shooting")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise InputError for a value that is not one of the known ones.

    Parameters
    ----------
    name : str
        The option or argument as the user names it, such as "--metric ".
    value : str
        Its value.
    known : tuple of str
        The known values.
    """
    if value not in known:
        raise InputError(f"{name}{value!r} given, expected one of {', '.join(known)}")
