"""The trials of a search as work for an executor."""

from __future__ import annotations

from tuner.engine.coordinator import Coordinator
from tuner.engine.executor import Key
from tuner.engine.outcome import Crashed, Failed, Infeasible, Outcome, Reported, WorkerLost
from tuner.engine.worker import Assignment
from tuner.paths import RunPaths
from tuner.search.scheduler import Action


class SearchPhase:
    """Gives out the coordinator's trials, by number; a paused one that is promoted is an assignment of its own."""

    def __init__(self, coordinator: Coordinator, paths: RunPaths, max_failures: int) -> None:
        """Ask `coordinator`, who forgives `max_failures` deaths of a trial; checkpoints lie below `paths`."""
        self._coordinator = coordinator
        self._paths = paths
        self._max_failures = max_failures

    @property
    def is_over(self) -> bool:
        """Whether no trial is to go on or to begin."""
        return self._coordinator.is_stopping or self._coordinator.is_exhausted

    def next(self) -> tuple[Key, Assignment] | None:
        """Return the next trial, None if there is none now."""
        trial = self._coordinator.next_trial()
        if trial is None:
            return None
        assignment = Assignment(
            dict(trial.proposed.hparams),
            trial.proposed.seed,
            self._coordinator.max_epochs(trial.number),
            self._paths.location(self._paths.trial_checkpoints(trial.number)),
            known_epochs=len(trial.epochs),
            is_measured=True,
        )
        return trial.number, assignment

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Hand an outcome over; return whether the trial goes on."""
        number = _number(key)
        match outcome:
            case Reported():
                self._coordinator.measured(number, outcome.measures)
                if outcome.asked is not None:
                    self._coordinator.asked(number, outcome.asked.params, outcome.asked.distributions)
                action = self._coordinator.report(number, outcome.report, outcome.worker, outcome.finished)
                return action is Action.CONTINUE
            case Crashed():
                return self._lose_worker(number, outcome.error, charged=True)
            case WorkerLost():
                return self._lose_worker(number, outcome.error, charged=outcome.charged)
            case Infeasible():
                self._coordinator.refuse(number, outcome.reason)
            case Failed():
                self._coordinator.fail(number, outcome.reason, outcome.error)
        return False

    def give_back(self, key: Key) -> None:
        """Take back a trial that could not be begun."""
        self._coordinator.give_out_again(_number(key))

    def _lose_worker(self, number: int, error: str, *, charged: bool) -> bool:
        return self._coordinator.lose_worker(number, error, charged=charged, max_failures=self._max_failures)


def _number(key: Key) -> int:
    assert isinstance(key, int)
    return key
