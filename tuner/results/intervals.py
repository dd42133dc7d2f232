"""How sure a measured value is: a proportion's interval on one test set, any value's spread over seeds."""

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

    @property
    def interval(self) -> Interval | None:
        """The 95% interval of the mean over seeds, by Student's t distribution; None for one value, and for equal ones.

        It covers the choice of the seed, not that of the test examples: of a training that the seed does not change,
        it would be of no width, and certainty.
        """
        if not self.sd:
            return None
        from scipy.special import stdtrit  # takes long to import, and only a report needs it

        half = float(stdtrit(self.n - 1, 0.975)) * self.sd / math.sqrt(self.n)
        return Interval(self.mean - half, self.mean + half)


def wilson(proportion: float, n: int) -> Interval:
    """Return the 95% interval of a proportion (such as an accuracy) measured on `n` examples (at least 1).

    Wilson's score interval without continuity correction ("Probable inference, the law of succession, and
    statistical inference", JASA 1927). It covers the choice of test examples, not that of the seed.
    """
    assert n >= 1, n
    weight = _Z95**2 / n
    centre = (proportion + weight / 2) / (1 + weight)
    half = _Z95 / (1 + weight) * math.sqrt(proportion * (1 - proportion) / n + weight / (4 * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of at least one value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))
