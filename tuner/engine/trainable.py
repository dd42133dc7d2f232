"""The Ray Tune trainable: a `Stepper` behind Ray's class interface, its process used again and again."""

from __future__ import annotations

from typing import Any

from ray import tune
from threadpoolctl import threadpool_limits

from tuner.engine.outcome import StorageAway
from tuner.engine.printed import Printed
from tuner.engine.stepper import Stepper
from tuner.engine.worker import Job

ORDER, ASSIGNMENT = "order", "assignment"
"""Keys of a configuration: the order's number, and what is to be done."""
OUTCOME, PRINTED = "outcome", "printed"
"""Keys of a result: what came of the step, and what was printed until then."""


class TrialTrainable(tune.Trainable):
    """Does an assignment; each of Ray's steps is one of its own, and its outcome the result."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Listen to what is printed before the job comes, whose libraries make loggers of their own when imported."""
        self._printed = Printed()
        super().__init__(*args, **kwargs)

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Begin the first assignment of this process; `job` comes from the object store."""
        assert job is not None
        # What was imported before this process had a training took all cores for its own.
        threadpool_limits(job.threads)
        self._stepper = Stepper(job)
        self._stepper.begin(config[ASSIGNMENT])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another assignment in the same process."""
        self._printed.take()  # what the one before printed after its end
        self._stepper.begin(new_config[ASSIGNMENT])
        return True

    def cleanup(self) -> None:
        """Let go of the last training, if its job has come; Ray ends the process next."""
        if hasattr(self, "_stepper"):
            self._stepper.close()

    def step(self) -> dict[str, Any]:
        """Do a step and return its outcome, with what it printed."""
        outcome = self._stepper.step()
        # While the storage is away, the same is tried, and printed, every few seconds.
        printed = "" if isinstance(outcome, StorageAway) else self._printed.take()
        return {OUTCOME: outcome, PRINTED: printed}
