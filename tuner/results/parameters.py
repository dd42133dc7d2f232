"""The hyperparameters that a search varied, as numbers to draw by."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.journal.history import History
from tuner.results.wording import hparam_text


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, as the search space asked for it."""

    name: str
    places: Mapping[int, float]
    """By trial: its value or, of a category, the number of the choice; trials without it are left out."""
    choices: tuple[str, ...]
    """Of a category, in a fixed order; empty for a number."""
    is_log: bool

    def text(self, trial: int) -> str:
        """Return a trial's value for a reader; empty if it has none."""
        if trial not in self.places:
            return ""
        place = self.places[trial]
        return self.choices[round(place)] if self.choices else hparam_text(place)


def parameters(history: History) -> list[Parameter]:
    """Return the hyperparameters of which there are several values, in the order in which they were asked for."""
    values: dict[str, dict[int, Any]] = {}
    logs: dict[str, bool] = {}
    for number, trial in sorted(history.trials.items()):
        for name, value in trial.proposed.params.items():
            values.setdefault(name, {})[number] = value
            if name not in logs and name in trial.proposed.distributions:
                logs[name] = _is_log(trial.proposed.distributions[name])
    found = (_parameter(name, known, logs.get(name, False)) for name, known in values.items())
    return [one for one in found if len(set(one.places.values())) > 1]


def by_importance(found: Sequence[Parameter], importances: Mapping[str, float]) -> list[Parameter]:
    """Return the parameters, the most important first; those of which nothing is known keep their order, behind."""
    return sorted(found, key=lambda one: -importances.get(one.name, -1.0))


def _parameter(name: str, values: Mapping[int, Any], is_log: bool) -> Parameter:
    if all(_has_place(value) for value in values.values()):
        places = {trial: float(value) for trial, value in values.items()}
        return Parameter(name, places, (), is_log and min(places.values()) > 0)
    texts = {trial: hparam_text(value) for trial, value in values.items()}
    choices = tuple(sorted(set(texts.values())))
    order = {choice: float(place) for place, choice in enumerate(choices)}
    return Parameter(name, {trial: order[text] for trial, text in texts.items()}, choices, False)


def _has_place(value: object) -> bool:
    """Return whether it is a number that has a place on an axis, as infinity has none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_log(distribution: str) -> bool:
    """Return whether a distribution, in Optuna's JSON, is logarithmic; what is none of Optuna's is not."""
    try:
        return bool(json.loads(distribution)["attributes"].get("log", False))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
