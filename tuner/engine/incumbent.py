"""The trial that would win if the search ended now: whom `select` would choose, kept up with every result."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tuner.journal.events import EpochReported
from tuner.results.front import values_of
from tuner.results.selection import order
from tuner.search.objective import Objective
from tuner.search.report import rank, score_of

Scores = tuple[float, ...]
"""A score in each objective."""


@dataclass(frozen=True)
class _Record:
    """The best that a trial has shown."""

    rank: tuple[float, float] = (-math.inf, -math.inf)
    """Of its best epoch, as `report.rank` orders them."""
    scores: Scores | None = None
    """Of that epoch; None where the front is not asked, or one is not known."""


class Incumbent:
    """The best of the trials that can win.

    The work for a result does not grow with the trials, but where one of the best is taken out or, with several
    objectives, gets better in one of them and worse in another.
    """

    def __init__(self, objectives: Sequence[Objective], *, breaks_ties: bool = True) -> None:
        """Compare by `objectives` as `select` does; without `breaks_ties` the first of equals that came stays ahead."""
        self._objectives = objectives
        self._breaks_ties = breaks_ties
        self._records: dict[int, _Record] = {}
        """Of all trials that can win."""
        self._top = -math.inf
        """The best score by the first objective."""
        self._equals: set[int] = set()
        """The trials that have it."""
        self._first: int | None = None
        """Of these the one that comes first whatever the front is."""
        self._front: dict[Scores, int] = {}
        """The front of these, and who comes first of those with equal scores."""
        self._late: list[Scores] = []
        """The front of the trials that cannot be retrained in time: they have a place on the run's, but cannot win."""
        self.trial: int | None = None
        """Its number; None if no trial can win."""

    def take(self, event: EpochReported, measures: Mapping[str, float], *, can_win: bool) -> None:
        """Take an epoch of a trial with these `measures`; if it cannot be retrained in time, it cannot win any more."""
        trial = event.trial
        before, found = self._records.get(trial, _Record()), self._rank(event)
        is_better = found > before.rank
        self._records[trial] = _Record(found, self._scores(event, measures)) if is_better else before
        if not can_win:
            self.remove(trial, is_late=True)
        elif is_better:
            self._improve(trial, before)

    def remove(self, trial: int, *, is_late: bool) -> None:
        """Take out a trial that has failed or `is_late`: then others are still compared with what it has shown."""
        record = self._records.pop(trial, None)
        if record is None:
            return
        if is_late and record.scores is not None:
            self._late = _with(self._late, record.scores)
        if trial in self._equals:
            left = self._equals - {trial}
            if not left:
                self._top = max((one.rank[0] for one in self._records.values()), default=-math.inf)
                left = {number for number, one in self._records.items() if one.rank[0] == self._top}
            self._compare(left)
        self._choose()

    def _improve(self, trial: int, before: _Record) -> None:
        record = self._records[trial]
        score = record.rank[0]
        if score > self._top:
            self._top = score
            self._compare([trial])
        elif score == self._top and self._leaves_front(trial, before, record):
            self._compare({*self._equals, trial})
        elif score == self._top:
            self._join(trial)
        self._choose()

    def _leaves_front(self, trial: int, before: _Record, record: _Record) -> bool:
        """Whether there is a gap in the front now, which others may fill: not where it is better in every respect."""
        left, scores = before.scores, record.scores
        if left is None or self._front.get(left) != trial:
            return False
        return scores is None or (scores != left and not _is_better(scores, left))

    def _compare(self, equals: Collection[int]) -> None:
        """Compare anew those that are best by the first objective; of these the one that came first still does."""
        self._equals, self._front = set(), {}
        if self._first not in equals:
            self._first = None
        for trial in sorted(equals):
            self._join(trial)

    def _join(self, trial: int) -> None:
        """Compare a trial with the others that are best by the first objective."""
        self._equals.add(trial)
        if self._first is None or (self._breaks_ties and self._order(trial) > self._order(self._first)):
            self._first = trial
        scores = self._records[trial].scores
        if scores is None or any(_is_better(other, scores) for other in self._front):
            return
        self._front = {other: one for other, one in self._front.items() if not _is_better(scores, other)}
        ahead = self._front.get(scores)
        if ahead is None or self._order(trial) > self._order(ahead):
            self._front[scores] = trial

    def _choose(self) -> None:
        on_front = [
            trial for scores, trial in self._front.items() if not any(_is_better(late, scores) for late in self._late)
        ]
        self.trial = max(on_front, key=self._order, default=self._first)

    def _order(self, trial: int) -> tuple[float, bool, float, int]:
        """Return the trial's place among others that are on the front if it is, and are not if it is not."""
        return order(self._records[trial].rank, trial, on_front=False)

    def _rank(self, event: EpochReported) -> tuple[float, float]:
        if not self._breaks_ties:
            return score_of(event, self._objectives[0]), 0.0
        return rank(event, self._objectives[0])

    def _scores(self, event: EpochReported, measures: Mapping[str, float]) -> Scores | None:
        if not self._breaks_ties or len(self._objectives) == 1:
            return None
        values = values_of(event.metrics, measures, self._objectives)
        if values is None:
            return None
        return tuple(one.score(value) for one, value in zip(self._objectives, values, strict=True))


def _is_better(one: Scores, other: Scores) -> bool:
    """Whether one is at least as good in every objective and better in one."""
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def _with(front: Sequence[Scores], scores: Scores) -> list[Scores]:
    """Return the front with another point, if it is on it."""
    if any(other == scores or _is_better(other, scores) for other in front):
        return list(front)
    return [*(other for other in front if not _is_better(scores, other)), scores]
