"""The runs below a folder or a bucket's prefix, by name; what is not among them cannot be asked for."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from tuner.io import storage
from tuner.io.follow import Follower
from tuner.paths import RunPaths

DEFAULT_FOLDER = "runs"


class RunsFolder:
    """Where runs are. Only names that stand in the listing lead to files, so none leads out of the folder."""

    def __init__(self, location: str) -> None:
        """List the runs at `location`: a folder or an `s3://` address, with runs below it or a run itself.

        Raises:
            StorageError: if it cannot be read.
        """
        self._alone: str | None = None
        try:
            is_run = _holds_run(location)
        except OSError as error:
            raise storage.unreadable(location, error) from error
        if is_run:
            location, _, self._alone = _absolute(location).rpartition("/")
        self.location = location.rstrip("/") or "/"
        self._runs: set[str] = set()
        """Names known to be those of runs; what is one stays one."""

    @property
    def first_path(self) -> str:
        """The path of the page to begin with."""
        from urllib.parse import quote

        return "/" if self._alone is None else f"/runs/{quote(self._alone, safe='')}"

    @property
    def is_bucket(self) -> bool:
        """Whether looking costs a request to a store."""
        return storage.is_bucket(self.location)

    def names(self) -> list[str]:
        """Return the names of the runs; none if there is no such folder yet.

        Raises:
            StorageError: if it cannot be read.
        """
        try:
            found = [self._alone] if self._alone is not None else storage.place(self.location).folders()
            return [name for name in found if self._is_run(name)]
        except OSError as error:
            raise storage.unreadable(self.location, error) from error

    def source(self, name: str) -> RunSource | None:
        """Return where the run of that name is; None if there is no such run. Raises as `names` does."""
        return RunSource(self._location_of(name)) if name in self._runs or name in self.names() else None

    def _is_run(self, name: str) -> bool:
        with contextlib.suppress(PermissionError):  # somebody else's folder, beside ours
            if name not in self._runs and name.isprintable() and _holds_run(self._location_of(name)):
                self._runs.add(name)
        return name in self._runs

    def _location_of(self, name: str) -> str:
        return f"{self.location.rstrip('/')}/{name}"


class RunSource:
    """One run's files: its own folder, or a copy of its journal that is kept up with the bucket's."""

    def __init__(self, location: str) -> None:
        """Read the run at `location`, a folder or an `s3://` address."""
        self.location = location
        self._follower: Follower | None = None
        if storage.is_bucket(location):
            self._scratch = tempfile.TemporaryDirectory(prefix="tuner-serve-")
            self.paths = RunPaths(Path(self._scratch.name), location)
            self._follower = Follower(self.paths)
        else:
            self.paths = RunPaths(Path(location))

    @property
    def is_bucket(self) -> bool:
        """Whether looking costs a request to a store."""
        return self._follower is not None

    @property
    def has_owner(self) -> bool | None:
        """Whether a driver holds the run in the bucket; None of a run in a folder, where files do not tell."""
        return None if self._follower is None else self._follower.has_owner

    def update(self) -> None:
        """Bring the copy up to date, if it is one; raises StorageError if the bucket cannot be read."""
        if self._follower is not None:
            self._follower.update()

    def size(self) -> tuple[tuple[str, int, int], ...]:
        """Return what is equal for as long as the journal is not changed."""
        # Parts of segments, too: a copy to which they come can no longer be shown.
        found = ((path.name, path.stat()) for path in self.paths.journal.glob("*.jsonl*"))
        return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def _holds_run(location: str) -> bool:
    if storage.is_bucket(location):
        return "journal" in storage.place(location).folders()
    journal = Path(location) / "journal"
    # A run may be called "journal" too: its files lie in another folder below.
    # Of a copy from a bucket there may be parts of segments alone, which cannot be shown: that is told, too.
    return journal.is_dir() and ((journal / "lock").exists() or any(journal.glob("*.jsonl*")))


def _absolute(location: str) -> str:
    return location.rstrip("/") if storage.is_bucket(location) else str(Path(location).resolve())
