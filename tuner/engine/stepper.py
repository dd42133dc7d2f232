"""One training after another in this process, a step at a time, each with an outcome that says how it went."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from tuner.data.splits import as_split
from tuner.engine.device_errors import device_failure
from tuner.engine.outcome import Crashed, Failed, Infeasible, Reported, StepOutcome, StorageAway
from tuner.engine.traces import trace
from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import InfeasibleTrialError, RehearsalError, StorageError, TunerError, in_one_line

_SECONDS_WITHOUT_STORAGE = 2.0
"""Waited here, by the one whose storage is away, and not by the driver, who serves all."""


class SpoiltProcessError(Exception):
    """The process was to be used again after a failure that spoilt it."""


class LostDeviceError(Exception):
    """The device failed a training that it has carried before: another process may go on with it."""


class Stepper:
    """Does assignments with a `Worker`; a process has one.

    A step is an epoch or, if the assignment wants it, what follows the last. Whatever goes wrong is an outcome, and the
    process is fine afterwards, unless its device is not. After a crash the next step begins the training again.
    """

    def __init__(self, job: Job) -> None:
        """Take the job's shared part; raises DataError as `Worker` does."""
        self._job = job
        self._worker = self._whole = Worker(job)
        self.is_spoilt = False
        """Whether a failure has left the process, or its device, unfit for another training."""

    def begin(self, assignment: Assignment) -> None:
        """Take an assignment; it is set up in the first step, whose errors are outcomes too."""
        self._assignment = assignment
        self._is_set_up = False

    def close(self) -> None:
        """Let go of what the last training holds; no step follows."""
        self._worker.close()

    def step(self) -> StepOutcome:
        """Do the next step of the assignment.

        Raises:
            SpoiltProcessError: if an earlier failure spoilt the process.
            LostDeviceError: if the device failed a training that had finished an epoch; that too spoils the process.
        """
        if self.is_spoilt:
            raise SpoiltProcessError("the process ends, for the failure before has spoilt it")
        try:
            return self._step()
        except StorageError as error:
            time.sleep(_SECONDS_WITHOUT_STORAGE)
            return StorageAway(str(error))
        except InfeasibleTrialError as error:
            return Infeasible(str(error))
        except RehearsalError as error:
            cause = error.__cause__  # of the user's code; what is ours of it is told in the reason
            told = None if cause is None else trace(cause)
            return Failed(str(error), told, is_rehearsal=True)
        except TunerError as error:
            return Failed(str(error))
        except (Exception, SystemExit) as error:  # of the user's code, which may be a script's
            reason, has_trained = device_failure(error), self._has_trained
            self._is_set_up = False
            if reason is None:
                return Crashed(in_one_line(error), trace(error))
            self.is_spoilt = True
            if has_trained:  # so it may be another's doing, such as of who shares the device
                raise LostDeviceError(reason) from error
            return Failed(reason, trace(error), spoils_process=True)

    @property
    def _has_trained(self) -> bool:
        return self._assignment.known_epochs > 0 or (self._is_set_up and self._worker.training.epoch > 0)

    def _step(self) -> StepOutcome:
        if not self._is_set_up:
            self._set_up()
        worker, conclusion = self._worker, self._assignment.conclusion
        if conclusion is not None and worker.finished:
            return worker.conclude(conclusion)
        report = worker.next_report()
        return Reported(
            report,
            worker.name,
            worker.finished,
            self._measures,
            worker.asked,
            worker.evaluation,
            worker.training.is_over,
        )

    def _set_up(self) -> None:
        share = self._assignment.share
        self._worker.close()  # a device may not have room for two
        self._worker = self._whole if share == 1.0 else Worker(sampled(self._job, share))
        self._worker.begin(self._assignment)
        self._measures: Mapping[str, float] = self._worker.measure() if self._assignment.is_measured else {}
        self._is_set_up = True


def sampled(job: Job, share: float) -> Job:
    """Return the job on the first `share` of its train and dev examples."""
    data = job.splits
    sample = dataclasses.replace(data, train=as_split(data.train).first(share), dev=as_split(data.dev).first(share))
    return dataclasses.replace(job, splits=sample, splits_sha256=None)
