"""Ending a worker process that hangs, from a thread that needs nothing of Python to do it.

The process is ended, not the call: whatever it hangs in, a deadlock, a dead file system's driver or a kernel's loop,
would not listen to an exception.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import StorageError


@contextmanager
def watched(seconds: float | None, checkpoints: Path) -> Iterator[None]:
    """End the process if the block takes more than `seconds` (None: never).

    Where it hung is left beside the training's folder of `checkpoints`; raises StorageError if that cannot be written.
    """
    if seconds is None:
        yield
        return
    file = _report_file(checkpoints)
    try:
        handle = file.open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.") from error
    with handle:
        faulthandler.dump_traceback_later(seconds, exit=True, file=handle)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    file.unlink(missing_ok=True)


def take_report(checkpoints: Path) -> str | None:
    """Return and delete what a process that was ended for hanging has left; None if it was ended by something else."""
    file = _report_file(checkpoints)
    try:
        report = file.read_text(encoding="utf-8", errors="replace").strip()
        file.unlink(missing_ok=True)
    except OSError:
        return None
    return f"{report}\nit hung: its epoch took more than --trial-timeout allows" if report else None


def _report_file(checkpoints: Path) -> Path:
    return checkpoints.with_suffix(".hanging")
