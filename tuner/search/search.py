"""One search: searcher and scheduler working on the same trials, in the order in which results arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.search.convergence import Convergence
from tuner.search.scheduler import Action, Decision, Scheduler
from tuner.search.searcher import NO_METRICS, Searcher
from tuner.search.trial import Origin, Proposal, TrialState


@dataclass
class _Unfinished:
    proposal: Proposal
    best: float | None = None
    """The best score so far."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the epoch that had it."""


class Search:
    """The state of a search, driven by five calls: `next_trial`, `measured`, `timed`, `report`, `end`.

    The same class runs under Ray, in a simulation and in a replay; it does no input or output and keeps no time.
    A trial is worth the best score it has had, for the best epoch's state is what is kept in the end. Higher scores are
    better (`Objective.score`).
    """

    def __init__(
        self,
        searcher: Searcher,
        scheduler: Scheduler,
        max_trials: int | None,
        foreseen_trials: int | None = None,
        *,
        protect_starts: bool = True,
        convergence: Convergence | None = None,
        best_goes_on: bool = True,
    ) -> None:
        """Search with `searcher` and `scheduler`.

        `max_trials` None means no limit to the trials. Then a guess at their number, `foreseen_trials`, says which
        paused trials are out of reach; without a guess none ever is. `protect_starts` lets the space's start
        configurations go on from the first rung; see `Scheduler.start`. `convergence`, if there is one, says from when
        on nothing new is proposed. `best_goes_on` lets the best of a rung go on when there is nothing else to do; see
        `Scheduler.promote_best`.
        """
        self._searcher = searcher
        self._scheduler = scheduler
        self._max_trials = max_trials
        self._foreseen_trials = max_trials if max_trials is not None else foreseen_trials
        self._protect_starts = protect_starts
        self._convergence = convergence
        self._best_goes_on = best_goes_on
        self._running: dict[int, _Unfinished] = {}
        self._paused: dict[int, _Unfinished] = {}
        self._proposed = 0
        self._exhausted = False

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs, in epochs; the last is `max_epochs`."""
        return self._scheduler.levels

    @property
    def running(self) -> Collection[int]:
        """The RUNNING trials."""
        return self._running.keys()

    @property
    def paused(self) -> Collection[int]:
        """The PAUSED trials."""
        return self._paused.keys()

    @property
    def converged(self) -> str | None:
        """Why nothing new is proposed, if that is because the search has converged and not for want of trials."""
        return None if self._convergence is None or self._has_all_trials else self._convergence.reason

    @property
    def is_through(self) -> bool:
        """Whether there is nothing left to give out, also if there were time: no PAUSED trial and no new one."""
        return not self._paused and (self._exhausted or self._has_all_trials or self.converged is not None)

    def next_trial(self) -> Proposal | None:
        """Return the trial to run next, RUNNING from now on: a PAUSED one that is promoted, else a new one.

        If there is neither and none is RUNNING, the best of a rung. None if there is none now: `max_trials` were
        proposed, the space is exhausted or the search has converged, and no paused trial has earned its promotion; a
        later result may change the latter.
        """
        promoted = self._scheduler.promote()
        if promoted is not None:
            return self._go_on(promoted)
        proposal = self._propose()
        if proposal is not None or self._running or not self._best_goes_on:
            return proposal
        best = self._scheduler.promote_best()
        return None if best is None else self._go_on(best)

    def restore(self, proposal: Proposal) -> None:
        """Enter a proposal made by an earlier process, in the original order."""
        self._searcher.restore(proposal)
        self._enter(proposal)

    def resume(self, number: int) -> None:
        """Take note that an earlier process promoted a PAUSED trial."""
        self._scheduler.resume(number)
        self._go_on(number)

    def asked(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, str]) -> None:
        """Take what a RUNNING trial asked for as it ran; that is its configuration."""
        self._searcher.asked(number, params, distributions)
        self._exhausted = False  # the space may be larger than was known

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """Take what was measured of a RUNNING trial's model, once, before its first report."""
        self._searcher.measured(number, measures)

    def timed(self, number: int, seconds: float) -> None:
        """Take what the first epoch of a RUNNING trial took."""
        self._searcher.timed(number, seconds)

    def report(self, number: int, epoch: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> Decision:
        """Take a RUNNING trial's score after `epoch` epochs, and the metrics in which other objectives are.

        Epochs arrive in order, each once.
        """
        trial = self.between(number, score, metrics)
        assert trial.best is not None
        if epoch in self._scheduler.levels:
            self._searcher.reached(number, epoch, trial.best, trial.metrics)
        decision = self._scheduler.report(number, epoch, trial.best)
        match decision.action:
            case Action.PAUSE:
                self._paused[number] = self._running.pop(number)
                self._searcher.paused(number)
            case Action.STOP:
                self._leave(number, TrialState.PRUNED)
            case Action.COMPLETE:
                self._leave(number, TrialState.COMPLETE)
        return decision

    def between(self, number: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> _Unfinished:
        """Take a RUNNING trial's score on its way to a rung, where nothing is decided."""
        trial = self._running[number]
        if trial.best is None or score > trial.best:
            trial.best, trial.metrics = score, metrics
        return trial

    def give_up(self, end: Callable[[int], object] | None = None) -> None:
        """End the PAUSED trials that can no longer be promoted.

        `end` ends one of them, and calls `Search.end` for it, where more than that is to be done.
        """
        # One given up at a low rung can no longer help those above to more places.
        while unpromotable := self._unpromotable():
            for number in unpromotable:
                if end is None:
                    self.end(number, TrialState.PRUNED)
                else:
                    end(number)

    def end(self, number: int, state: TrialState) -> None:
        """End an unfinished trial for a reason other than the scheduler's decision."""
        self._scheduler.end(number)
        self._leave(number, state)

    def _unpromotable(self) -> list[int]:
        if self._foreseen_trials is None:
            return []
        to_come = max(0, self._foreseen_trials - self._proposed)
        return self._scheduler.unpromotable(to_come, best_goes_on=self._best_goes_on)

    @property
    def _has_all_trials(self) -> bool:
        return self._max_trials is not None and self._proposed >= self._max_trials

    def _propose(self) -> Proposal | None:
        if self._exhausted or self._has_all_trials or self.converged is not None:
            return None
        proposal = self._searcher.propose(self._proposed)
        if proposal is None:
            self._exhausted = True
        else:
            self._enter(proposal)
        return proposal

    def _enter(self, proposal: Proposal) -> None:
        self._running[proposal.number] = _Unfinished(proposal)
        self._proposed = proposal.number + 1
        if self._convergence is not None:
            self._convergence.take(proposal.expected_improvement)
        protected = self._protect_starts and proposal.origin is Origin.START
        self._scheduler.start(proposal.number, protected=protected)

    def _go_on(self, number: int) -> Proposal:
        self._running[number] = self._paused.pop(number)
        self._searcher.resumed(number)
        return self._running[number].proposal

    def _leave(self, number: int, state: TrialState) -> None:
        trial = self._running.pop(number, None) or self._paused.pop(number)
        self._searcher.ended(number, state, trial.best, trial.metrics)
