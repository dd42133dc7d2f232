"""The driver's part of a search: first write down what happened, then let the search act on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuner.engine.clock import BudgetClock, EpochCost
from tuner.engine.incumbent import Incumbent
from tuner.engine.known_results import KnownResults
from tuner.engine.outcome import FORGIVEN_NODES
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    DriverStarted,
    EpochReported,
    Event,
    ModelMeasured,
    ParamsAsked,
    RungDecided,
    SearchEnded,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
)
from tuner.journal.history import TrialHistory
from tuner.journal.store import Entry
from tuner.results.wording import last_line
from tuner.search.objective import Objective
from tuner.search.pace import Pace
from tuner.search.report import EpochReport, Reported, fault_of, finite, last_improvement, score_of
from tuner.search.rules import TODAYS, Rules
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.seeds import Stream, derive_seed
from tuner.search.trial import Proposal, TrialState

Record = Callable[..., object]
"""Takes events; when it returns they are on the disk."""

INTERRUPTED = "interrupted"
"""The reason when a person ends the search."""
INFEASIBLE = "infeasible as it ran: "
"""How the reason of a trial begins whose training declared its configuration impossible."""
TIME_IS_OVER = "the time for the search is over"
ALL_ENDED = "all trials have ended"

_HOPELESS_FAILURES = 3
"""If this many trials failed and none ever reported, the fault is not the configurations'."""
_HOPELESS_REFUSALS = 300
"""If this many trials in a row were refused as they ran, without a report between them, there is little else to be met.

So many draws a searcher makes where the space itself refuses; if one in a hundred is possible, 95% of searches meet it.
"""


class Coordinator:
    """Gives out trials and takes their results, journal first; constant work for each.

    Results of one trial arrive in the order of its epochs. An epoch that arrives again (a trial taken up from a
    checkpoint reports what it holds) is ignored.
    """

    def __init__(
        self,
        search: Search,
        record: Record,
        clock: BudgetClock,
        *,
        objectives: Sequence[Objective],
        workers: int,
        seed: int,
        discard: Callable[[Sequence[int]], None],
        known: KnownResults | None = None,
        pace: Pace | None = None,
        rules: Rules = TODAYS,
    ) -> None:
        """Conduct `search`, with at most `workers` trials at a time, writing with `record`.

        A trial must report each of the `objectives` that is a metric; by the first, trials are compared. `discard` is
        told which trials have ended, once that is written; what was kept for them may go. `known` are the results of an
        earlier run, which stand for the training of an equal configuration. `pace` says when a trial reaches a rung.
        `rules` are those that the run was begun with.
        """
        self._search = search
        self._record = record
        self._clock = clock
        self._objectives = objectives
        self._objective = objectives[0]
        self.workers = workers
        """Trials that may be RUNNING at a time."""
        self._seed = seed
        self._discard = discard
        self._known = known or KnownResults(None, search.levels[-1])
        self._pace = pace or Pace(search.levels)
        self._gives_up_at_once = rules.gives_up_at_once
        self._asks_as_of_then = rules.asks_as_of_then
        self._trials: dict[int, TrialHistory] = {}
        """The RUNNING and PAUSED trials."""
        self._orphans: list[int] = []
        """RUNNING trials that an earlier driver left or Ray gave up, to be given out again."""
        self._incumbent = Incumbent(objectives, breaks_ties=rules.breaks_ties)
        self._costs: dict[int, EpochCost] = {}
        """Of all trials that can win."""
        self._has_report = False
        """Whether any trial has finished an epoch."""
        self._late: set[int] = set()
        """The trials that could not be retrained in time when the clock was asked: one wins if there is no other."""
        self._restoring = False
        self._first_rung_seconds: float | None = None
        """The least that a trial needs to the first rung: from a dear one nothing follows for the next."""
        self._failures: list[str] = []
        """Why trials failed."""
        self._refusals: list[str] = []
        """Why trials were refused as they ran, since the last report."""
        self._nothing_to_give = False
        self._stop_reason: str | None = None

    # What the search asks of Ray.

    @property
    def is_stopping(self) -> bool:
        """Whether all trials must end now."""
        if self._stop_reason is None and self._clock.search_seconds_left <= 0:
            self.stop(TIME_IS_OVER)
        return self._stop_reason is not None

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be given out: there is none now, and no result to come that could change it."""
        return self._nothing_to_give and not self._search.running

    @property
    def has_winner(self) -> bool:
        """Whether there is a trial to retrain if the search ends now: one has finished an epoch and has not failed."""
        return self._incumbent.trial is not None or bool(self._late)

    def max_epochs(self, trial: int) -> int:
        """Return the epochs that a trial cannot exceed."""
        return self._pace.limit(trial)

    @property
    def unfinished(self) -> tuple[int, ...]:
        """The trials that have not ended, RUNNING or PAUSED."""
        return tuple(self._trials)

    @property
    def orphans(self) -> tuple[int, ...]:
        """The RUNNING trials that an earlier driver left or Ray gave up, and that have not been given out again."""
        return tuple(self._orphans)

    def stop(self, reason: str) -> None:
        """End the search: unfinished trials end PRUNED with this reason, none begins."""
        self._stop_reason = self._stop_reason or reason

    def next_trial(self) -> TrialHistory | None:
        """Return a trial to run, None if none is to begin now.

        It is one that an earlier driver left, else a paused one that is promoted, else a new one, else the best of a
        rung; all but the new ones go on from their checkpoint. What is known of a trial from an earlier run is taken
        over first; it may be all.
        """
        while (trial := self._next_trial()) is not None:
            if trial.proposed.infeasible is not None:
                self._end(_refusal(trial))
                self._give_up_after_end()
            elif self._take_over(trial):
                return trial
        return None

    def _next_trial(self) -> TrialHistory | None:
        if self._orphans:
            return self._trials[self._orphans.pop(0)]
        if self.is_stopping or len(self._search.running) >= self.workers:
            return None
        if self._is_hopeless and self._search.running:
            return None  # they will tell
        proposal = self._search.next_trial() if self._is_time else None
        self._nothing_to_give = proposal is None
        if proposal is None:
            return None
        if proposal.number in self._trials:
            self._record(TrialPromoted(proposal.number))
            return self._trials[proposal.number]
        return self._begin(proposal)

    @property
    def _is_time(self) -> bool:
        """Whether a trial could reach the first rung in the time left; one that cannot could not change the result."""
        return self._clock.search_seconds_left > (self._first_rung_seconds or 0.0)

    def _take_over(self, trial: TrialHistory) -> bool:
        """Take what an earlier run reported of an equal trial; return whether the trial then goes on to be trained.

        It is trained from its first epoch, for its checkpoints are gone; what it reports again is ignored.
        """
        hparams = trial.proposed.hparams
        self.measured(trial.number, self._known.measures(hparams))
        relative_cost = self._known.relative_cost(hparams)
        for report in self._known.reports(hparams)[len(trial.epochs) :]:
            last = self._known.is_last(hparams, report.epoch)
            event = _reported(trial.number, report, report.worker, last)
            if self._accept(replace(event, reused=True, relative_cost=relative_cost)) is not Action.CONTINUE:
                return False
        return True

    # What Ray reports.

    def asked(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, str]) -> None:
        """Take what a trial has asked for as it ran, before its report; told again, only what is new counts."""
        known = self._trials.get(trial)
        if known is None or (known.proposed.params == params and known.proposed.distributions == distributions):
            return
        # A call that begins again, after its worker or driver died, has at first asked for less than before.
        if known.epochs and params.items() <= known.proposed.params.items():
            return
        event = ParamsAsked(trial, dict(params), dict(distributions))
        self._record(event)
        self._note_asked(event)

    def measured(self, trial: int, measures: Mapping[str, float]) -> None:
        """Take what was measured of a trial's model, by the names of `MEASURES`; what was measured first stays."""
        known = self._trials.get(trial)
        if known is None or known.measures or not measures:
            return
        event = ModelMeasured(trial, dict(measures))
        self._record(event)
        self._note_measures(event)

    def report(self, trial: int, report: EpochReport, worker: str, finished: bool) -> Action:
        """Take an epoch's report; return what the trial does next. One without a finite objective fails its trial."""
        if self._has_failed_by(trial, report):
            return Action.STOP
        return self._accept(_reported(trial, report, worker, finished))

    def take(self, event: EpochReported) -> Action:
        """Take an epoch's report as the journal holds it; otherwise as `report`."""
        return Action.STOP if self._has_failed_by(event.trial, event) else self._accept(event)

    def _accept(self, event: EpochReported) -> Action:
        """Take a report that has what it must have."""
        known = self._trials.get(event.trial)
        if known is None:
            return Action.STOP
        consequences: list[Event] = []
        if event.epoch not in known.epochs:
            self._record(event)
            consequences = self._consequences(known, event)
        self._write_consequences(known, consequences, event.finished)
        if consequences:
            self._give_up_unpromotable()
        elif event.trial not in self._trials:
            self._give_up_after_end()
        if event.trial not in self._trials:
            return Action.STOP
        return Action.PAUSE if event.trial in self._search.paused else Action.CONTINUE

    def _has_failed_by(self, trial: int, report: Reported) -> bool:
        """Fail a trial by a report that cannot be right; return whether it was."""
        fault = fault_of(report, self._objectives)
        if fault is not None:
            self.fail(trial, fault)
        return fault is not None

    def fail(self, trial: int, reason: str, error: str | None = None) -> None:
        """Take the end of a trial by its own fault; `error` is the worker's traceback."""
        if trial not in self._trials:
            return
        self._end(TrialEnded(trial, TrialState.FAILED, reason, error))
        self._count_failure(reason)
        self._give_up_unpromotable()

    def refuse(self, trial: int, reason: str) -> None:
        """Take the end of a trial whose training declares its configuration impossible."""
        if trial in self._trials:
            self._end(TrialEnded(trial, TrialState.PRUNED, f"{INFEASIBLE}{reason}"))
            self._count_refusal(reason)
            self._give_up_unpromotable()

    def lose_worker(self, trial: int, error: str, *, charged: bool, max_failures: int) -> bool:
        """Take the death of a trial's worker; return whether the trial is taken up again, else it has failed.

        `charged` says whether it is the trial's own doing; `max_failures` times that is forgiven, by whichever driver.
        One that loses node after node takes them down itself, with their memory say.
        """
        known = self._trials.get(trial)
        if known is None:
            return False
        epochs = len(known.epochs)
        nodes = sum(not retry.charged and retry.epochs == epochs for retry in known.retries)
        charged = charged or nodes >= FORGIVEN_NODES
        failures = sum(retry.charged for retry in known.retries)
        if charged and failures >= max_failures:
            self.fail(trial, f"its worker failed {failures + 1} times: {last_line(error)}", error)
            return False
        event = TrialRetried(trial, error, charged, epochs)
        self._record(event)
        known.retries.append(event)
        return True

    def give_out_again(self, trial: int) -> None:
        """Take back a RUNNING trial that Ray has given up; `next_trial` will return it."""
        if trial in self._trials and trial not in self._orphans:
            self._orphans.append(trial)

    def finish(self) -> None:
        """End the search: whatever has not ended is PRUNED."""
        left = self._clock.search_seconds_left
        reason = self._why_over
        has_converged = reason == self._search.converged
        # In one go: on a busy or a distant disk, each writing down of its own takes time from the retraining.
        self._end_all([TrialEnded(trial, TrialState.PRUNED, reason) for trial in self.unfinished])
        self._record(SearchEnded(reason, max(0.0, left) if has_converged and math.isfinite(left) else None))

    @property
    def _why_over(self) -> str:
        if self._stop_reason is not None:
            return self._stop_reason
        if self._search.converged is not None:
            return self._search.converged
        return ALL_ENDED if self._is_time or self._search.is_through else TIME_IS_OVER

    # Resume.

    def restore(self, entries: Sequence[Entry]) -> None:
        """Replay an earlier driver's events; trials it left RUNNING are given out again.

        A driver may die between writing a result and writing what followed from it. That is written now, by what the
        clock said when the result came. In older runs the clock is asked how late it is now, and only if something else
        followed.
        """
        results: dict[int, _Result] = {}
        """By trial, its last."""
        self._restoring = True
        for entry in entries:
            match entry.event:
                case TrialProposed() as event:
                    self._search.restore(event.proposal())
                    self._trials[event.trial] = TrialHistory(event, self._objective)
                case ModelMeasured() as event if event.trial in self._trials:
                    self._note_measures(event)
                case ParamsAsked() as event if event.trial in self._trials:
                    self._note_asked(event)
                case EpochReported() as event:
                    leader, history = self._incumbent.trial, self._trials[event.trial]
                    unwritten = self._consequences(history, event)
                    results[event.trial] = _Result(history, entry.elapsed, leader, unwritten)
                case TrialPromoted() as event:
                    self._search.resume(event.trial)
                case RungDecided() as event:
                    _cross_off(results, event)
                case TrialRetried() as event if event.trial in self._trials:
                    self._trials[event.trial].retries.append(event)
                case TrialEnded() as event:
                    _cross_off(results, event)
                    self._restore_end(event)
        self._restoring = False
        last = _last_result(entries) if self._asks_as_of_then else None
        for trial, result in results.items():
            if result.unwritten or (trial in self._trials and (result.history.is_finished or trial == last)):
                self._settle(result)
        for known in list(self._trials.values()):
            if known.proposed.infeasible is not None:
                self._end(_refusal(known))
        self._give_up_unpromotable()
        self._orphans = sorted(self._search.running)

    def _settle(self, result: _Result) -> None:
        """Write what follows from a result, its driver having died before it could."""
        trial = result.history.number
        with self._clock.at(result.elapsed if self._asks_as_of_then else None):
            if self._incumbent.trial == trial and result.leader != trial:
                self._ask_clock(trial, result.leader)
            self._write_consequences(result.history, result.unwritten, result.history.is_finished)

    def _restore_end(self, event: TrialEnded) -> None:
        if event.trial in self._trials:
            self._search.end(event.trial, event.state)
            del self._trials[event.trial]
        self._pace.forget(event.trial)
        self._bar_loser(event)
        if event.state is TrialState.FAILED:
            self._count_failure(event.reason)
        elif event.reason.startswith(INFEASIBLE):
            self._count_refusal(event.reason.removeprefix(INFEASIBLE))

    def _begin(self, proposal: Proposal) -> TrialHistory:
        seed = self._known.seed(proposal.hparams)
        if seed is None:
            seed = derive_seed(self._seed, Stream.TRAINING, proposal.number)
        event = TrialProposed(
            proposal.number,
            proposal.params,
            proposal.distributions,
            proposal.hparams,
            proposal.origin,
            seed,
            proposal.infeasible,
            proposal.expected_improvement,
        )
        self._record(event)
        self._trials[event.trial] = TrialHistory(event, self._objective)
        return self._trials[event.trial]

    def _note_asked(self, event: ParamsAsked) -> None:
        self._trials[event.trial].ask(event)
        self._search.asked(event.trial, event.params, event.distributions)
        self._nothing_to_give = False  # of the space more may be known

    def _note_measures(self, event: ModelMeasured) -> None:
        self._trials[event.trial].measures = event.measures
        self._search.measured(event.trial, event.measures)

    def _write(self, events: Sequence[Event]) -> None:
        """Write events down and let go of what the trials that they end have left."""
        if not events:
            return
        self._record(*events)
        ended = [event.trial for event in events if isinstance(event, TrialEnded)]
        for trial in ended:
            self._pace.forget(trial)
        if ended:
            self._discard(ended)

    def _give_up_unpromotable(self) -> None:
        """End the paused trials that can no longer be promoted; their checkpoints would only fill the disk."""
        self._search.give_up(lambda trial: self._end(TrialEnded(trial, TrialState.PRUNED, "out of reach at its rung")))

    def _give_up_after_end(self) -> None:
        """Do so after a trial ended between rungs: fewer will come to the next. Older runs waited until one did."""
        if self._gives_up_at_once:
            self._give_up_unpromotable()

    def _consequences(self, trial: TrialHistory, event: EpochReported) -> list[Event]:
        """Let the search act on a result and return the events that follow from it."""
        trial.epochs[event.epoch] = event
        self._pace.note(event.trial, event.epoch, event.seconds_here, event.relative_cost)
        if event.epoch == 1 and event.seconds_here is not None:
            self._search.timed(event.trial, event.seconds_here)
        rung = self._pace.rung(event.trial, event.epoch)
        self._note_result(event, trial.measures, rung)
        if rung is None:
            self._search.between(event.trial, score_of(event, self._objective), event.metrics)
            return []
        score = score_of(event, self._objective)
        decision = self._search.report(event.trial, rung, score, event.metrics)
        events: list[Event] = []
        if decision.reason:
            events.append(RungDecided(event.trial, rung, decision.action.value, decision.reason))
            self._nothing_to_give = False  # with one more at the rung, one that waits there may be promoted
        if decision.action in (Action.STOP, Action.COMPLETE):
            state = TrialState.COMPLETE if decision.action is Action.COMPLETE else TrialState.PRUNED
            events.append(TrialEnded(event.trial, state, decision.reason))
            del self._trials[event.trial]
        return events

    def _write_consequences(self, trial: TrialHistory, consequences: Sequence[Event], finished: bool) -> None:
        """Write down what follows from a trial's last result, and its end for reasons of its own or of the clock."""
        cannot_win = TrialEnded(trial.number, TrialState.PRUNED, NO_TIME_TO_RETRAIN)
        in_time = self._is_in_time(trial.number)
        if trial.number in self._trials and (finished or not in_time):
            self._end(_completion(trial) if in_time else cannot_win, *consequences)
        elif in_time:
            self._write(consequences)
        else:  # whatever the scheduler ended it for
            self._write([cannot_win if isinstance(event, TrialEnded) else event for event in consequences])
            self._bar_loser(cannot_win)

    def _end(self, end: TrialEnded, *before: Event) -> None:
        """End a trial for a reason other than the scheduler's; `before` is what is still to be written first."""
        self._end_all([end], *before)
        self._nothing_to_give = False  # if it was the last that ran, the best of a rung may go on

    def _end_all(self, ends: Sequence[TrialEnded], *before: Event) -> None:
        self._write([*before, *ends])
        for end in ends:
            self._search.end(end.trial, end.state)
            del self._trials[end.trial]
            self._bar_loser(end)

    @property
    def _is_hopeless(self) -> bool:
        """Whether no other trial should begin, for so many have come to nothing."""
        return self._all_failed or len(self._refusals) >= _HOPELESS_REFUSALS

    @property
    def _all_failed(self) -> bool:
        """Whether so many trials failed, and none ever reported."""
        return len(self._failures) >= _HOPELESS_FAILURES and not self._has_report

    def _count_failure(self, reason: str) -> None:
        self._failures.append(reason)
        self._stop_if_hopeless()

    def _count_refusal(self, reason: str) -> None:
        self._refusals.append(reason)
        self._stop_if_hopeless()

    def _stop_if_hopeless(self) -> None:
        # One that is still in its first epoch may be fine.
        if not self._is_hopeless or self._search.running:
            return
        if self._all_failed:
            self.stop(f"the first {len(self._failures)} trials failed, the last one because {self._failures[-1]}")
        else:
            refused = f"{len(self._refusals)} configurations in a row were impossible as they ran"
            self.stop(f"{refused}, the last one because {self._refusals[-1]}")

    # What the clock has to know of the trials.

    def _note_result(self, event: EpochReported, measures: Mapping[str, float], rung: int | None) -> None:
        self._has_report = True
        self._refusals.clear()
        self._costs.setdefault(event.trial, EpochCost()).take(event)
        if rung == self._search.levels[0] and not event.reused:
            seconds = event.epoch * self._cost(event.trial)
            self._first_rung_seconds = min(self._first_rung_seconds or seconds, seconds)
        # What an earlier driver's clock said stands in the journal, as the end of those that could not be retrained.
        can_win = self._restoring or self._is_in_time(event.trial)
        if not can_win:
            self._late.add(event.trial)
        self._incumbent.take(event, measures, can_win=can_win)
        self._keep_for(self._incumbent.trial)

    def _is_in_time(self, trial: int) -> bool:
        """Whether a trial could be retrained; the incumbent can, for its time is kept.

        One that once could not cannot any more, though without it a dearer trial may lead, whose time is kept now.
        """
        if trial == self._incumbent.trial:
            return True
        return trial not in self._late and self._clock.can_retrain(self._cost(trial))

    def _ask_clock(self, trial: int, before: int | None) -> None:
        """Let a trial be the incumbent only if it could be retrained: its driver may have died before it asked.

        `before` is who was the incumbent before the last result.
        """
        self._keep_for(before)
        if not self._clock.can_retrain(self._cost(trial)):
            self._late.add(trial)
            self._incumbent.remove(trial, is_late=True)
        self._keep_for(self._incumbent.trial)

    def _keep_for(self, trial: int | None) -> None:
        """Keep the time that the retraining of a trial takes."""
        self._clock.incumbent_changed(None if trial is None else self._cost(trial))

    def _cost(self, trial: int) -> float:
        """Return what an epoch of the trial costs here; of one that was not trained here, by what it cost there."""
        cost = self._costs.get(trial)
        return self._clock.reference_epoch if cost is None else cost.here(self._clock.reference_epoch)

    def _bar_loser(self, end: TrialEnded) -> None:
        """Forget a trial that ended so that it cannot win."""
        if end.state is not TrialState.FAILED and end.reason != NO_TIME_TO_RETRAIN:
            return
        is_late = end.state is not TrialState.FAILED
        if is_late:
            self._late.add(end.trial)
        self._incumbent.remove(end.trial, is_late=is_late)
        self._costs.pop(end.trial, None)
        self._keep_for(self._incumbent.trial)


@dataclass
class _Result:
    """A trial's last result, as it is found in a journal."""

    history: TrialHistory
    """The trial's."""
    elapsed: float
    """Seconds worked on the run when it came."""
    leader: int | None
    """Who was the incumbent before it."""
    unwritten: list[Event]
    """What followed from it and is not in the journal."""


def _last_result(entries: Sequence[Entry]) -> int | None:
    """Return the trial of the last result if its driver may have died before it asked the clock about it.

    It asks at once, and writes a trial's end if the time is too short; whoever has gone on has no such question left.
    """
    for entry in reversed(entries):
        if isinstance(entry.event, EpochReported):
            return entry.event.trial
        if not isinstance(entry.event, RungDecided | DriverStarted):
            return None
    return None


def _reported(trial: int, report: EpochReport, worker: str, finished: bool) -> EpochReported:
    return EpochReported(trial, report.epoch, finite(report.metrics), report.seconds, worker, finished)


def _completion(trial: TrialHistory) -> TrialEnded:
    """Return the end of a trial that stopped making progress."""
    last = last_improvement(trial.epochs.values(), trial.objective)
    assert last is not None, trial.number
    if last.epoch == max(trial.epochs):
        return TrialEnded(trial.number, TrialState.COMPLETE, f"the training ended after epoch {last.epoch}")
    reason = f"no better {trial.objective.words} since epoch {last.epoch}"
    return TrialEnded(trial.number, TrialState.COMPLETE, reason)


def _refusal(trial: TrialHistory) -> TrialEnded:
    """Return the end of a trial for which the space had nothing feasible."""
    assert trial.proposed.infeasible is not None, trial.number
    return TrialEnded(trial.number, TrialState.PRUNED, trial.proposed.infeasible)


def _cross_off(results: Mapping[int, _Result], written: RungDecided | TrialEnded) -> None:
    result = results.get(written.trial)
    if result is not None:
        result.unwritten = [event for event in result.unwritten if type(event) is not type(written)]
