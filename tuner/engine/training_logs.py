"""The log of each training: what it printed, epoch by epoch, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tuner.engine.outcome import Concluded, Crashed, Failed, Infeasible, Reported, StepOutcome, StorageAway, WorkerLost
from tuner.paths import RunPaths

_MOST_BYTES = 1_000_000
"""Of a file: a training that prints without end fills no disk."""
_FULL = "\n--- What came later is not kept: this file is full.\n"


class TrainingLogs:
    """A file for each training that printed something or failed."""

    def __init__(self, paths: RunPaths, say: Callable[[str], None]) -> None:
        """Write into the run at `paths`; tell with `say` if that fails."""
        self._paths = paths
        self._say = say
        self._has_failed = False

    def take(self, checkpoints: str | Path, outcome: StepOutcome | WorkerLost, printed: str) -> None:
        """Append what the training with these checkpoints printed in a step, and what went wrong there.

        That it cannot be written is told once, and nothing else comes of it: no training depends on it.
        """
        text = printed + _trouble(outcome)
        if not text:
            return
        try:
            self._append(self._paths.log_of(checkpoints), f"--- {_heading(outcome)}\n{text}")
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                self._say(f"NOTICE: what trainings print cannot be kept in {self._paths.logs}: {error.strerror}.")

    def _append(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        # Not in text mode, whose ends of lines differ between systems, and which does not say how long the file is.
        with path.open("ab") as file:
            room = _MOST_BYTES - file.tell()
            if room > 0:
                encoded = text.encode(errors="replace")
                file.write(encoded if len(encoded) < room else encoded[:room] + _FULL.encode())


def _heading(outcome: StepOutcome | WorkerLost) -> str:
    match outcome:
        case Reported():
            what = f"epoch {outcome.report.epoch}"
        case Concluded():
            what = f"evaluation of epoch {outcome.epoch}"
        case StorageAway():
            what = "the storage is away"
        case Infeasible():
            what = "infeasible"
        case Failed() | Crashed():
            what = "failed"
        case WorkerLost():
            what = "the process was lost"
    return f"{what}, {time.strftime('%H:%M:%S')}"


def _trouble(outcome: StepOutcome | WorkerLost) -> str:
    match outcome:
        case Crashed() | WorkerLost():
            told = outcome.error
        case Failed():
            told = outcome.error or outcome.reason
        case Infeasible():
            told = outcome.reason
        case _:
            return ""
    return told.rstrip("\n") + "\n"
