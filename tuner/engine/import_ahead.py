"""What the processes that Ray starts import while they wait for a trial, on few CPUs one process after the other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path

from tuner.engine.processors import usable_cpus

_NEEDED = ("tuner.engine.trainable", "tuner.training.classifier")
_FEW_CPUS = 2
"""So many that the imports of the driver and one other process, 7 s or more each, keep them busy. In turn, the first
process is ready when the driver is; side by side, all are late."""


@contextmanager
def _in_turn() -> Iterator[None]:
    with Path(__file__).open("rb") as turn:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield


with _in_turn() if usable_cpus() <= _FEW_CPUS else nullcontext():
    for _name in _NEEDED:
        import_module(_name)
