"""How the time of a budget is shared between search and retraining."""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tuner.journal.events import EpochReported

CLOSING_SECONDS = 20.0
"""Selecting, evaluating, writing tables and the report."""
GRACE = 0.02
"""Of a budget: by so much a retraining may exceed it rather than lose a seed or its last epochs."""
FINAL_EVALUATION_EPOCHS = 0.3
"""Evaluating train, dev and test once costs about this share of an epoch of training."""


def makespan(seconds: Sequence[float], workers: int, busy: Sequence[float] = ()) -> float:
    """Return the seconds that jobs of the given lengths take on `workers` workers, longest first.

    Before them come those that workers are still `busy` with.
    """
    lengths = (*sorted(busy, reverse=True), *sorted(seconds, reverse=True))
    finish = [0.0] * min(workers, max(1, len(lengths)))  # of a thousand workers most have nothing to do
    for length in lengths:
        heapq.heapreplace(finish, finish[0] + length)
    return max(finish)


@dataclass(frozen=True)
class RetrainLoad:
    """The trainings that follow the search."""

    tuned: int
    """Retrainings of the winner."""
    baseline: int
    """Retrainings of the untuned reference."""
    least_epochs: int
    """Each gets at least."""
    workers: int
    most_epochs: int | None = None
    """Each gets at most, if there is time; None: neither more nor fewer than the least."""

    def seconds(self, tuned_epoch: float, baseline_epoch: float, epochs: int | None = None) -> float:
        """Return the seconds that `epochs` of each take, by default the least, given the seconds of one of either."""
        length = (self.least_epochs if epochs is None else epochs) + FINAL_EVALUATION_EPOCHS
        jobs = [tuned_epoch * length] * self.tuned + [baseline_epoch * length] * self.baseline
        return makespan(jobs, self.workers) + CLOSING_SECONDS

    def share_seconds(self, share: float, tuned_epoch: float, baseline_epoch: float) -> float:
        """Return the seconds to keep of `share` seconds: what the least takes, and of the rest what the most would."""
        least = self.seconds(tuned_epoch, baseline_epoch)
        most = self.seconds(tuned_epoch, baseline_epoch, self.most_epochs)
        return max(least, min(share, most))


class EpochCost:
    """What an epoch of one training costs: the median, of an even number the lower one.

    So one slow epoch, for which the machine may have had its reasons, changes nothing.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._seconds: list[float] = []
        self._relative_cost = 1.0

    def add(self, seconds: float) -> None:
        """Take note of an epoch."""
        insort(self._seconds, seconds)

    @property
    def median(self) -> float | None:
        """Seconds of an epoch; None before the first."""
        return self._seconds[(len(self._seconds) - 1) // 2] if self._seconds else None

    def take(self, report: EpochReported) -> None:
        """Take note of a trial's epoch; of one that was taken over from another machine, its relative cost."""
        if not report.reused:
            self.add(report.seconds)
        elif report.relative_cost is not None:
            self._relative_cost = report.relative_cost

    def here(self, reference_epoch: float) -> float:
        """Return the seconds of an epoch here, where one of the first configuration takes `reference_epoch`."""
        return reference_epoch * self._relative_cost if self.median is None else self.median


class BudgetClock:
    """Says when the search must end so that the retraining of the incumbent still fits the budget.

    The reserve follows the incumbent: a cheap winner leaves more time to search.
    """

    def __init__(
        self,
        budget: float | None,
        load: RetrainLoad,
        reference_epoch: float,
        elapsed: Callable[[], float],
        retrain_seconds: float = 0.0,
    ) -> None:
        """Share `budget` seconds (None: no limit); `elapsed` counts the seconds worked on the run.

        `retrain_seconds` of the budget are for the retraining, if that can make use of them.
        """
        self._budget = budget
        self._load = load
        self.reference_epoch = reference_epoch
        """Seconds of an epoch of what nothing is known of, and of the baseline."""
        self._incumbent_epoch: float | None = None
        self._elapsed = elapsed
        self._moment: float | None = None
        """Seconds worked on the run when it is asked as of then."""
        self._retrain_seconds = retrain_seconds

    def incumbent_changed(self, seconds_per_epoch: float | None) -> None:
        """Take note of what an epoch of the best trial so far costs; None if there is none any more."""
        self._incumbent_epoch = seconds_per_epoch

    @property
    def search_seconds_left(self) -> float:
        """Seconds until the search must end; infinite without a budget."""
        if self._budget is None:
            return float("inf")
        tuned_epoch = self.reference_epoch if self._incumbent_epoch is None else self._incumbent_epoch
        kept = self._load.share_seconds(self._retrain_seconds, tuned_epoch, self.reference_epoch)
        return self._budget - kept - self._seconds_worked

    def can_retrain(self, seconds_per_epoch: float) -> bool:
        """Whether a winner of this cost could still have the least that every retraining gets.

        What is no dearer than the incumbent can: its time is kept.
        """
        if self._budget is None:
            return True
        if self._incumbent_epoch is not None and seconds_per_epoch <= self._incumbent_epoch:
            return True
        return self._budget - self._load.seconds(seconds_per_epoch, self.reference_epoch) - self._seconds_worked > 0

    @contextmanager
    def at(self, moment: float | None) -> Iterator[None]:
        """Answer as of the time when so many seconds had been worked on the run; None: as of now."""
        before, self._moment = self._moment, moment
        try:
            yield
        finally:
            self._moment = before

    @property
    def _seconds_worked(self) -> float:
        return self._elapsed() if self._moment is None else self._moment
