"""Ending a worker process that hangs, from a thread that needs nothing of Python to do it.

The process is ended, not the call: whatever it hangs in, a deadlock, a dead file system's driver or a kernel's loop,
would not listen to an exception.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tuner.errors import StorageError
from tuner.home import is_our_own
from tuner.io import storage

_STANDARD_ERROR = 2


@contextmanager
def watched(seconds: float | None, checkpoints: str | Path, of_bucket: Path | None = None) -> Iterator[None]:
    """End the process if the block takes more than `seconds` (None: never).

    Where it hung is left beside the training's place for `checkpoints`; raises StorageError if that cannot be written.
    What hangs cannot write to a bucket: for such a place it is left in the file `of_bucket` on the driver's machine. On
    another one its folder is not there, and what is written to standard error stays in Ray's log of the process.
    """
    if seconds is None:
        yield
        return
    with _opened(_report_file(checkpoints, of_bucket)) as report:
        faulthandler.dump_traceback_later(seconds, exit=True, file=report)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[str] | int]:
    """Open a file, standard error if there is none, and delete it if the block comes to its end."""
    if file is None:
        yield _STANDARD_ERROR
        return
    try:
        handle = file.open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be written: {error.strerror}.") from error
    try:
        yield handle
    finally:
        with suppress(OSError):  # nothing was written, so nothing is lost: least of all what the block has done
            handle.close()
    with suppress(OSError):
        file.unlink(missing_ok=True)


def take_report(checkpoints: str | Path, of_bucket: Path | None = None) -> str | None:
    """Return and delete what a process that was ended for hanging has left; None if it was ended by something else.

    The arguments are those of `watched`.
    """
    file = _report_file(checkpoints, of_bucket)
    if file is None:
        return None
    try:
        report = file.read_text(encoding="utf-8", errors="replace").strip()
        file.unlink(missing_ok=True)
    except OSError:
        return None
    return f"{report}\nit hung: its epoch took more than --trial-timeout allows" if report else None


def _report_file(checkpoints: str | Path, of_bucket: Path | None) -> Path | None:
    if not storage.is_bucket(checkpoints):
        return Path(checkpoints).with_suffix(".hanging")
    # On another machine somebody else may have a folder of that name, with a link in it.
    return of_bucket if of_bucket is not None and is_our_own(of_bucket.parent) else None
