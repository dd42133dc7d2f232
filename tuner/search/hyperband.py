"""Asynchronous Hyperband: several ASHAs side by side, each beginning to compare one rung later than the one before.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018. It hedges against early
results that mislead: the last bracket trains every trial to its end.
"""

from __future__ import annotations

from collections import Counter

from tuner.search.asha import Asha
from tuner.search.objective import Objective
from tuner.search.rungs import mean_epochs
from tuner.search.scheduler import Decision, Scheduler


def mean_epochs_of_brackets(levels: tuple[int, ...], reduction_factor: int, trials: int | None = None) -> float:
    """Return the epochs of a mean one of `trials` over all brackets; None: of many, so that all train about as many."""
    costs = _costs(levels, reduction_factor)
    if trials is None:
        return len(costs) / sum(1.0 / cost for cost in costs)
    given = [0.0] * len(costs)
    counts = Counter(_give(given, costs) for _ in range(trials))
    total = sum(
        count * mean_epochs(levels[bracket:], reduction_factor, count) for bracket, count in sorted(counts.items())
    )
    return total / trials


def _give(given: list[float], costs: list[float]) -> int:
    """Return the bracket that will have had the least with the next trial, and count its cost with what it has."""
    after = [before + cost for before, cost in zip(given, costs, strict=True)]
    bracket = after.index(min(after))
    given[bracket] = after[bracket]
    return bracket


def _costs(levels: tuple[int, ...], reduction_factor: int) -> list[float]:
    """Return the epochs of an average trial of each bracket."""
    return [mean_epochs(levels[first:], reduction_factor) for first in range(len(levels))]


class Hyperband(Scheduler):
    """Gives each new trial to the bracket that has had the least, so that all brackets train about as many epochs.

    Trials are compared within their bracket alone.
    """

    def __init__(self, levels: tuple[int, ...], reduction_factor: int, objective: Objective) -> None:
        """Take the levels of the first bracket (from `rung_levels`); the others begin at its later levels."""
        self._levels = levels
        self._brackets = [Asha(levels[first:], reduction_factor, objective) for first in range(len(levels))]
        self._cost = _costs(levels, reduction_factor)
        """Of an average trial, in epochs."""
        self._given = [0.0] * len(levels)
        """By bracket, the cost of the trials it was given."""
        self._bracket_of: dict[int, int] = {}
        """By unfinished trial."""

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs of the first bracket, which has them all; the last is `max_epochs`."""
        return self._levels

    def start(self, trial: int, *, protected: bool = False) -> None:
        """See `Scheduler.start`."""
        bracket = _give(self._given, self._cost)
        self._bracket_of[trial] = bracket
        self._brackets[bracket].start(trial, protected=protected)

    def report(self, trial: int, epoch: int, score: float) -> Decision:
        """Decide within the trial's bracket; see `Scheduler.report`."""
        decision = self._brackets[self._bracket_of[trial]].report(trial, epoch, score)
        if not decision.goes_on:
            self.end(trial)
        return decision

    def end(self, trial: int) -> None:
        """See `Scheduler.end`."""
        del self._bracket_of[trial]
