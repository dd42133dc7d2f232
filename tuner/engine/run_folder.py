"""Making the folder of a new run, and opening that of an earlier one, to go on with it."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
import shutil
from datetime import datetime
from pathlib import Path

import platformdirs

from tuner.config import StudyConfig
from tuner.errors import StorageError
from tuner.io import storage
from tuner.io.mirror import Mirror
from tuner.io.reading import copy_of
from tuner.journal.store import journal_lock
from tuner.paths import RunPaths, at_home

LEAST_FREE_BYTES = 1 << 30
"""Checkpoints of a few trainings and the log; below this a study is likely to end for want of space."""


def create_run(config: StudyConfig) -> RunPaths:
    """Make the folder of a new run and return its paths.

    Without a name it is named after time and space; of several that begin in the same second, the later are counted. In
    a bucket chance tells them apart: nobody can be the first to make a name there, so two machines could take the same.

    Raises:
        StorageError: if it exists, cannot be made, or there is too little space.
    """
    if config.name is not None:
        paths = _create(config, config.name)
        if paths is None:
            raise StorageError(f"{_shown(config, config.name)} exists: give another --name, or go on with --resume.")
        return paths
    space = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(config.space).stem)
    name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{space}"
    if storage.is_bucket(config.storage):
        name += f"-{secrets.token_hex(3)}"
    later = (f"{name}-{place}" for place in itertools.count(2))
    return next(paths for one in itertools.chain([name], later) if (paths := _create(config, one)) is not None)


def _create(config: StudyConfig, name: str) -> RunPaths | None:
    """Return the paths of a new run of that name; None if there is one already."""
    if storage.is_bucket(config.storage):
        return _create_in_bucket(_shown(config, name))
    root = (Path(config.storage) / name).absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"--storage is {config.storage!r}, which cannot be made: {error.strerror}.") from error
    try:
        root.mkdir()
    except FileExistsError:
        return None
    except OSError as error:
        raise StorageError(f"{_shown(config, name)} cannot be made: {error.strerror}.") from error
    try:
        check_space(root)
    except StorageError:
        root.rmdir()
        raise
    return RunPaths(root)


def _shown(config: StudyConfig, name: str) -> str:
    """Return where a run of that name is, in the user's words."""
    if storage.is_bucket(config.storage):
        return f"{config.storage.rstrip('/')}/{name}"
    return str(Path(config.storage) / name)


def open_run(run: str | Path) -> RunPaths:
    """Return the paths of an earlier run.

    Raises:
        ConfigError: if it is an address, but not that of a place in a bucket.
        JournalError: if a driver is at work on this machine's copy of a run in a bucket.
        StorageError: if there is no such run or it cannot be written.
    """
    address = storage.address("--resume", run)
    if address is not None:
        return _open_in_bucket(address)
    folder = Path(at_home(str(run)))
    if not folder.is_dir():
        raise StorageError(f"--resume is {str(run)!r}, but there is no such folder.")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"--resume is {str(run)!r}, but it cannot be written.")
    check_space(folder)
    return RunPaths(folder.absolute())


def _create_in_bucket(remote: str) -> RunPaths | None:
    """Return the paths of a new run in a bucket; None if there is one already."""
    paths = _working_copy_of(remote)
    with journal_lock(paths.journal):  # a driver that has published nothing yet may be at work
        mirror = Mirror(paths)
        if mirror.exists():
            return None
        mirror.clear()
    check_space(paths.root)
    return paths


def _open_in_bucket(remote: str) -> RunPaths:
    paths = _working_copy_of(remote)
    with journal_lock(paths.journal):  # else the copy of a driver that is at work would be taken from under it
        if not Mirror(paths).pull():
            raise StorageError(f"--resume is {remote!r}, but there is no run.")
    check_space(paths.root)
    return paths


def _working_copy_of(remote: str) -> RunPaths:
    """Return the paths of a run in a bucket, whose copy on this machine is in the user's cache."""
    folder = hashlib.sha256(remote.encode()).hexdigest()[:12]
    return copy_of(remote, platformdirs.user_cache_path("tuner") / "runs" / folder)


def check_space(folder: Path) -> None:
    """Raise StorageError if the disk below `folder` is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        least = LEAST_FREE_BYTES >> 20
        raise StorageError(f"{folder} has {free >> 20} MiB free, but a run needs at least {least} MiB.")
