"""Where runs and data are kept, and what time it is there."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tuner.data import DATA_DIR_VARIABLE, data_dir_of, fashion_mnist, user_cache_dir
from tuner.engine.checkup.finding import Finding, note, ok, problem
from tuner.engine.run_folder import LEAST_FREE_BYTES
from tuner.errors import ConfigError, DataError
from tuner.io import storage

_GIB = 2**30
_CLOCKS_DIFFER = 60.0
"""Seconds between two clocks that a reader of times would stumble over."""


def runs(location: str) -> Iterator[Finding]:
    """Look at whether runs can be kept at `location`, and whether the clock there is ours.

    Folders that are missing are made, as a run would make them, and taken away again.
    """
    folder = None if storage.is_bucket(location) else Path(location).absolute()
    try:
        storage.check_location("--storage", location)
        with contextlib.nullcontext() if folder is None else _made(folder):
            written = _write(storage.place(location))
            free = 0 if folder is None else shutil.disk_usage(folder).free
    except (OSError, ConfigError) as error:
        reason = storage.explain(error) if isinstance(error, OSError) else str(error)
        yield problem("runs", f"{location} cannot be written: {reason}.", "tuner run --storage FOLDER")
        return
    if folder is None:
        yield ok("runs", f"{location} can be written")
        return
    text = f"{folder} can be written, with {free / _GIB:.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        yield problem(
            "runs", f"{text}, but a run needs {LEAST_FREE_BYTES / _GIB:.0f} GiB.", "tuner run --storage FOLDER"
        )
    else:
        yield ok("runs", text)
    yield from clock(time.time(), written, Path(__file__).stat().st_mtime)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make the folder and those above it that are missing, for a while; raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for one in missing:
            with contextlib.suppress(OSError):  # it was not made, or somebody else keeps something there by now
                one.rmdir()


def _write(place: storage.Place) -> float:
    """Write a file, delete it, and return when it was written by the place's own clock; raises OSError."""
    name = f".probe-{uuid.uuid4().hex}"
    with place.scratch() as scratch:
        made = scratch / f"{name}.made"
        try:
            made.write_text(name)
            written = made.stat().st_mtime
            place.put(made, name)
        finally:
            made.unlink(missing_ok=True)  # what a full disk does not take
    place.delete(name)
    return written


def clock(now: float, written: float, installed: float) -> Iterator[Finding]:
    """Look at this machine's clock, beside the time of a file just written and of our own source."""
    mend = "sudo timedatectl set-ntp true"
    if now < installed - _CLOCKS_DIFFER:
        yield problem("clock", f"it is {time.ctime(now)} here, earlier than tuner was installed.", mend)
    elif abs(now - written) > _CLOCKS_DIFFER:
        text = (
            f"the machine that keeps the runs is {abs(now - written):.0f}s off this one; times in reports will differ."
        )
        yield note("clock", text, mend)
    else:
        yield ok("clock", time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now)))


def data(given: Path | None) -> Iterator[Finding]:
    """Look at the files of Fashion-MNIST, each by its md5."""
    folder = data_dir_of(given)
    try:
        fashion_mnist.check_files(folder or user_cache_dir())
        yield ok("data", f"Fashion-MNIST is in {folder or user_cache_dir()}, and its four md5 are right")
    except DataError as error:
        if folder is not None:
            named = "--data-dir" if given is not None else f"${DATA_DIR_VARIABLE}"
            mend = "unset TUNER_DATA_DIR   # then it is downloaded" if given is None else "tuner doctor"
            yield problem("data", f"{named} is {str(folder)!r}, but: {error}", mend)
        else:
            text = f"Fashion-MNIST is not in {user_cache_dir()} yet. The first run that wants it downloads it (30 MB)."
            yield note("data", text, "tuner describe --dataset fashion-mnist")
