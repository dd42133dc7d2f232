"""Searches whose author believes in something, as `PRIOR` says it in a space file: rightly, or wrongly.

Of `_DRAWN` random configurations, ranked by the best value on their full curves, the belief is in the best one (right)
or in one than which a tenth of them are worse (wrong). Its numbers are moved by a normal deviate of a tenth of their
range, for nobody knows them exactly. It is another one for each seed. What it took to find it is not counted: it stands
for what a person knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from tests.benchmarks.ours import search_of
from tests.benchmarks.problem import Problem
from tuner.config import SearchConfig
from tuner.search.drawing import Answer, at_random, draw, units_of
from tuner.search.proposing import Configuration
from tuner.search.search import Search
from tuner.search.space import SearchSpace

_DRAWN = 200
_WRONG_RANK = 180
"""Counted from the best, 0."""
_MOVED = 0.1


def prior_right(problem: Problem, seed: int) -> Search:
    """Return the default search with a belief in a good configuration."""
    return _believing(problem, seed, right_belief(problem, seed))


def prior_wrong(problem: Problem, seed: int) -> Search:
    """Return the default search with a belief in a bad configuration."""
    return _believing(problem, seed, wrong_belief(problem, seed))


def right_belief(problem: Problem, seed: int) -> dict[str, Any]:
    """Return the parameters of a good configuration, a little moved."""
    return belief(problem, seed, 0)


def wrong_belief(problem: Problem, seed: int) -> dict[str, Any]:
    """Return the parameters of a bad configuration, a little moved."""
    return belief(problem, seed, _WRONG_RANK)


def belief(problem: Problem, seed: int, rank: int) -> dict[str, Any]:
    """Return the parameters, a little moved, of the configuration of that rank among some random ones."""
    generator = np.random.default_rng(seed)
    space = SearchSpace("benchmark", problem.suggest, ())
    drawn = [draw(space, at_random(generator)) for _ in range(_DRAWN)]
    reached = [max(problem.curve(one.hparams).values) for one in drawn]
    chosen = drawn[int(np.argsort(reached, kind="stable")[::-1][rank])]
    return dict(draw(space, _beside(chosen, generator)).params)


def _beside(one: Configuration, generator: np.random.Generator) -> Answer:
    units = units_of(one)

    def answer(name: str, distribution: BaseDistribution) -> float:
        if isinstance(distribution, CategoricalDistribution):
            return units[name]
        return float(np.clip(units[name] + _MOVED * generator.standard_normal(), 0.0, 1.0))

    return answer


def _believing(problem: Problem, seed: int, prior: dict[str, Any]) -> Search:
    return search_of(problem.suggest, problem.epochs, seed, SearchConfig(), prior=prior)
