"""Making the folder of a new run, and opening that of an earlier one."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from tuner.config import StudyConfig
from tuner.errors import StorageError
from tuner.paths import RunPaths

_LEAST_FREE_BYTES = 1 << 30
"""Checkpoints of a few trainings and the log; below this a study is likely to end for want of space."""


def create_run(config: StudyConfig) -> RunPaths:
    """Make the folder of a new run and return its paths.

    Raises:
        StorageError: if it exists, cannot be made, or there is too little space.
    """
    name = config.name or f"{datetime.now():%Y-%m-%d-%H%M%S}-{Path(config.space).stem}"
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
    paths = RunPaths(root)
    paths.checkpoints.mkdir()
    return paths


def open_run(run: Path) -> RunPaths:
    """Return the paths of an earlier run; raises StorageError if there is none or it cannot be written."""
    if not run.is_dir():
        raise StorageError(f"--resume is {str(run)!r}, but there is no such folder.")
    if not os.access(run, os.W_OK):
        raise StorageError(f"--resume is {str(run)!r}, but it cannot be written.")
    check_space(run)
    paths = RunPaths(run.absolute())
    paths.checkpoints.mkdir(exist_ok=True)
    return paths


def check_space(folder: Path) -> None:
    """Raise StorageError if the disk below `folder` is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        least = _LEAST_FREE_BYTES >> 20
        raise StorageError(f"{folder} has {free >> 20} MiB free, but a run needs at least {least} MiB.")
