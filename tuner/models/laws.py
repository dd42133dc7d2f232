"""What the hyperparameters of the models here must be; each returns a plain number or raises ConfigError."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from tuner.errors import ConfigError


def width(name: str, value: Any) -> int:
    """Return a number of channels or units."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number of at least 1.")
    return int(value)


def rate(name: str, value: Any) -> float:
    """Return a share of what is dropped."""
    if not is_number(value) or not 0.0 <= float(value) < 1.0:
        raise ConfigError(f"{name} is {value!r}, but must be a number of at least 0 and below 1.")
    return float(value)


def is_number(value: Any) -> bool:
    """Return whether it is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)
