"""Between Ray Tune and the coordinator: Ray asks for trials and hands over results, the coordinator answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tuner.engine.coordinator import Coordinator
from tuner.engine.ray_session import is_lost_node
from tuner.engine.trainable import FINISHED, MEASURES, REASON, REPORT, STORAGE, TRIAL, WORKER
from tuner.engine.watchdog import take_report
from tuner.errors import StorageError, TunerError
from tuner.io.retry import Outage
from tuner.paths import RunPaths
from tuner.search.scheduler import Action

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

_T = TypeVar("_T")


class _Unrecorded:
    """Ray pickles its parts for a record of its own; the driver's state is not part of that, the journal has it."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class TuneSearcher(_Unrecorded, Searcher):
    """Ray's source of trials."""

    def __init__(self, coordinator: Coordinator, paths: RunPaths) -> None:
        """Ask `coordinator`; a trial's checkpoints lie below `paths`."""
        super().__init__()
        self._coordinator = coordinator
        self._paths = paths

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override] # FINISHED is a string
        """Return the next trial's configuration, None if there is none now, FINISHED if there will be none."""
        trial = _guarded(self._coordinator, self._coordinator.next_trial)
        if trial is not None:
            return {
                TRIAL: trial.number,
                "seed": trial.proposed.seed,
                "hparams": dict(trial.proposed.hparams),
                "max_epochs": self._coordinator.max_epochs,
                "checkpoints": self._paths.location(self._paths.trial_checkpoints(trial.number)),
                "known_epochs": len(trial.epochs),
            }
        finished: str = Searcher.FINISHED
        return finished if self._coordinator.is_exhausted or self._coordinator.is_stopping else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ignore it: ends are decided by the coordinator or told by `TuneCallback`."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the journal is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the journal is the record."""


class TuneScheduler(_Unrecorded, FIFOScheduler):
    """Ray's judge of results."""

    def __init__(self, coordinator: Coordinator, say: Callable[[str], None]) -> None:
        """Hand results to `coordinator`; tell the user with `say`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._coordinator = coordinator
        self._say = say
        self._outages: dict[int, Outage] = {}
        """Of running trials, by number."""
        self._queue: deque[Trial] = deque()
        """Trials that have not been chosen yet."""

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Queue a trial, new or taken up again."""
        self._queue.append(trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the oldest pending trial that was not returned yet. Ray's own way scans every trial there ever was.

        Ray starts a process for a trial that is returned, or gives it one that has become free. To one that is
        returned again while its process starts it gives the next that is free, and ends the starting one: where starts
        take longer than trials, a cluster would never be full.

        Ray takes up again whatever lost its worker; a trial that has thereby failed is taken from it here.
        """
        while self._queue:
            trial = self._queue.popleft()
            if trial.status != Trial.PENDING:
                continue
            if self._coordinator.is_unfinished(trial.config[TRIAL]):
                return trial
            tune_controller.stop_trial(trial)  # type: ignore[no-untyped-call]
            self._outages.pop(trial.config[TRIAL], None)
        return None

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Hand a result over and return Ray's word for the decision.

        A paused trial ends for Ray too. When it is promoted, Ray gets it as a new trial that goes on from the
        checkpoint, just as one that an earlier driver left; so Ray keeps no state that a resume would lack.
        """
        action = _guarded(self._coordinator, lambda: self._hand_over(trial.config[TRIAL], result))
        if action is Action.CONTINUE:
            return str(TrialScheduler.CONTINUE)
        self._outages.pop(trial.config[TRIAL], None)
        return str(TrialScheduler.STOP)

    def _hand_over(self, number: int, result: dict[str, Any]) -> Action:
        outage = self._outages.setdefault(number, Outage(self._say))
        if REASON in result:
            if result[STORAGE]:
                outage.wait(StorageError(result[REASON]))
                return Action.CONTINUE  # it is asked again, and only writes again
            self._coordinator.fail(number, result[REASON])
            return Action.STOP
        outage.over()
        self._coordinator.measured(number, _part(result, MEASURES))
        return self._coordinator.report(number, result[REPORT], result[WORKER], result[FINISHED])


class TuneCallback(_Unrecorded, Callback):
    """Ray's word that a trial ended or its worker died."""

    def __init__(self, coordinator: Coordinator, paths: RunPaths, max_failures: int) -> None:
        """Tell `coordinator`, who forgives `max_failures` deaths of a trial; its checkpoints lie below `paths`."""
        self._coordinator = coordinator
        self._paths = paths
        self._max_failures = max_failures

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Drop Ray's statistics of each metric, which nobody reads: Ray keeps every trial to the end, with 30 KiB."""
        trial.run_metadata.metric_analysis = {}
        trial.run_metadata.metric_n_steps = {}

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial lost its worker. Ray takes it up again without end, the coordinator may not."""
        self._lose_worker(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial lost its worker before it began, which Ray does not forgive: it gets a new one."""
        if self._lose_worker(trial):
            self._coordinator.give_out_again(trial.config[TRIAL])

    def _lose_worker(self, trial: Trial) -> bool:
        number: int = trial.config[TRIAL]
        said = _error_of(trial)
        hung = take_report(self._paths.location(self._paths.trial_checkpoints(number)))
        goes_on = _guarded(
            self._coordinator,
            lambda: self._coordinator.lose_worker(
                number, hung or said, charged=not is_lost_node(said), max_failures=self._max_failures
            ),
        )
        return bool(goes_on)


class TuneStopper(_Unrecorded, Stopper):
    """Ray's question whether everything is to end."""

    def __init__(self, coordinator: Coordinator) -> None:
        """Ask `coordinator`."""
        self._coordinator = coordinator

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial; the scheduler does that."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search is over."""
        return self._coordinator.is_stopping


def _guarded(coordinator: Coordinator, call: Callable[[], _T]) -> _T | None:
    """Call, and keep a TunerError for after Ray has wound down; Ray would bury it in a traceback of its own.

    After the first such error nothing is called: what follows one that could not be written must not be written.
    """
    if coordinator.fatal is not None:
        return None
    try:
        return call()
    except TunerError as error:
        coordinator.fatal = error
        return None


def _part(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a nested part of a result, which Ray has flattened: "report/epoch"."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)}


def _error_of(trial: Trial) -> str:
    """Return the worker's last traceback, or what Ray knows of its death."""
    file = trial.error_file
    text = Path(file).read_text(encoding="utf-8", errors="replace") if file else "the worker died without a word"
    # Ray appends each failure, with a number and a date before it, to the same file.
    _, heading, last = text.rpartition("Failure # ")
    return last.partition("\n")[2] if heading else text
