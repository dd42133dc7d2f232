"""The Ray Tune trainable: a `Worker` behind Ray's class interface, reused between trials."""

from __future__ import annotations

from typing import Any

from ray import tune

from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import StorageError, TunerError

TRIAL, REPORT, FINISHED, WORKER, REASON, STORAGE = "trial", "report", "finished", "worker", "reason", "storage"
"""Keys of a result: the trial's number, its epoch report, whether it is done, who trained it; or why it failed."""
MEASURES = "measures"
"""Key of what the worker measured of the model, with every report: who listens takes the first."""


class TrialTrainable(tune.Trainable):
    """Trains one configuration; each step is one epoch.

    What goes wrong by the configuration's own fault is a result with a reason, not an exception: the process is fine
    and takes the next trial, and Ray does not retry what would fail again.
    """

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Begin the first trial of this process; `job` comes from the object store."""
        assert job is not None
        self._worker = Worker(job)
        self._assignment: Assignment | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and return its report."""
        result: dict[str, Any] = {TRIAL: self._trial, WORKER: self._worker.name}
        try:
            if self._assignment is not None:
                self._worker.begin(self._assignment)
                self._measures = self._worker.measure()
                self._assignment = None
            report = self._worker.next_report()
        except TunerError as error:
            return result | {REASON: str(error), STORAGE: isinstance(error, StorageError)}
        return result | {MEASURES: self._measures, REPORT: report, FINISHED: self._worker.finished}

    def _begin(self, config: dict[str, Any]) -> None:
        self._trial: int = config["trial"]
        # Set up in the first step, whose errors reach the study as results.
        self._assignment = Assignment(
            config["hparams"],
            config["seed"],
            config["max_epochs"],
            config["checkpoints"],
            known_epochs=config["known_epochs"],
        )
