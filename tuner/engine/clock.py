"""How the time of a budget is shared between search and retraining."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CLOSING_SECONDS = 20.0
"""Selecting, evaluating, writing tables and the report."""
_FINAL_EVALUATION_EPOCHS = 0.3
"""Evaluating train, dev and test once costs about this share of an epoch of training."""


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return the seconds that jobs of the given lengths take on `workers` workers, longest first."""
    finish = [0.0] * workers
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(finish, finish[0] + length)
    return max(finish)


@dataclass(frozen=True)
class RetrainLoad:
    """The trainings that follow the search."""

    tuned: int
    """Retrainings of the winner."""
    baseline: int
    """Retrainings of the untuned reference."""
    max_epochs: int
    workers: int

    def seconds(self, tuned_epoch: float, baseline_epoch: float) -> float:
        """Return the seconds it takes, given the seconds of one epoch of either kind."""
        epochs = self.max_epochs + _FINAL_EVALUATION_EPOCHS
        jobs = [tuned_epoch * epochs] * self.tuned + [baseline_epoch * epochs] * self.baseline
        return makespan(jobs, self.workers) + CLOSING_SECONDS


class BudgetClock:
    """Says when the search must end so that the retraining of the incumbent still fits the budget.

    The reserve follows the incumbent: a cheap winner leaves more time to search.
    """

    def __init__(
        self, budget: float | None, load: RetrainLoad, reference_epoch: float, elapsed: Callable[[], float]
    ) -> None:
        """Share `budget` seconds (None: no limit); `elapsed` counts the seconds worked on the run."""
        self._budget = budget
        self._load = load
        self._reference_epoch = reference_epoch
        self._incumbent_epoch = reference_epoch
        self._elapsed = elapsed

    def incumbent_changed(self, seconds_per_epoch: float) -> None:
        """Take note of what an epoch of the best trial so far costs."""
        self._incumbent_epoch = seconds_per_epoch

    @property
    def search_seconds_left(self) -> float:
        """Seconds until the search must end; infinite without a budget."""
        return self.seconds_left_for(self._incumbent_epoch)

    def seconds_left_for(self, seconds_per_epoch: float) -> float:
        """Return the seconds until a winner of this cost could no longer be retrained in time."""
        if self._budget is None:
            return float("inf")
        return self._budget - self._load.seconds(seconds_per_epoch, self._reference_epoch) - self._elapsed()
