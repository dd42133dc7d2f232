"""The Pareto front of a run with several objectives, among its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.journal.history import History, TrialHistory
from tuner.search.objective import Objective, objectives_of
from tuner.search.pareto import pareto_front
from tuner.search.trial import TrialState


@dataclass(frozen=True)
class Placed:
    """A trial with a value in every objective, and whether another is better."""

    trial: int
    state: TrialState
    epochs: int
    values: tuple[float, ...]
    """By objective, in their order; metrics are those of the epoch that is best by the first."""
    is_on_front: bool


def objectives_of_run(history: History) -> tuple[Objective, ...]:
    """Return what the run searches for."""
    search = history.config.get("search") or {}
    return objectives_of(search.get("objectives") or (), history.objective)


def placed_trials(history: History) -> list[Placed]:
    """Return the trials that can be compared in every objective, by number; none with one objective.

    Left out are those that FAILED, finished no epoch, or were not measured. A trial that was stopped early, or still
    runs, counts with the best it has shown so far: another is better only by what both have shown.
    """
    objectives = objectives_of_run(history)
    if len(objectives) == 1:
        return []
    points = {number: _values(trial, objectives) for number, trial in sorted(history.trials.items())}
    known = {number: values for number, values in points.items() if values is not None}
    front = pareto_front(list(known.values()), objectives)
    return [
        Placed(number, history.trials[number].state, len(history.trials[number].epochs), values, is_on_front)
        for (number, values), is_on_front in zip(known.items(), front, strict=True)
    ]


def values_of(
    metrics: Mapping[str, float], measures: Mapping[str, float], objectives: Sequence[Objective]
) -> tuple[float, ...] | None:
    """Return the value in each objective by an epoch's metrics and what was measured; None if one is not known."""
    known = {**metrics, **measures}
    values = tuple(known.get(one.metric, math.nan) for one in objectives)
    return None if any(map(math.isnan, values)) else values


def _values(trial: TrialHistory, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    best = trial.best
    if best is None or trial.state is TrialState.FAILED:
        return None
    return values_of(best.metrics, trial.measures, objectives)
