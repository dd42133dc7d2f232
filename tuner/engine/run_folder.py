"""Making the folder of a new run, and opening that of an earlier one, to go on with it or to read it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import platformdirs

from tuner.config import StudyConfig
from tuner.errors import JournalError, StorageError
from tuner.io import storage
from tuner.io.mirror import Mirror
from tuner.paths import RunPaths

_LEAST_FREE_BYTES = 1 << 30
"""Checkpoints of a few trainings and the log; below this a study is likely to end for want of space."""


def create_run(config: StudyConfig) -> RunPaths:
    """Make the folder of a new run and return its paths.

    Raises:
        StorageError: if it exists, cannot be made, or there is too little space.
    """
    name = config.name or f"{datetime.now():%Y-%m-%d-%H%M%S}-{Path(config.space).stem}"
    if storage.is_bucket(config.storage):
        return _create_in_bucket(f"{config.storage.rstrip('/')}/{name}")
    root = (Path(config.storage) / name).absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"--storage is {config.storage!r}, which cannot be made: {error.strerror}.") from error
    try:
        root.mkdir()
    except FileExistsError:
        raise StorageError(
            f"{Path(config.storage) / name} exists: give another --name, or go on with --resume."
        ) from None
    except OSError as error:
        raise StorageError(f"{Path(config.storage) / name} cannot be made: {error.strerror}.") from error
    try:
        check_space(root)
    except StorageError:
        root.rmdir()
        raise
    return RunPaths(root)


def open_run(run: str | Path) -> RunPaths:
    """Return the paths of an earlier run; raises StorageError if there is none or it cannot be written."""
    if storage.is_bucket(run):
        return _open_in_bucket(str(run).rstrip("/"))
    run = Path(run)
    if not run.is_dir():
        raise StorageError(f"--resume is {str(run)!r}, but there is no such folder.")
    if not os.access(run, os.W_OK):
        raise StorageError(f"--resume is {str(run)!r}, but it cannot be written.")
    check_space(run)
    return RunPaths(run.absolute())


@contextmanager
def reading_run(run: str | Path) -> Iterator[RunPaths]:
    """Yield the paths of a run that is only read: its own folder or, of one in a bucket, a copy that is then deleted.

    A driver may be at work on it; what it has published by now is in the copy.

    Raises:
        JournalError: if there is no such run.
        StorageError: if the bucket cannot be read.
    """
    if not storage.is_bucket(run):
        if not Path(run).is_dir():
            raise JournalError(f"{run} is no folder: give the folder of a run, such as runs/NAME.")
        yield RunPaths(Path(run))
        return
    remote = str(run).rstrip("/")
    with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
        paths = _copy_of(remote, Path(folder))
        if not _pull(paths):
            raise JournalError(f"{remote} holds no run.")
        yield paths


def delete_run(paths: RunPaths) -> None:
    """Delete a run that never began."""
    shutil.rmtree(paths.root)
    if paths.remote is not None:
        storage.place(paths.remote).delete_all()


def _create_in_bucket(remote: str) -> RunPaths:
    paths = _working_copy_of(remote)
    if Mirror(paths).exists():
        raise StorageError(f"{remote} exists: give another --name, or go on with --resume.")
    shutil.rmtree(paths.root, ignore_errors=True)
    paths.root.mkdir(parents=True)
    check_space(paths.root)
    return paths


def _open_in_bucket(remote: str) -> RunPaths:
    paths = _working_copy_of(remote)
    if not _pull(paths):
        raise StorageError(f"--resume is {remote!r}, but there is no run.")
    check_space(paths.root)
    return paths


def _working_copy_of(remote: str) -> RunPaths:
    """Return the paths of a run in a bucket, whose copy on this machine is in the user's cache."""
    folder = hashlib.sha256(remote.encode()).hexdigest()[:12]
    return _copy_of(remote, platformdirs.user_cache_path("tuner") / "runs" / folder)


def _copy_of(remote: str, folder: Path) -> RunPaths:
    """Return the paths of a run in a bucket, whose copy on this machine is in `folder` under the run's name."""
    return RunPaths(folder / remote.rsplit("/", 1)[1], remote)


def _pull(paths: RunPaths) -> bool:
    """Make the copy what the bucket says; return False if that holds no run."""
    mirror = Mirror(paths)
    if not mirror.exists():
        return False
    mirror.pull()
    return True


def check_space(folder: Path) -> None:
    """Raise StorageError if the disk below `folder` is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        least = _LEAST_FREE_BYTES >> 20
        raise StorageError(f"{folder} has {free >> 20} MiB free, but a run needs at least {least} MiB.")
