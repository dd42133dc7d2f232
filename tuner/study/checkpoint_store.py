"""The checkpoints of one training on disk: written whole, named by their hash, the newest two kept."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from tuner.errors import StorageError
from tuner.training import checkpoints
from tuner.training.fit import Training

_KEPT = 2
"""The newest may be found damaged; the one before is then the fallback."""


class CheckpointStore:
    """A folder of checkpoints. A name holds the epoch and the content's hash, which tells a damaged file."""

    def __init__(self, folder: Path) -> None:
        """Keep checkpoints in `folder`, which is made when the first is saved; the folder above it must be there.

        A node of a cluster that lacks the shared folder must say so, not make one of its own.
        """
        self._folder = folder

    def save(self, training: Training) -> None:
        """Save a checkpoint and delete those no longer needed.

        Raises:
            StorageError: if it cannot be written.
        """
        # A host cut off from the cluster may go on with a training that another has taken up: no name is shared.
        host = socket.gethostname()
        temporary = self._folder / f"unfinished-{host}-{os.getpid()}.pt"
        try:
            self._folder.mkdir(exist_ok=True)
            sha256 = checkpoints.save(training, temporary)
            temporary.rename(self._folder / f"epoch-{training.epoch:05d}-{sha256}.pt")
            for old in self._newest_first()[_KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            where = f"in {self._folder} on {host}"
            raise StorageError(f"no checkpoint can be written {where}: {error.strerror}.") from error

    def load_newest(self, training: Training) -> bool:
        """Load the newest undamaged checkpoint into `training`; False if there is none.

        Raises:
            StorageError: if the storage is away: that there are no checkpoints could then not be told.
        """
        if not self._folder.parent.is_dir():
            raise StorageError(f"{self._folder.parent} on {socket.gethostname()} is gone.")
        for path in self._newest_first():
            try:
                checkpoints.load(training, path, path.stem.rsplit("-", 1)[1])
            except checkpoints.CheckpointError:
                continue
            return True
        return False

    def delete(self) -> None:
        """Delete all checkpoints; the training is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("epoch-*.pt"), reverse=True)
