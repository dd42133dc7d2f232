"""Parameters as numbers between 0 and 1, and back: each of several values has an equal share of the unit interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.arrays import Floats

_NUMBERS = (FloatDistribution, IntDistribution)


def from_unit(distribution: BaseDistribution, unit: float) -> Any:
    """Return the value at a place of the unit interval; a uniform place gives what Optuna's random sampler draws."""
    unit = min(max(unit, 0.0), 1.0)
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(int(unit * len(distribution.choices)), len(distribution.choices) - 1)]
    assert isinstance(distribution, _NUMBERS), distribution
    low, high = _bounds(distribution)
    place = low + unit * (high - low)
    value = math.exp(place) if distribution.log else place
    if distribution.step is not None:
        value = distribution.low + distribution.step * round((value - distribution.low) / distribution.step)
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def to_unit(distribution: BaseDistribution, value: Any) -> float:
    """Return the place of a value, of one of several equal shares the middle; outside of 0 to 1 if out of range."""
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.to_internal_repr(value) + 0.5) / len(distribution.choices)
    assert isinstance(distribution, _NUMBERS), distribution
    low, high = _bounds(distribution)
    if low == high:
        return 0.5
    place = math.log(max(value, 1e-300)) if distribution.log else value
    return float((place - low) / (high - low))


def snapped(distribution: BaseDistribution, units: Floats) -> Floats:
    """Return places moved to those of the numbers that they stand for; where those are continuous, unchanged."""
    assert isinstance(distribution, _NUMBERS), distribution
    low, high = _bounds(distribution)
    if low == high:
        return np.full_like(units, 0.5)
    if distribution.step is None:
        return units
    places = low + units * (high - low)
    values = np.exp(places) if distribution.log else places
    values = distribution.low + distribution.step * np.rint((values - distribution.low) / distribution.step)
    values = np.clip(values, distribution.low, distribution.high)
    back: Floats = ((np.log(values) if distribution.log else values) - low) / (high - low)
    return back


def _bounds(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return the ends of the unit interval, half a step beyond the range where there are steps; logarithms if `log`."""
    half = 0.5 * (distribution.step or 0.0)
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
