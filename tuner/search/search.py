"""One search: searcher and scheduler working on the same trials, in the order in which results arrive."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.search.scheduler import Action, Decision, Scheduler
from tuner.search.searcher import Searcher
from tuner.search.trial import Proposal, TrialState


@dataclass
class _Running:
    proposal: Proposal
    best: float | None = None


class Search:
    """The state of a search, driven by three calls: `propose`, `report`, `end`.

    The same class runs under Ray, in a simulation and in a replay; it does no input or output and keeps no time.
    A trial's value is the best dev accuracy it has had, for the best epoch's weights are what is kept in the end.
    """

    def __init__(self, searcher: Searcher, scheduler: Scheduler, max_trials: int | None) -> None:
        """Search with `searcher` and `scheduler`; None means no limit to the trials."""
        self._searcher = searcher
        self._scheduler = scheduler
        self._max_trials = max_trials
        self._running: dict[int, _Running] = {}
        self._proposed = 0

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs, in epochs; the last is `max_epochs`."""
        return self._scheduler.levels

    @property
    def running(self) -> tuple[int, ...]:
        """The trials that have not ended, oldest first."""
        return tuple(self._running)

    def propose(self) -> Proposal | None:
        """Return a new RUNNING trial; None if `max_trials` were proposed or the space is exhausted."""
        if self._max_trials is not None and self._proposed >= self._max_trials:
            return None
        proposal = self._searcher.propose(self._proposed)
        if proposal is not None:
            self._enter(proposal)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        """Enter a proposal made by an earlier process, in the original order."""
        self._searcher.restore(proposal)
        self._enter(proposal)

    def report(self, number: int, epoch: int, value: float) -> Decision:
        """Take a RUNNING trial's value after `epoch` epochs; epochs arrive in order, each once."""
        trial = self._running[number]
        trial.best = value if trial.best is None else max(trial.best, value)
        if epoch in self._scheduler.levels:
            self._searcher.reached(number, epoch, trial.best)
        decision = self._scheduler.report(number, epoch, trial.best)
        if decision.action is not Action.CONTINUE:
            complete = decision.action is Action.COMPLETE
            self.end(number, TrialState.COMPLETE if complete else TrialState.PRUNED)
        return decision

    def end(self, number: int, state: TrialState) -> None:
        """End a RUNNING trial for a reason other than the scheduler's decision."""
        trial = self._running.pop(number)
        self._searcher.ended(number, state, trial.best)

    def _enter(self, proposal: Proposal) -> None:
        self._running[proposal.number] = _Running(proposal)
        self._proposed = proposal.number + 1
