"""Which parameters matter, as far as early results tell: kept up result by result, with constant work for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import CategoricalDistribution

from tuner.search.distributions import distribution_of
from tuner.search.unit import to_unit

_BINS = 4
"""Equal parts of a range: enough to see a best value in its middle, few enough to be filled soon."""
_LEAST_RESULTS = 8
"""Before so many nothing is said."""


class Influence:
    """For each parameter, the share of the results' variance that its value alone explains.

    Values are put into bins, and the share is the omega squared of an analysis of variance: without a correction a
    parameter of many values would explain chance. Interactions are not seen; the report's importances see them.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._parameters: dict[str, _Parameter] = {}

    def add(self, params: Mapping[str, Any], distributions: Mapping[str, str], score: float) -> None:
        """Take note of a trial's score; `distributions` as in `Proposal`. Scores must be of equal resources."""
        for name, value in params.items():
            if name in distributions:
                place = _bin(distributions[name], value)
                self._parameters.setdefault(name, _Parameter()).add(place, score)

    def ranked(self, names: Sequence[str]) -> list[str]:
        """Return the names by their influence, the largest first; of equals, and before there is any, as given."""
        return sorted(names, key=lambda name: -self.share(name))

    def share(self, name: str) -> float:
        """Return the share that a parameter explains, 0 to 1."""
        known = self._parameters.get(name)
        return 0.0 if known is None else known.share


@dataclass
class _Moments:
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of the squared distances from the mean, by Welford's update."""

    def add(self, value: float) -> None:
        self.n += 1
        distance = value - self.mean
        self.mean += distance / self.n
        self.squares += distance * (value - self.mean)


@dataclass
class _Parameter:
    all: _Moments = field(default_factory=_Moments)
    bins: dict[int, _Moments] = field(default_factory=dict)

    def add(self, place: int, score: float) -> None:
        self.all.add(score)
        self.bins.setdefault(place, _Moments()).add(score)

    @property
    def share(self) -> float:
        left = self.all.n - len(self.bins)
        if self.all.n < _LEAST_RESULTS or len(self.bins) < 2 or left < 1 or self.all.squares <= 0:
            return 0.0
        within = sum(one.squares for one in self.bins.values())
        noise = within / left
        explained = self.all.squares - within - (len(self.bins) - 1) * noise
        return max(0.0, explained / (self.all.squares + noise))


def _bin(distribution: str, value: Any) -> int:
    known = distribution_of(distribution)
    if isinstance(known, CategoricalDistribution):
        return int(known.to_internal_repr(value))
    return min(max(int(to_unit(known, value) * _BINS), 0), _BINS - 1)
