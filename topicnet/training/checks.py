"""Validation of parameters: numbers, and choices among a few values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from topicnet.errors import InputError


def check_count(name: str, value: object, *, least: int = 1, most: int | None = None) -> None:
    """Raise InputError unless value is an integer of at least `least` and at most `most`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        span = f"from {least} to {most}" if most is not None else f"{least} or more"
        raise InputError(f"{name}={value!r} given, expected a whole number, {span}")


def check_choice(name: str, given: object, allowed: Iterable[object]) -> None:
    """Raise InputError unless a value is one of those allowed; None among them is not listed."""
    if given not in allowed:
        listed = ", ".join(str(one) for one in allowed if one is not None)
        raise InputError(f"{name}={given!r} given, expected one of {listed}")


def check_number(name: str, value: object, *, above: float | None = None, most: float = math.inf) -> None:
    """Raise InputError unless value is finite and either at least 0 or, given `above`, in (above, most]."""
    number = math.nan
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value)
    if not math.isfinite(number) or not (number >= 0 if above is None else above < number <= most):
        bound = f" and at most {most:g}" if math.isfinite(most) else ""
        span = ", 0 or more" if above is None else f" above {above:g}{bound}"
        raise InputError(f"{name}={value!r} given, expected a number{span}")


def check_fraction(name: str, value: object) -> None:
    """Raise InputError unless value is in [0, 1)."""
    check_number(name, value)
    if float(value) >= 1:  # type: ignore[arg-type]
        raise InputError(f"{name}={value!r} given, expected a fraction from 0 to below 1")
