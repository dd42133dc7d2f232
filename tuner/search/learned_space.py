"""The space of a training that asks for its parameters as it runs: what is known of it is what trials have asked for.

Nothing can be proposed for a parameter that no trial has asked for yet, so the first trials draw everything themselves.
Later ones are proposed all parameters known by then, jointly; a trial takes those that it asks for, and draws the
others. What it has taken is told (`Searcher.asked`), and only that is learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


class LearnedSpace:
    """A `suggest` over all parameters that trials have asked for so far."""

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[str, BaseDistribution] = {}
        self.changes = 0
        """How often something new was learnt."""

    def learn(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Take note of what a trial has asked for; of a parameter whose range depends on others, the latest counts."""
        if not distributions.items() <= self._known.items():
            self._known.update(distributions)
            self.changes += 1

    def __call__(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Suggest every parameter known."""
        return {name: _suggest(trial, name, distribution) for name, distribution in self._known.items()}


def _suggest(trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution():
            step, log = distribution.step, distribution.log
            return trial.suggest_float(name, distribution.low, distribution.high, step=step, log=log)
        case IntDistribution():
            step, log = distribution.step, distribution.log
            return trial.suggest_int(name, distribution.low, distribution.high, step=step, log=log)
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
    raise TypeError(f"{name} has a {type(distribution).__name__}, which nothing is known of")
