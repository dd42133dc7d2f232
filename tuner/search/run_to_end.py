"""No early stopping: every trial has all its epochs."""

from __future__ import annotations

from tuner.search.objective import Objective
from tuner.search.scheduler import Action, Decision, Scheduler, after_all


class RunToEnd(Scheduler):
    """Lets every trial train to the last level; the other levels only inform the searcher."""

    def __init__(self, levels: tuple[int, ...], objective: Objective) -> None:
        """Take the levels at which results of `objective` are recorded; the last is `max_epochs`."""
        self._levels = levels
        self._objective = objective

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels at which results are recorded."""
        return self._levels

    def report(self, trial: int, epoch: int, score: float) -> Decision:
        """Complete the trial at the last level; see `Scheduler.report`."""
        if epoch >= self._levels[-1]:
            return Decision(Action.COMPLETE, after_all(self._objective.text_of_score(score), epoch))
        return Decision(Action.CONTINUE)
