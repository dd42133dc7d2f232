"""What is left of a small space when draws from it only repeat what was met."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.drawing import draw
from tuner.search.proposing import Configuration, is_new
from tuner.search.space import SearchSpace
from tuner.search.tried import Tried
from tuner.search.unit import to_unit

_MOST = 10_000
"""Configurations, or values of a parameter, that are gone through at most: some tenths of a second's."""


def untried(space: SearchSpace, tried: Tried, generator: np.random.Generator) -> Configuration | None:
    """Return a configuration that is feasible and was not tried.

    None if there is none, or if none is met among the first ten thousand. Raises SpaceError if the space fails.
    """
    configurations = islice(_every(space, generator), _MOST)
    return next((one for one in configurations if one.infeasible is None and is_new(space, one, tried)), None)


def _every(space: SearchSpace, generator: np.random.Generator) -> Iterator[Configuration]:
    """Yield every configuration once, in random order; of a parameter with a continuous range one value each time."""
    to_come: list[list[float]] = []
    """By depth of the question, the places that were not gone through; the last of each is what is answered now."""
    while True:
        asked = 0

        def answer(name: str, distribution: BaseDistribution) -> float:
            nonlocal asked
            if asked == len(to_come):
                to_come.append(list(generator.permutation(_places(distribution, generator))))
            asked += 1
            return to_come[asked - 1][-1]

        yield draw(space, answer)
        while to_come and len(to_come[-1]) == 1:
            to_come.pop()
        if not to_come:
            return
        to_come[-1].pop()


def _places(distribution: BaseDistribution, generator: np.random.Generator) -> list[float]:
    """Return where the values of a parameter lie in its unit interval; one place if its range is continuous."""
    if isinstance(distribution, CategoricalDistribution):
        return [to_unit(distribution, choice) for choice in distribution.choices]
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    if distribution.step is None:
        return [generator.random()]
    steps = round((distribution.high - distribution.low) / distribution.step)
    if steps >= _MOST:
        return list(generator.random(_MOST))
    return [to_unit(distribution, distribution.low + distribution.step * step) for step in range(steps + 1)]
