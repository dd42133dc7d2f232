"""Reading a run, wherever it is kept: its own folder, or a copy of what is in a bucket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import JournalError
from tuner.io import storage
from tuner.io.mirror import Mirror
from tuner.paths import RunPaths, at_home


@contextmanager
def reading_run(run: str | Path) -> Iterator[RunPaths]:
    """Yield the paths of a run that is only read: its own folder or, of one in a bucket, a copy that is then deleted.

    A driver may be at work on it; what it has published by now is in the copy.

    Raises:
        ConfigError: if it is an address, but not that of a place in a bucket.
        JournalError: if there is no such run.
        StorageError: if the bucket cannot be read.
    """
    address = storage.address("RUN", run)
    if address is None:
        folder = Path(at_home(str(run)))
        if not folder.is_dir():
            raise JournalError(f"{run} is no folder: give the folder of a run, such as runs/NAME.")
        yield RunPaths(folder)
        return
    with tempfile.TemporaryDirectory(prefix="tuner-") as scratch:
        paths = copy_of(address, Path(scratch))
        if not Mirror(paths).pull():
            raise JournalError(f"{address} holds no run.")
        yield paths


def copy_of(address: str, folder: Path) -> RunPaths:
    """Return the paths of a run in a bucket, whose copy on this machine is in `folder` under the run's name."""
    return RunPaths(folder / address.rsplit("/", 1)[1], address)
