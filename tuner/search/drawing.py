"""Configurations drawn by asking the user's own `suggest`, so that they are valid whatever its conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FixedTrial

from tuner.search.proposing import Configuration
from tuner.search.space import InfeasibleError, SearchSpace
from tuner.search.unit import from_unit, to_unit

Answer = Callable[[str, BaseDistribution], float]
"""Where in its unit interval a parameter is to lie."""


def draw(space: SearchSpace, answer: Answer) -> Configuration:
    """Return the configuration whose parameters lie where `answer` says, perhaps an infeasible one.

    Raises SpaceError if the space fails.
    """
    trial = _AnsweredTrial(answer)
    try:
        hparams = space.hparams_of(trial)
    except InfeasibleError as error:
        return Configuration(error.params, error.distributions, {}, error.reason)
    return Configuration(trial.params, trial.distributions, hparams)


def places(space: SearchSpace, answer: Answer) -> dict[str, float] | None:
    """Return where the parameters lie that the space asks for if they lie where `answer` says; None if infeasible.

    Much faster than `draw`, for what the space makes of them is not looked at. Raises SpaceError if the space fails.
    """
    trial = _AnsweredTrial(answer)
    try:
        space.ask(trial)
    except InfeasibleError:
        return None
    return {name: to_unit(trial.distributions[name], value) for name, value in trial.params.items()}


def units_of(configuration: Configuration) -> dict[str, float]:
    """Return where the parameters of a configuration lie in their unit intervals."""
    return {name: to_unit(configuration.distributions[name], value) for name, value in configuration.params.items()}


def at_random(generator: np.random.Generator) -> Answer:
    """Answer each parameter uniformly."""
    return lambda name, distribution: generator.random()


def near(units: Mapping[str, float], generator: np.random.Generator, mutations: float, width: float) -> Answer:
    """Answer with the places `units`, about `mutations` of them moved; what they lack is random.

    A moved number moves by a normal deviate of `width`, a moved category is drawn afresh.
    """
    share = mutations / max(len(units), 1)

    def answer(name: str, distribution: BaseDistribution) -> float:
        if name not in units:
            return generator.random()
        if generator.random() >= share:
            return units[name]
        if isinstance(distribution, CategoricalDistribution):
            return generator.random()
        return units[name] + width * generator.standard_normal()  # what lies outside is taken to the end

    return answer


class _AnsweredTrial(FixedTrial):
    """A trial whose parameters lie where `answer` says; the first answer to a name holds."""

    def __init__(self, answer: Answer) -> None:
        super().__init__({})
        self._answer = answer

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._suggested_params:
            self._suggested_params[name] = from_unit(distribution, self._answer(name, distribution))
            self._distributions[name] = distribution
        return self._suggested_params[name]
