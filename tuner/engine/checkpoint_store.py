"""The checkpoints of one training: written whole, named by their hash, the newest two kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tuner.errors import StorageError
from tuner.io import storage
from tuner.training import checkpoints
from tuner.training.session import Session

_KEPT = 2
"""The newest may be found damaged; the one before is then the fallback."""


class CheckpointStore:
    """A place with checkpoints. A name holds the epoch and the content's hash, which tells a damaged file."""

    def __init__(self, location: str | Path) -> None:
        """Keep checkpoints at `location`, a folder or an `s3://` address of their own."""
        self._location = location
        self._place = storage.place(location)

    def save(self, training: Session) -> None:
        """Save a checkpoint; delete those no longer needed, and what a process killed on this host left unfinished.

        Raises:
            StorageError: if it cannot be written.
        """
        host = socket.gethostname()
        try:
            with self._place.scratch() as folder:
                # A host cut off from the cluster may go on with a training that another has taken up.
                made = folder / f"unfinished-{host}-{os.getpid()}.pt"
                sha256 = checkpoints.save(training, made)
                self._place.put(made, f"epoch-{training.epoch:05d}-{sha256}.pt")
            killed = [name for name in self._place.names() if name.startswith(f"unfinished-{host}-")]
            for old in [*self._newest_first()[_KEPT:], *killed]:
                self._place.delete(old)
        except OSError as error:
            where = f"in {self._location} on {host}"
            raise StorageError(f"no checkpoint can be written {where}: {storage.explain(error)}.") from error

    def load_newest(self, training: Session) -> bool:
        """Load the newest undamaged checkpoint into `training`; False if there is none.

        Raises:
            StorageError: if the storage is away: that there are no checkpoints could then not be told.
        """
        try:
            for name in self._newest_first():
                with self._place.local(name) as path:
                    if _loaded(training, path, name):
                        return True
        except OSError as error:
            raise self._unreadable(error) from error
        return False

    @property
    def is_empty(self) -> bool:
        """Whether there are no checkpoints, good or damaged; raises StorageError if the storage is away."""
        try:
            return not self._newest_first()
        except OSError as error:
            raise self._unreadable(error) from error

    def delete(self) -> None:
        """Delete all checkpoints; the training is over."""
        self._place.delete_all()

    def _unreadable(self, error: OSError) -> StorageError:
        return storage.unreadable(f"{self._location} on {socket.gethostname()}", error)

    def _newest_first(self) -> list[str]:
        names = self._place.names()
        return sorted((name for name in names if name.startswith("epoch-")), reverse=True)


def _loaded(training: Session, path: Path, name: str) -> bool:
    try:
        checkpoints.load(training, path, name.removesuffix(".pt").rsplit("-", 1)[1])
    except checkpoints.CheckpointError:
        return False
    return True
