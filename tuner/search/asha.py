"""ASHA: stop a trial at a rung unless it is among the best fraction of those that got there.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in the stopping variant.
"""

from __future__ import annotations

from bisect import insort

from tuner.search.objective import Objective
from tuner.search.scheduler import PROTECTED, Action, Decision, Scheduler, after_all


class Asha(Scheduler):
    """Asynchronous successive halving that stops and never waits.

    A trial goes on from a rung if its score is among the best max(1, n // reduction_factor) of the n scores seen there
    so far, its own included: the first to arrive always goes on. Earlier decisions are never revised.
    """

    def __init__(self, levels: tuple[int, ...], reduction_factor: int, objective: Objective) -> None:
        """Compare at `levels` (from `rung_levels`) by `objective`; `reduction_factor` is at least 2."""
        self._levels = levels
        self._reduction_factor = reduction_factor
        self._objective = objective
        self._scores: dict[int, list[float]] = {level: [] for level in levels}
        self._protected: set[int] = set()

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs; the last is `max_epochs`."""
        return self._levels

    def start(self, trial: int, *, protected: bool = False) -> None:
        """See `Scheduler.start`."""
        if protected:
            self._protected.add(trial)

    def report(self, trial: int, epoch: int, score: float) -> Decision:
        """Decide for one trial; see `Scheduler.report`."""
        if epoch not in self._scores:
            return Decision(Action.CONTINUE)
        ranked = self._scores[epoch]
        insort(ranked, score)
        shown = self._objective.text_of_score(score)
        if epoch == self._levels[-1]:
            return Decision(Action.COMPLETE, after_all(shown, epoch))
        kept = max(1, len(ranked) // self._reduction_factor)
        cutoff = ranked[-kept]
        results = "1 result" if len(ranked) == 1 else f"{len(ranked)} results"
        if score >= cutoff:
            return Decision(Action.CONTINUE, f"{shown} is in the best {kept} of {results}")
        comparison = f"{shown} {self._objective.worse_sign} {self._objective.text_of_score(cutoff)}"
        below = f"{comparison}, the cutoff of the best {kept} of {results}"
        if trial in self._protected and epoch == self._levels[0]:
            return Decision(Action.CONTINUE, f"{below}, but {PROTECTED}")
        return Decision(Action.STOP, below)
