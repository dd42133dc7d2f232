"""What the author of a space believes of its best configuration: near which values some of its parameters lie.

The belief is a density on the unit intervals of the parameters, the product of one for each: a normal, truncated to the
range, for a number, a weight for a category. A parameter that a configuration does not have counts for nothing, and so
does one whose range, where it depends on other parameters, does not hold the value.

- Where no model proposes, every other proposal is drawn from it, the others from anywhere: the shares of the lowest
  rung in Mallik et al., "PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning", NeurIPS 2023.
- Where a model proposes, the expected improvement is multiplied by the density to the power of `CONFIDENCE` / n, with n
  results known, so that what was seen outweighs a wrong belief in the end: Hvarfner et al., "piBO: Augmenting
  Acquisition Functions with User Beliefs for Bayesian Optimization", ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import scipy
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.errors import SpaceError
from tuner.search.arrays import Floats
from tuner.search.asking import key_of, law_of
from tuner.search.drawing import Answer, at_random, draw
from tuner.search.space import SearchSpace, nearest_known
from tuner.search.unit import to_unit

CONFIDENCE = 10.0
"""The beta of piBO: with so many results, the belief counts as much as one expected improvement."""
_DEVIATION = 0.25
"""Of a number, in shares of its range; PriorBand's."""
_WEIGHT = 4.0
"""Of the believed category; each other one has 1."""
_ATTEMPTS = 8
"""Draws for one proposal from the belief: where all that is near it was tried or is infeasible, chance decides."""
_CHECKED_DRAWS = 50
"""Of each kind, to meet the parameters of rare branches."""


@dataclass(frozen=True)
class _Number:
    """A normal around a place in the unit interval, truncated to it."""

    centre: float

    def log_density(self, places: Floats) -> Floats:
        below, above = self._tails()
        deviates = (places - self.centre) / _DEVIATION
        result: Floats = -0.5 * deviates**2 - np.log(_DEVIATION * np.sqrt(2.0 * np.pi) * (above - below))
        return result

    def quantile(self, share: float) -> float:
        below, above = self._tails()
        place = self.centre + _DEVIATION * scipy.special.ndtri(below + share * (above - below))
        return float(np.clip(place, 0.0, 1.0))

    def _tails(self) -> tuple[float, float]:
        """Return the shares of the whole normal below 0 and below 1."""
        below, above = scipy.special.ndtr(np.subtract((0.0, 1.0), self.centre) / _DEVIATION)
        return float(below), float(above)


@dataclass(frozen=True)
class _Category:
    """A weight for one of several choices, each of which has an equal share of the unit interval."""

    choice: int
    choices: int

    def log_density(self, places: Floats) -> Floats:
        chosen = np.minimum(np.floor(places * self.choices), self.choices - 1)
        weights = np.where(chosen == self.choice, _WEIGHT, 1.0)
        result: Floats = np.log(weights * self.choices / self._total)
        return result

    def quantile(self, share: float) -> float:
        beyond = share * self._total - _WEIGHT
        if beyond < 0.0:
            return (self.choice + 0.5) / self.choices
        other = min(int(beyond), self.choices - 2)
        return (other + (other >= self.choice) + 0.5) / self.choices

    @property
    def _total(self) -> float:
        return _WEIGHT + self.choices - 1


class UserPrior:
    """A belief in values of some parameters."""

    def __init__(self, values: Mapping[str, Any], first: int) -> None:
        """Believe in these values; `first` is the number of the first proposal that is no start configuration."""
        self._values = values
        self._first = first

    @staticmethod
    def of(space: SearchSpace) -> UserPrior | None:
        """Return what the author of a space believes; None if nothing is said."""
        return UserPrior(space.prior, len(space.start)) if space.prior else None

    def is_due(self, number: int, attempt: int) -> bool:
        """Whether a proposal that no model makes is drawn around the belief: every other one, at first."""
        return (number - self._first) % 2 == 0 and attempt < _ATTEMPTS

    def around(self, generator: np.random.Generator) -> Answer:
        """Answer each parameter from the belief, uniformly if there is none about it."""

        def answer(name: str, distribution: BaseDistribution) -> float:
            share = float(generator.random())
            density = self._density(name, distribution)
            return share if density is None else density.quantile(share)

        return answer

    def log_weight(self, distributions: Mapping[str, BaseDistribution], results: int) -> Callable[[Floats], Floats]:
        """Return what weighs configurations when so many results, one at least, are known.

        From their `units` [n, parameters], the places of `distributions`, NaN where a configuration has no such
        parameter, it makes the logarithm [n] of their weight.
        """
        densities = [self._density(name, distribution) for name, distribution in distributions.items()]

        def weigh(units: Floats) -> Floats:
            total = np.zeros(len(units))
            for places, density in zip(units.T, densities, strict=True):
                if density is not None:
                    total += np.where(np.isnan(places), 0.0, density.log_density(places))
            return CONFIDENCE / results * total

        return weigh

    def _density(self, name: str, distribution: BaseDistribution) -> _Number | _Category | None:
        return _density(distribution, self._values[name]) if name in self._values else None


def check_prior(space: SearchSpace) -> None:
    """Look for the believed parameters in start configurations, and in draws around the belief and anywhere.

    Raises:
        SpaceError: if none of them has such a parameter, or its value lies outside of the range or the choices of all.
    """
    prior = UserPrior.of(space)
    if prior is None:
        return
    generator = np.random.default_rng(0)
    starts = (space.answer(start)[0].distributions for start in space.start)
    answers = (answer for _ in range(_CHECKED_DRAWS) for answer in (prior.around(generator), at_random(generator)))
    met: dict[str, list[BaseDistribution]] = {}
    doubtful = dict(space.prior)
    for distributions in chain(starts, (draw(space, answer).distributions for answer in answers)):
        for name, distribution in distributions.items():
            met.setdefault(name, []).append(distribution)
            if name in doubtful and _density(distribution, doubtful[name]) is not None:
                del doubtful[name]
        if not doubtful:
            return
    name, value = next(iter(doubtful.items()))
    law = law_of(met[name]) if name in met else f"name a parameter that suggest() asks for; {nearest_known(name, met)}"
    raise SpaceError(f"PRIOR of space {space.name!r} is {value!r} for parameter {name!r}, but must {law}")


def _density(distribution: BaseDistribution, value: Any) -> _Number | _Category | None:
    """Return the density around a value; None if it is none of those that there are."""
    if isinstance(distribution, CategoricalDistribution):
        key = key_of(value, distribution.choices)
        if key not in distribution.choices:
            return None
        return _Category(int(distribution.to_internal_repr(key)), len(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_inside = is_number and distribution.low <= value <= distribution.high
    return _Number(to_unit(distribution, value)) if is_inside else None
