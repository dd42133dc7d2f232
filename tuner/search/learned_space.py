"""The space of a training that asks for its parameters as it runs: what is known of it is what trials have asked for.

Nothing can be proposed for a parameter that no trial has asked for yet, so the first trials draw everything themselves.
Later ones are proposed the parameters known by then, jointly, but for those that no trial asked for under the values
that are proposed of others (`Conditions`): else a model would see candidates such as no trial can be, and take one that
differs in nothing that counts for a new one. A trial takes what it asks for, and draws what it was not proposed. What
it has taken is told (`Searcher.asked`), and only that is learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.conditions import Conditions, LeftOut


class LearnedSpace:
    """A `suggest` over the parameters that trials have asked for so far."""

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[str, BaseDistribution] = {}
        self._conditions = Conditions()
        self._left_out: LeftOut = {}
        self.changes = 0
        """How often something new was learnt."""

    def learn(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Take what a trial has asked for; of a parameter whose range depends on others, the latest counts."""
        is_known = distributions.items() <= self._known.items()
        self._known.update(distributions)
        self._conditions.take(trial, params, distributions)
        left_out = self._conditions.left_out(self._known)
        if not is_known or left_out != self._left_out:
            self._left_out = left_out
            self.changes += 1

    def __call__(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Suggest every parameter known that a trial may ask for under the values of those before it."""
        values: dict[str, Any] = {}
        drawn: dict[str, float] = {}
        for name, distribution in self._known.items():
            if any(drawn.get(decider) in never for decider, never in self._left_out.get(name, {}).items()):
                continue
            values[name] = _suggest(trial, name, distribution)
            drawn[name] = float(distribution.to_internal_repr(values[name]))
        return values


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
