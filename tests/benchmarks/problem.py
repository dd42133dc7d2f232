"""What is searched: a task of the surrogate or the power-law family, and what its best and usual values are."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna

from tests.benchmarks import lcbench, power_law
from tuner.search.quiet import quiet_study
from tuner.search.simulator import Curve
from tuner.search.space import Suggest

REFERENCE_CONFIGURATIONS = 6000


@dataclass(frozen=True)
class Problem:
    """One thing to search."""

    suggest: Suggest
    suggest_before: Suggest
    """Asks for less: of a space that was searched before this one."""
    curve: Callable[[Mapping[str, Any]], Curve]
    epochs: int
    best: float
    median: float
    mean_seconds: float
    """Of a full training."""


@lru_cache(maxsize=64)
def load_problem(surrogate: Path | None, task: str) -> Problem:
    """Return a task of the surrogate, or the power-law family, with its references worked out."""
    if surrogate is None:
        return _with_references(power_law.suggest, power_law.suggest_before, power_law.curve, power_law.EPOCHS)
    curve = lcbench.Surrogate(surrogate, int(task)).curve
    return _with_references(lcbench.suggest, lcbench.suggest_before, curve, lcbench.EPOCHS)


def _with_references(
    suggest: Suggest, suggest_before: Suggest, curve: Callable[[Mapping[str, Any]], Curve], epochs: int
) -> Problem:
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    curves = [curve(suggest(study.ask())) for _ in range(REFERENCE_CONFIGURATIONS)]
    best_values = [max(one.values) for one in curves]
    best, median = max(best_values), statistics.median(best_values)
    seconds = statistics.fmean(sum(one.seconds) for one in curves)
    return Problem(suggest, suggest_before, curve, epochs, best, median, seconds)
