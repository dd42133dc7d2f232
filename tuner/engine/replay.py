"""Deriving every decision of a run again from its journal.

Measurements, results, failures and interruptions are what a replay is given; what followed from them it works out with
a search of its own, by the same classes as the driver, and compares: proposals, decisions at the rungs, ends of trials
and of the search, the winner, and the epoch whose weights each retraining kept.

Before version 5 of the journal proposals followed by other rules; what such a run proposed is given, too, and when it
had nothing more to propose. Before version 6 a search that ended because the time left was too short for another trial
gave as its reason that all trials had ended. What an older version did otherwise beside that follows from its own
rules, which a run keeps to its end: see `tuner.search.rules`.

Time is taken from the journal. A driver looks at the clock before it writes, so the moment is known only to lie between
two entries; a decision that hangs on it is asked for at that end of the interval where it must hold.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tuner.config import StudyConfig
from tuner.engine.after_search import AfterSearch
from tuner.engine.brains import coordinator_of
from tuner.engine.coordinator import ALL_ENDED, INFEASIBLE, INTERRUPTED, TIME_IS_OVER, Coordinator
from tuner.engine.plan import Plan
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    DriverStarted,
    EnsembleMeasured,
    EpochReported,
    Event,
    ModelMeasured,
    ParamsAsked,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    TrialRetried,
    WarmStarted,
    WinnerSelected,
    to_record,
)
from tuner.journal.history import fold
from tuner.journal.store import Entry
from tuner.results.selection import select
from tuner.search.earlier import WarmStart
from tuner.search.scheduler import reworded
from tuner.search.space import SearchSpace
from tuner.search.trial import TrialState

_GIVEN = (StudyStarted, RetrainEpochReported, RetrainFailed, EnsembleMeasured, StudyEnded)
"""Events outside the search that follow from nothing in the journal."""
_PROPOSALS_DERIVED_SINCE = 5
"""Version of the journal."""
_ENDS_DERIVED_SINCE = 6
"""The same. Before, of equals by the first of several objectives one could win that another was better than, a call
that began again lost what it had asked for late, and a search too short of time for another trial said that all had
ended."""
_CONSEQUENCES = 3
"""Events a driver writes at once after a result, at most."""


class DivergenceError(Exception):
    """The journal holds a decision that does not follow from what came before it."""


class Replay:
    """Works through a journal, one entry after the other."""

    def __init__(self, config: StudyConfig, space: SearchSpace, entries: Sequence[Entry]) -> None:
        """Replay `entries`, a whole journal or the beginning of one."""
        self._config = config
        self._space = space
        self._entries = entries
        opening = entries[0].event
        assert isinstance(opening, StudyStarted), opening  # read_journal guarantees it
        self._objective = opening.objective
        self._schema_version = opening.schema_version
        self._proposals_are_given = opening.schema_version < _PROPOSALS_DERIVED_SINCE
        self._ends_are_given = opening.schema_version < _ENDS_DERIVED_SINCE
        self._warm_start: WarmStart | None = None
        self._plan: Plan | None = None
        self._workers: int | None = None
        self._coordinator: Coordinator | None = None
        self._derived: deque[Event] = deque()
        """What must come next."""
        self._reports: dict[int, EpochReported] = {}
        """By trial, the last."""
        self._now = 0.0

    def run(self) -> Counter[str]:
        """Check all entries and return how many there were of each kind.

        Raises:
            DivergenceError: at the first that differs, with its place, what it says and what follows.
        """
        for index, entry in enumerate(self._entries):
            self._check(index, entry.event)
        return Counter(type(entry.event).__name__ for entry in self._entries)

    def _check(self, index: int, event: Event) -> None:
        match event:
            case DriverStarted():
                self._workers = event.workers
                self._restart(index)
            case WarmStarted():
                self._warm_start = event.warm_start()
            case PlanMade():
                self._plan = Plan.from_dict(event.plan)
                self._restart(index)
            case WinnerSelected():
                self._check_winner(index, event)
            case RetrainingPlanned():
                self._check_plan(index, event)
            case RetrainEnded():
                self._check_retraining(index, event)
            case _ if not isinstance(event, _GIVEN):
                self._check_search(index, event)

    # The search: everything else that is written, a coordinator writes.

    def _restart(self, index: int) -> None:
        """Do as the driver that starts here: restore the search, and first write what its predecessor could not."""
        self._derived.clear()
        if self._plan is None or any(isinstance(entry.event, SearchEnded) for entry in self._entries[:index]):
            return
        self._now = self._entries[index].elapsed
        self._coordinator = coordinator_of(
            self._config,
            self._space,
            self._objective,
            self._plan,
            lambda *events: self._derived.extend(events),
            warm_start=self._warm_start,
            workers=self._workers or self._plan.workers,
            elapsed=lambda: self._now,
            discard=lambda _: None,
            schema_version=self._schema_version,
        )
        self._coordinator.restore(self._entries[:index])
        self._give_out_again(self._coordinator)

    def _give_out_again(self, coordinator: Coordinator) -> None:
        while coordinator.orphans:
            coordinator.next_trial()  # which is written nowhere

    def _check_search(self, index: int, event: Event) -> None:
        if self._is_given(event) and self._coordinator and not self._derived:
            self._coordinator.restore(self._entries[index : index + 1])
            self._give_out_again(self._coordinator)
            return
        if not self._derived:
            self._provoke(index, event)
        derived = self._derived.popleft() if self._derived else None
        if isinstance(event, SearchEnded) and isinstance(derived, SearchEnded) and derived.seconds_left is not None:
            derived = replace(derived, seconds_left=event.seconds_left)  # a time, which is given
        if self._ends_are_given and _reason(event) == ALL_ENDED and _reason(derived) == TIME_IS_OVER:
            derived = replace(derived, reason=ALL_ENDED)  # type: ignore[type-var] # it has a reason
        self._compare(index, event, derived)
        if isinstance(event, EpochReported):
            self._reports[event.trial] = event

    def _is_given(self, event: Event) -> bool:
        """Return whether an event of an older version followed from rules that are no more."""
        is_proposal, is_asked = isinstance(event, TrialProposed), isinstance(event, ParamsAsked)
        return (is_proposal and self._proposals_are_given) or (is_asked and self._ends_are_given)

    def _provoke(self, index: int, event: Event) -> None:
        """Let the coordinator do what it must have done to write `event`."""
        if self._coordinator is None:
            raise DivergenceError(f"event {index} is of a search, but no plan was made before it.")
        before, after = self._entries[max(0, index - 1)].elapsed, self._entries[index].elapsed
        match event:
            case EpochReported():
                self._now = self._moment_of_consequences(index, event.trial)
                self._coordinator.take(event)
            case ModelMeasured():
                self._coordinator.measured(event.trial, event.measures)
            case ParamsAsked():
                self._coordinator.asked(event.trial, event.params, event.distributions)
            case TrialRetried():
                self._lose_worker(event)
            case TrialEnded(state=TrialState.FAILED):
                self._coordinator.fail(event.trial, event.reason, event.error)
            case TrialEnded(state=TrialState.PRUNED) if event.reason.startswith(INFEASIBLE):
                self._coordinator.refuse(event.trial, event.reason.removeprefix(INFEASIBLE))
            case TrialEnded() if event.state is TrialState.COMPLETE or event.reason == NO_TIME_TO_RETRAIN:
                # Its driver was killed between the result and the end; a later one was told the result again.
                self._now = after
                if event.trial in self._reports:
                    # One that ended by itself, an epoch after its last, was finished without another report.
                    last = self._reports[event.trial]
                    finished = last.finished or event.state is TrialState.COMPLETE
                    self._coordinator.take(replace(last, finished=finished))
            case TrialEnded() | SearchEnded():
                # There was no time any more, or there still was.
                is_over = event.reason == TIME_IS_OVER or self._ends_are_given
                self._now = after if is_over else before
                self._finish(event)
            case _:
                self._now = before
                self._coordinator.next_trial()

    def _lose_worker(self, event: TrialRetried) -> None:
        assert self._coordinator is not None
        forgiven = self._config.resources.max_failures
        self._coordinator.lose_worker(event.trial, event.error, charged=event.charged, max_failures=forgiven)

    def _finish(self, event: TrialEnded | SearchEnded) -> None:
        assert self._coordinator is not None
        if event.reason == INTERRUPTED:
            self._coordinator.stop(INTERRUPTED)
        elif not self._coordinator.is_stopping and not self._proposals_are_given:
            self._coordinator.next_trial()  # there must be none
        if not self._derived:
            self._coordinator.finish()

    def _moment_of_consequences(self, index: int, trial: int) -> float:
        """Return when the clock was asked after a result: as late as its trial's end, if it ended for want of time."""
        for entry in self._entries[index + 1 : index + _CONSEQUENCES]:
            event = entry.event
            if isinstance(event, EpochReported):  # of which the end is a consequence, then
                break
            if isinstance(event, TrialEnded) and event.trial == trial and event.reason == NO_TIME_TO_RETRAIN:
                return entry.elapsed
        return self._entries[index].elapsed

    # After the search.

    def _check_winner(self, index: int, event: WinnerSelected) -> None:
        winner = select(fold(self._entries[:index]))
        if winner is not None and self._ends_are_given and len(self._config.search.objectives) > 1:
            winner = replace(event, metric=winner.metric, value=winner.value)
        self._compare(index, event, winner)

    def _check_plan(self, index: int, event: RetrainingPlanned) -> None:
        """Derive the first plan again from what was left of the budget; later ones hang on what was under way."""
        history = fold(self._entries[:index])
        if history.retraining_planned is None:
            assert self._plan is not None
            after = AfterSearch(self._config, self._space, self._plan, self._workers or self._plan.workers)
            self._compare(index, event, after.planned(history, event.seconds_left))

    def _check_retraining(self, index: int, event: RetrainEnded) -> None:
        retraining = fold(self._entries[:index]).retrains.get((event.candidate, event.seed))
        best = None if retraining is None else retraining.best
        # What has no weights cannot go back to its best epoch, though older runs name that.
        last = None if retraining is None or event.weights else max(retraining.epochs, default=None)
        if best is None or event.best_epoch not in (best.epoch, last):
            raise DivergenceError(
                f"event {index}: the weights kept of {event.candidate}, seed {event.seed}, are of epoch "
                f"{event.best_epoch}, but the best {self._objective.words} is that of epoch {best and best.epoch}."
            )

    def _compare(self, index: int, written: Event, derived: Event | None) -> None:
        if derived is None or _text(written) != _text(derived):
            follows = "nothing" if derived is None else _differing(derived, written)
            raise DivergenceError(
                f"event {index}: the journal has {_differing(written, derived)}, but {follows} follows."
            )


def _reason(event: Event | None) -> str | None:
    return event.reason if isinstance(event, TrialEnded | SearchEnded) else None


def _text(event: Event) -> str:
    if isinstance(event, RungDecided):
        event = replace(event, reason=reworded(event.reason))
    return json.dumps(to_record(event), sort_keys=True)


def _differing(event: Event, other: Event | None) -> str:
    """Return the event in words, without the fields in which the other is equal."""
    record = to_record(event)
    equal: Mapping[str, Any] = asdict(other) if type(other) is type(event) and other is not None else {}
    kept = {"trial"}
    shown = [f"{name} {value!r}" for name, value in record.items() if name in kept or equal.get(name, equal) != value]
    return f"{record.pop('kind')} ({', '.join(part for part in shown if not part.startswith('kind '))})"
