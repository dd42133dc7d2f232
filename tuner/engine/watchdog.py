"""Ending a worker process that hangs, from a thread that needs nothing of Python to do it.

The process is ended, not the call: whatever it hangs in, a deadlock, a dead file system's driver or a kernel's loop,
would not listen to an exception.
"""

from __future__ import annotations

import faulthandler
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tuner.errors import StorageError
from tuner.home import folder_of_our_own
from tuner.io import storage


@contextmanager
def watched(seconds: float | None, checkpoints: str | Path) -> Iterator[None]:
    """End the process if the block takes more than `seconds` (None: never).

    Where it hung is left beside the training's place for `checkpoints`; raises StorageError if that cannot be written.
    What hangs cannot write to a bucket: for such a place it is left on this machine, and read only if the driver's is
    the same.
    """
    if seconds is None:
        yield
        return
    try:
        file = _report_file(checkpoints)
        handle = file.open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be written: {error.strerror}.") from error
    faulthandler.dump_traceback_later(seconds, exit=True, file=handle)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        with suppress(OSError):  # nothing was written, so nothing is lost: least of all what the block has done
            handle.close()
    with suppress(OSError):
        file.unlink(missing_ok=True)


def take_report(checkpoints: str | Path) -> str | None:
    """Return and delete what a process that was ended for hanging has left; None if it was ended by something else."""
    try:
        file = _report_file(checkpoints)
        report = file.read_text(encoding="utf-8", errors="replace").strip()
        file.unlink(missing_ok=True)
    except OSError:
        return None
    return f"{report}\nit hung: its epoch took more than --trial-timeout allows" if report else None


def _report_file(checkpoints: str | Path) -> Path:
    if storage.is_bucket(checkpoints):
        name = hashlib.sha256(str(checkpoints).encode()).hexdigest()[:16]
        return folder_of_our_own("hanging") / f"{name}.hanging"  # else another could lay a link there
    return Path(checkpoints).with_suffix(".hanging")
