"""What a run's events amount to: trials with their epochs, the winner, the retrainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tuner.errors import JournalError
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    DriverStarted,
    EnsembleMeasured,
    EpochReported,
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
    TrialPromoted,
    TrialProposed,
    TrialRetried,
    WarmStarted,
    WinnerSelected,
)
from tuner.journal.store import Entry, read_journal
from tuner.search.objective import Objective
from tuner.search.report import best_of
from tuner.search.scheduler import Action
from tuner.search.trial import TrialState


@dataclass
class TrialHistory:
    """One trial's events."""

    proposed: TrialProposed
    objective: Objective
    measures: Mapping[str, float] = field(default_factory=dict)
    """What the model costs, by the names of `MEASURES`; empty if it was not measured. The first measurement stays."""
    epochs: dict[int, EpochReported] = field(default_factory=dict)
    """By epoch. An epoch trained again after a failure keeps its first report: the decisions were made on it."""
    decisions: list[RungDecided] = field(default_factory=list)
    retries: list[TrialRetried] = field(default_factory=list)
    promotions: int = 0
    """Times the trial was paused at a rung and taken up again."""
    ended: TrialEnded | None = None
    proposed_at: float | None = None
    ended_at: float | None = None
    """These two in seconds since the epoch, for people; None while it is not read from a journal, or has not ended."""

    def ask(self, event: ParamsAsked) -> None:
        """Take note of what the trial has asked for as it ran: that is its configuration."""
        params, distributions = dict(event.params), dict(event.distributions)
        self.proposed = replace(self.proposed, params=params, distributions=distributions, hparams=params)

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.proposed.trial

    @property
    def state(self) -> TrialState:
        """Where the trial stands."""
        if self.ended:
            return self.ended.state
        return TrialState.PAUSED if len(self.paused_at) > self.promotions else TrialState.RUNNING

    @property
    def paused_at(self) -> tuple[int, ...]:
        """The rungs at which it paused, in order."""
        return tuple(decision.epoch for decision in self.decisions if decision.action == Action.PAUSE)

    @property
    def promoted_from(self) -> tuple[int, ...]:
        """Those of them from which it was promoted."""
        return self.paused_at[: self.promotions]

    @property
    def stopped_at(self) -> int | None:
        """The rung at which it ended: stopped by the scheduler, or paused and not promoted; None if at none."""
        if self.ended is not None and len(self.paused_at) > self.promotions:
            return self.paused_at[-1]
        return next((decision.epoch for decision in self.decisions if decision.action == Action.STOP), None)

    @property
    def can_win(self) -> bool:
        """Whether its results count: it did not fail, and its retraining would fit into the time."""
        return self.ended is None or (
            self.ended.state is not TrialState.FAILED and self.ended.reason != NO_TIME_TO_RETRAIN
        )

    @property
    def is_finished(self) -> bool:
        """Whether the training has no further epoch."""
        return any(report.finished for report in self.epochs.values())

    @property
    def best(self) -> EpochReported | None:
        """The best epoch by the objective, as `best_of` compares; None before the first report."""
        return best_of(self.epochs.values(), self.objective)

    @property
    def seconds(self) -> float:
        """Seconds of training and evaluation, over all epochs."""
        return sum(report.seconds for report in self.epochs.values())


@dataclass
class RetrainHistory:
    """One retraining's events."""

    candidate: str
    seed: int
    objective: Objective
    epochs: dict[int, RetrainEpochReported] = field(default_factory=dict)
    ended: RetrainEnded | None = None
    failed: RetrainFailed | None = None

    @property
    def best(self) -> RetrainEpochReported | None:
        """The best epoch by the objective, as `best_of` compares; None before the first report."""
        return best_of(self.epochs.values(), self.objective)


@dataclass
class History:
    """A run as its journal tells it."""

    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    objective: Objective
    """What trials are compared by."""
    schema_version: int
    """Of the driver that began the run."""
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    retrains: dict[tuple[str, int], RetrainHistory] = field(default_factory=dict)
    """By candidate and seed."""
    warm_start: WarmStarted | None = None
    plan: Mapping[str, Any] | None = None
    drivers: list[DriverStarted] = field(default_factory=list)
    search_ended: SearchEnded | None = None
    winner: WinnerSelected | None = None
    retraining_planned: RetrainingPlanned | None = None
    """The last such plan; None in older runs."""
    ensemble: EnsembleMeasured | None = None
    ended: bool = False
    elapsed: float = 0.0
    """Seconds worked on the run by all its drivers."""
    search_seconds: float | None = None
    """`elapsed` when the search ended."""
    reported: list[tuple[float, EpochReported]] = field(default_factory=list)
    """The first report of every epoch of every trial, in the order of the journal, with `elapsed` at that moment."""

    def take(self, entry: Entry) -> None:
        """Add what came next in the journal; raises JournalError if it is of a trial that was never proposed."""
        self.elapsed = entry.elapsed
        try:
            _apply(self, entry)
        except KeyError as error:
            raise JournalError(f"event {entry.seq} is of trial {error}, which was never proposed.") from None

    @property
    def epochs_trained(self) -> int:
        """Epochs of all trials together, without those taken over from an earlier run."""
        return sum(not report.reused for trial in self.trials.values() for report in trial.epochs.values())


def read_history(folder: Path) -> History:
    """Return the history of the journal in `folder`; raises JournalError as `read_journal` does, or if it is empty."""
    entries = read_journal(folder)
    if not entries:
        raise JournalError(f"the journal in {folder} is empty: the run was stopped before it began.")
    return fold(entries)


def fold(entries: Iterable[Entry]) -> History:
    """Return the history that the entries, oldest first, amount to.

    Raises:
        JournalError: if an event is of a trial that was never proposed.
    """
    iterator = iter(entries)
    opening = next(iterator).event
    assert isinstance(opening, StudyStarted), opening  # read_journal guarantees it
    history = History(opening.config, opening.environment, opening.objective, opening.schema_version)
    for entry in iterator:
        history.take(entry)
    return history


def _apply(history: History, entry: Entry) -> None:
    match entry.event:
        case TrialProposed() as event:
            history.trials[event.trial] = TrialHistory(event, history.objective, proposed_at=entry.time)
        case ParamsAsked() as event:
            history.trials[event.trial].ask(event)
        case ModelMeasured() as event:
            trial = history.trials[event.trial]
            trial.measures = trial.measures or event.measures
        case EpochReported() as event:
            epochs = history.trials[event.trial].epochs
            if event.epoch not in epochs:
                epochs[event.epoch] = event
                history.reported.append((entry.elapsed, event))
        case RungDecided() as event:
            history.trials[event.trial].decisions.append(event)
        case TrialPromoted() as event:
            history.trials[event.trial].promotions += 1
        case TrialRetried() as event:
            history.trials[event.trial].retries.append(event)
        case TrialEnded() as event:
            trial = history.trials[event.trial]
            trial.ended, trial.ended_at = event, entry.time
        case RetrainEpochReported() as event:
            retrain = _retrain(history, event.candidate, event.seed)
            if event.epoch == 1:  # a training that saves no state has begun anew
                retrain.epochs.clear()
            retrain.epochs.setdefault(event.epoch, event)
            retrain.failed = None  # a later driver may try again what failed
        case RetrainEnded() as event:
            retrain = _retrain(history, event.candidate, event.seed)
            retrain.ended, retrain.failed = event, None
        case RetrainFailed() as event:
            _retrain(history, event.candidate, event.seed).failed = event
        case SearchEnded() as event:
            history.search_ended = event
            history.search_seconds = entry.elapsed
        case _:
            _apply_milestone(history, entry)


def _apply_milestone(history: History, entry: Entry) -> None:
    match entry.event:
        case DriverStarted() as event:
            history.drivers.append(event)
        case WarmStarted() as event:
            history.warm_start = event
        case EnsembleMeasured() as event:
            history.ensemble = event
        case PlanMade() as event:
            history.plan = event.plan
        case WinnerSelected() as event:
            history.winner = event
        case RetrainingPlanned() as event:
            history.retraining_planned = event
        case StudyEnded():
            history.ended = True


def _retrain(history: History, candidate: str, seed: int) -> RetrainHistory:
    return history.retrains.setdefault((candidate, seed), RetrainHistory(candidate, seed, history.objective))
