"""How sure a measured accuracy is: its interval on one test set, its spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Interval:
    """A 95% confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """A value over seeds."""

    mean: float
    sd: float | None
    """Sample standard deviation (n - 1); None for one value."""
    n: int
    """Seeds."""


def wilson(accuracy: float, n: int) -> Interval:
    """Return the 95% interval of an accuracy measured on `n` images (at least 1).

    Wilson's score interval without continuity correction ("Probable inference, the law of succession, and
    statistical inference", JASA 1927). It covers the choice of test images, not that of the seed.
    """
    assert n >= 1, n
    weight = _Z95**2 / n
    centre = (accuracy + weight / 2) / (1 + weight)
    half = _Z95 / (1 + weight) * math.sqrt(accuracy * (1 - accuracy) / n + weight / (4 * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of at least one value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))
