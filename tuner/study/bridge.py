"""Between Ray Tune and the conductor: Ray asks for trials and hands over results, the conductor answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tuner.errors import StorageError, TunerError
from tuner.paths import RunPaths
from tuner.study.checkpoint_store import CheckpointStore
from tuner.study.conductor import Conductor
from tuner.study.trainable import FINISHED, REASON, REPORT, STORAGE, TRIAL, WORKER

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

_T = TypeVar("_T")


class _Unrecorded:
    """Ray pickles its parts for a record of its own; the driver's state is not part of that, the journal has it."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class BridgeSearcher(_Unrecorded, Searcher):
    """Ray's source of trials."""

    def __init__(self, conductor: Conductor, paths: RunPaths) -> None:
        """Ask `conductor`; a trial's checkpoints lie below `paths`."""
        super().__init__(metric="dev_accuracy", mode="max")
        self._conductor = conductor
        self._paths = paths

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override] # FINISHED is a string
        """Return the next trial's configuration, None if there is none now, FINISHED if there will be none."""
        trial = _guarded(self._conductor, self._conductor.next_trial)
        if trial is not None:
            return {
                TRIAL: trial.trial,
                "seed": trial.seed,
                "hparams": dict(trial.hparams),
                "max_epochs": self._conductor.max_epochs,
                "checkpoints": self._paths.location(self._paths.trial_checkpoints(trial.trial)),
            }
        finished: str = Searcher.FINISHED
        return finished if self._conductor.is_exhausted or self._conductor.is_stopping else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ignore it: ends are decided by the conductor or told by `BridgeCallback`."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the journal is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the journal is the record."""


class BridgeScheduler(_Unrecorded, FIFOScheduler):
    """Ray's judge of results."""

    def __init__(self, conductor: Conductor, paths: RunPaths) -> None:
        """Hand results to `conductor`; delete an ended trial's checkpoints below `paths`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._conductor = conductor
        self._paths = paths
        self._queue: deque[Trial] = deque()

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Queue a trial, new or taken up again."""
        self._queue.append(trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the oldest pending trial. Ray's own way scans every trial there ever was, at every step."""
        while self._queue and self._queue[0].status != Trial.PENDING:
            self._queue.popleft()
        return self._queue[0] if self._queue else None

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Hand a result over and return Ray's word for the decision."""
        goes_on = _guarded(self._conductor, lambda: self._hand_over(trial.config[TRIAL], result))
        if not goes_on:
            CheckpointStore(trial.config["checkpoints"]).delete()
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def _hand_over(self, number: int, result: dict[str, Any]) -> bool:
        if REASON in result:
            if result[STORAGE]:
                raise StorageError(result[REASON])
            self._conductor.fail(number, result[REASON])
            return False
        # Ray flattens nested results: "report/epoch".
        prefix = f"{REPORT}/"
        report = {key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)}
        return self._conductor.report(number, report, result[WORKER], result[FINISHED])


class BridgeCallback(_Unrecorded, Callback):
    """Ray's word that a worker died."""

    def __init__(self, conductor: Conductor) -> None:
        """Tell `conductor`."""
        self._conductor = conductor

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial will be taken up again."""
        _guarded(self._conductor, lambda: self._conductor.retry(trial.config[TRIAL], _error_of(trial)))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that the trial has failed too often."""
        error = _error_of(trial)
        reason = f"its worker failed {trial.num_failures} times: {_last_line(error)}"
        _guarded(self._conductor, lambda: self._conductor.fail(trial.config[TRIAL], reason, error))


class BridgeStopper(_Unrecorded, Stopper):
    """Ray's question whether everything is to end."""

    def __init__(self, conductor: Conductor) -> None:
        """Ask `conductor`."""
        self._conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial; the scheduler does that."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search is over."""
        return self._conductor.is_stopping


def _guarded(conductor: Conductor, call: Callable[[], _T]) -> _T | None:
    """Call, and keep a TunerError for after Ray has wound down; Ray would bury it in a traceback of its own."""
    try:
        return call()
    except TunerError as error:
        conductor.fatal = error
        return None


def _error_of(trial: Trial) -> str:
    """Return the worker's traceback, or what Ray knows of its death."""
    file = trial.error_file
    return Path(file).read_text(encoding="utf-8", errors="replace") if file else "the worker died without a word"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
