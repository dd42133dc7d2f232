"""What is searched: a task of a family, and what its best and usual values are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from tests.benchmarks import lcbench, power_law, rbv2_xgboost
from tuner.search.arrays import Floats
from tuner.search.quiet import quiet_study
from tuner.search.simulator import Curve
from tuner.search.space import Suggest

FAMILIES = ("power-law", "lcbench", "rbv2")
"""The first needs no data file."""
REFERENCE_CONFIGURATIONS = 6000
_BATCH = 250

Curves = Callable[[Sequence[Mapping[str, Any]]], tuple[Floats, Floats]]
"""Values and seconds [n, epochs] of configurations."""


@dataclass(frozen=True)
class Problem:
    """One thing to search."""

    suggest: Suggest
    suggest_before: Suggest | None
    """Asks for less: of a space that was searched before this one."""
    curve: Callable[[Mapping[str, Any]], Curve]
    epochs: int
    best: float
    median: float
    mean_seconds: float
    """Of a full training."""

    def regret(self, value: float) -> float:
        """Return how much worse a value is than the best; 0 is the best, 1 the median."""
        return (self.best - value) / (self.best - self.median)


def tasks_of(family: str, which: str) -> list[str]:
    """Return the tasks of a family that are meant by `tuning`, `judging`, or their numbers with commas."""
    if family == "power-law":
        return ["0"]
    module = lcbench if family == "lcbench" else rbv2_xgboost
    named = {"tuning": module.TUNING_TASKS, "judging": module.JUDGING_TASKS}
    return [str(task) for task in named[which]] if which in named else which.split(",")


@lru_cache(maxsize=64)
def load_problem(family: str, surrogate: Path | None, task: str) -> Problem:
    """Return a task of a family, with its references worked out; `surrogate` is the folder of its data files."""
    if family == "power-law":
        before = power_law.suggest_before
        return _with_references(power_law.suggest, before, power_law.curve, power_law.curves, power_law.EPOCHS)
    assert surrogate is not None, family
    if family == "lcbench":
        of_task = lcbench.Surrogate(surrogate, int(task))
        before = lcbench.suggest_before
        return _with_references(lcbench.suggest, before, of_task.curve, of_task.curves, lcbench.EPOCHS)
    xgboost = rbv2_xgboost.Surrogate(surrogate, int(task))
    return _with_references(rbv2_xgboost.suggest, None, xgboost.curve, xgboost.curves, rbv2_xgboost.EPOCHS)


def _with_references(
    suggest: Suggest,
    suggest_before: Suggest | None,
    curve: Callable[[Mapping[str, Any]], Curve],
    curves: Curves,
    epochs: int,
) -> Problem:
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask()) for _ in range(REFERENCE_CONFIGURATIONS)]
    found = [curves(drawn[first : first + _BATCH]) for first in range(0, len(drawn), _BATCH)]
    best_values = np.concatenate([values.max(axis=1) for values, _ in found])
    seconds = np.concatenate([spent.sum(axis=1) for _, spent in found])
    best, median, mean_seconds = float(best_values.max()), float(np.median(best_values)), float(seconds.mean())
    return Problem(suggest, suggest_before, curve, epochs, best, median, mean_seconds)
