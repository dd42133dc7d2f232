"""The checkpoints of one training: written whole, named by their hash, the newest two kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

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
                self._place.put(made, f"{_epoch(training.epoch)}-{sha256}.pt")
            killed = [name for name in self._place.names() if name.startswith(f"unfinished-{host}-")]
            newest = self._newest_first()
            # Of later epochs those are left that could not be read: as the newest they would outlive this one.
            beyond = [name for name in newest if name >= _epoch(training.epoch + 1)]
            self._place.delete(*beyond, *newest[len(beyond) + _KEPT :], *killed)
        except OSError as error:
            where = f"in {self._location} on {host}"
            raise StorageError(f"no checkpoint can be written {where}: {storage.explain(error)}.") from error

    def newest(self) -> Any:
        """Return the state of the newest undamaged checkpoint, None if there is none.

        Raises:
            StorageError: if the storage is away: that there are no good checkpoints could then not be told.
        """
        unread: OSError | None = None
        try:
            for name in self._newest_first():
                try:
                    with self._place.local(name) as path:
                        return checkpoints.load_state(path, name.removesuffix(".pt").rsplit("-", 1)[1])
                except checkpoints.CheckpointError as error:
                    unread = error.__cause__ if isinstance(error.__cause__, OSError) else unread
        except OSError as error:
            unread = error
        if unread is not None:
            raise storage.unreadable(f"{self._location} on {socket.gethostname()}", unread) from unread
        return None

    def delete(self) -> None:
        """Delete all checkpoints; the training is over."""
        self._place.delete_all()

    def _newest_first(self) -> list[str]:
        names = self._place.names()
        return sorted((name for name in names if name.startswith("epoch-")), reverse=True)


def _epoch(number: int) -> str:
    return f"epoch-{number:05d}"
