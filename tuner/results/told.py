"""From the journal's entries to what callbacks and trackers are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuner.integrations.callback import (
    Callback,
    Epoch,
    RetrainEpoch,
    Retraining,
    StudyEnd,
    StudyStart,
    TrialEnd,
    TrialStart,
)
from tuner.journal.events import (
    EpochReported,
    ModelMeasured,
    RetrainEpochReported,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from tuner.journal.history import History, fold
from tuner.journal.store import Entry
from tuner.results.front import objectives_of_run
from tuner.results.selection import ENSEMBLE

Told = StudyStart | TrialStart | Epoch | TrialEnd | RetrainEpoch | StudyEnd

_METHODS: dict[type[Any], str] = {
    StudyStart: "on_study_start",
    TrialStart: "on_trial_start",
    Epoch: "on_epoch",
    TrialEnd: "on_trial_end",
    RetrainEpoch: "on_retrain_epoch",
    StudyEnd: "on_study_end",
}


class Teller:
    """Turns a journal, entry by entry from its first, into what is to be told."""

    def __init__(self, name: str, folder: Path) -> None:
        """Begin with nothing; `name` is the run's, and `folder` where it lies on this machine."""
        self._name = name
        self._folder = folder
        self._history: History | None = None
        self._start: StudyStart | None = None
        self._unannounced: set[int] = set()
        """Trials whose parameters are not known yet, for they ask for them as they run."""
        self._retrained: dict[tuple[str, int], int] = {}
        """The last epoch told, by candidate and seed: one that saves no state begins anew after a failure."""

    def take(self, entry: Entry) -> Iterator[Told]:
        """Yield what follows from the journal's next entry."""
        event = entry.event
        if self._history is None:
            self._history = fold([entry])
            assert isinstance(event, StudyStarted), event
            self._start = self._study_start(entry, event)
            yield self._start
            return
        known = len(self._history.reported)
        self._history.take(entry)
        if isinstance(event, ModelMeasured | EpochReported | TrialEnded):
            yield from self._announced(event.trial)
        match event:
            case TrialProposed():
                self._unannounced.add(event.trial)
                if self._history.config.get("objective") is None:
                    yield from self._announced(event.trial)
            case EpochReported() if len(self._history.reported) > known:  # else it was trained again after a failure
                yield _epoch(event, entry.time)
            case TrialEnded():
                yield self._trial_end(event, entry.time)
            case RetrainEpochReported() if event.epoch > self._retrained.get((event.candidate, event.seed), 0):
                self._retrained[event.candidate, event.seed] = event.epoch
                yield _retrain_epoch(event, entry.time)
            case StudyEnded():
                yield self._study_end(True, entry.time)

    def resumed(self) -> StudyStart | None:
        """Return the beginning for who is told nothing else of what lies behind; None if nothing does."""
        return None if self._start is None else replace(self._start, resumed=True)

    def stopped(self, time: float) -> StudyEnd | None:
        """Return the end of a driver that is stopped before the study ends; None if the study has, or never began."""
        if self._history is None or self._history.ended:
            return None
        return self._study_end(False, time)

    def _study_start(self, entry: Entry, event: StudyStarted) -> StudyStart:
        assert self._history is not None
        objectives = objectives_of_run(self._history)
        identity = json.dumps([entry.time, event.config, event.environment], sort_keys=True, default=str)
        study = hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()[:16]
        return StudyStart(study, self._name, self._folder, event.config, event.environment, objectives, entry.time)

    def _announced(self, trial: int) -> Iterator[TrialStart]:
        if trial not in self._unannounced:
            return
        self._unannounced.remove(trial)
        assert self._history is not None
        known = self._history.trials[trial]
        proposed = known.proposed
        yield TrialStart(
            trial, proposed.params, proposed.hparams, proposed.origin, proposed.seed, known.proposed_at or 0.0
        )

    def _trial_end(self, event: TrialEnded, time: float) -> TrialEnd:
        assert self._history is not None
        trial = self._history.trials[event.trial]
        best = trial.best
        return TrialEnd(
            event.trial,
            event.state,
            event.reason,
            event.error,
            trial.proposed.params,
            trial.proposed.hparams,
            len(trial.epochs),
            None if best is None else best.epoch,
            {} if best is None else best.metrics,
            trial.measures,
            time,
        )

    def _study_end(self, finished: bool, time: float) -> StudyEnd:
        assert self._history is not None
        history, winner = self._history, self._history.winner
        retrainings = [
            Retraining(one.candidate, one.seed, one.ended.best_epoch, one.ended.evaluations)
            for _, one in sorted(history.retrains.items())
            if one.ended is not None
        ]
        if history.ensemble is not None:
            retrainings.append(Retraining(ENSEMBLE, None, None, history.ensemble.evaluations))
        if winner is None:
            return StudyEnd(finished, None, {}, None, retrainings, time)
        return StudyEnd(finished, winner.trial, winner.hparams, winner.value, retrainings, time)


def _epoch(event: EpochReported, time: float) -> Epoch:
    return Epoch(event.trial, event.epoch, event.metrics, event.seconds, event.worker, event.reused, time)


def _retrain_epoch(event: RetrainEpochReported, time: float) -> RetrainEpoch:
    return RetrainEpoch(event.candidate, event.seed, event.epoch, event.metrics, event.seconds, time)


def tell(callback: Callback, told: Told) -> None:
    """Call the callback's method for what is told; raises what that raises."""
    getattr(callback, _METHODS[type(told)])(told)


def method_of(told: Told) -> str:
    """Return the name of the method that is told this."""
    return _METHODS[type(told)]


def tell_all(callback: Callback, entries: Iterable[Entry], name: str, folder: Path) -> None:
    """Tell a callback a whole journal, also of a study that has not ended; raises what the callback raises."""
    teller = Teller(name, folder)
    last = 0.0
    for entry in entries:
        last = entry.time
        for told in teller.take(entry):
            tell(callback, told)
    stopped = teller.stopped(last)
    if stopped is not None:
        tell(callback, stopped)
