"""The log of each training: what it printed, epoch by epoch, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tuner.engine.outcome import Concluded, Crashed, Failed, Infeasible, Reported, StepOutcome, StorageAway, WorkerLost
from tuner.paths import RunPaths

_MOST_BYTES = 1_000_000
"""Of a file: a training that prints without end fills no disk."""
_FULL = "What it printed from now on is not kept: this file is full.\n"


class TrainingLogs:
    """A file for each training that printed something or failed."""

    def __init__(self, paths: RunPaths, say: Callable[[str], None]) -> None:
        """Write into the run at `paths`; tell with `say` if that fails."""
        self._paths = paths
        self._say = say
        self._has_failed = False
        self._full: set[Path] = set()

    def take(self, checkpoints: str | Path, outcome: StepOutcome | WorkerLost, printed: str) -> None:
        """Append what the training with these checkpoints printed in a step, and what went wrong there.

        That it cannot be written is told once, and nothing else comes of it: no training depends on it.
        """
        trouble = _trouble(outcome)
        if not printed.strip() and not trouble:
            return
        try:
            self._append(self._paths.log_of(checkpoints), _heading(outcome), printed, trouble)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                self._say(f"NOTICE: what trainings print cannot be kept in {self._paths.logs}: {error.strerror}.")

    def _append(self, path: Path, heading: str, printed: str, trouble: str) -> None:
        path.parent.mkdir(exist_ok=True)
        # Not in text mode, whose ends of lines differ between systems, and which does not say how long the file is.
        with path.open("ab") as file:
            if path in self._full:
                printed = ""
            elif file.tell() + len(printed) > _MOST_BYTES:
                printed = _FULL
                self._full.add(path)
            if printed or trouble:  # why it failed is kept in any case: a training fails only a few times
                file.write(f"--- {heading}\n{printed}{trouble}".encode(errors="replace"))


def _heading(outcome: StepOutcome | WorkerLost) -> str:
    match outcome:
        case Reported():
            what = f"epoch {outcome.report.epoch}, {outcome.worker}"
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
    return f"{what}, {time.strftime('%Y-%m-%d %H:%M:%S')}"


def _trouble(outcome: StepOutcome | WorkerLost) -> str:
    match outcome:
        case Failed():
            told = outcome.reason if outcome.error is None else f"{outcome.reason}\n{outcome.error}"
        case Crashed() | WorkerLost():
            told = outcome.error
        case Infeasible():
            told = outcome.reason
        case _:
            return ""
    return told.rstrip("\n") + "\n"
