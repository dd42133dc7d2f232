"""Training in the driver's own process, one after the other: no Ray, so that a breakpoint in a training works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from tuner.engine.executor import Agenda, Work
from tuner.engine.outcome import Crashed, Failed, StepOutcome, WorkerLost
from tuner.engine.stepper import LostDeviceError, Stepper
from tuner.engine.training_logs import TrainingLogs
from tuner.engine.worker import Assignment, Job

T = TypeVar("T")


class InProcessExecutor:
    """Does what one worker under Ray does, with the same decisions and the same journal.

    What kills the process ends the run, which can be resumed; under Ray it costs one worker.
    """

    workers = 1
    workers_a_node = 1
    workers_in_words = "in this process, one training after the other"
    nodes: Sequence[Mapping[str, Any]] = ()

    def __init__(self, say: Callable[[str], None], cpus_a_trial: int = 1, logs: TrainingLogs | None = None) -> None:
        """Train with `cpus_a_trial` threads; tell with `say` what cannot wait, tracebacks of the user's code too.

        Why a training failed stands in `logs`; what it prints is on the screen, where a debugger needs it.
        """
        self._say = say
        self._logs = logs
        self._last_told: str | None = None
        """The last traceback."""
        self.cpus_a_trial = cpus_a_trial

    def share_gpus(self, job: Job, assignment: Assignment) -> None:
        """Do nothing: a process by itself has nobody to share with."""

    def share(self, value: T) -> Callable[[], T]:
        """Return what returns `value`."""
        return lambda: value

    def run(self, job: Job, works: Iterator[Work]) -> None:
        """Do the works as `Executor` says."""
        agenda = Agenda(works, self._say, self._logs)
        if os.environ.get("PYTHONBREAKPOINT", "").startswith("ray."):
            del os.environ["PYTHONBREAKPOINT"]  # left by a Ray of this process, whose debugger wants a cluster
        threads = torch.get_num_threads()
        stepper = None
        try:
            stepper = Stepper(job)
            while (order := agenda.next()) is not None:
                stepper = _begun(stepper, job, order.assignment)
                goes_on = True
                while goes_on:
                    outcome = _outcome(stepper)
                    goes_on = agenda.take(order, outcome)
                    self._tell(outcome, agenda.error)
                    if goes_on and stepper.is_spoilt:
                        stepper = _begun(stepper, job, order.assignment)
        finally:
            if stepper is not None:
                stepper.close()
            torch.set_num_threads(threads)
        if agenda.error is not None:
            raise agenda.error
        assert agenda.is_over, "a work waits, but nothing is under way"

    def _tell(self, outcome: StepOutcome | WorkerLost, ended_by: Exception | None) -> None:
        """Show the traceback of what failed, unless the error that ended the run by it will."""
        # One mistake may make many configurations fail, one after the other.
        if isinstance(outcome, Crashed | Failed) and outcome.error not in (None, self._last_told):
            self._last_told = outcome.error
            traceback = str(outcome.error).rstrip()
            if traceback not in getattr(ended_by, "__notes__", ()):
                self._say(traceback)


def _begun(stepper: Stepper, job: Job, assignment: Assignment) -> Stepper:
    """Return the stepper, or another where it is spoilt, with the assignment begun."""
    if stepper.is_spoilt:
        stepper.close()
        stepper = Stepper(job)
    stepper.begin(assignment)
    return stepper


def _outcome(stepper: Stepper) -> StepOutcome | WorkerLost:
    """Do a step; of a device that is lost, what a driver under Ray hears of the process that ends then."""
    try:
        return stepper.step()
    except LostDeviceError as error:
        return WorkerLost(str(error), charged=True)
