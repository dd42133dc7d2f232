"""The checkpoints of one training on disk: written whole, named by their hash, the newest two kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from tuner.errors import StorageError
from tuner.training import checkpoints
from tuner.training.fit import Training

_KEPT = 2
"""The newest may be found damaged; the one before is then the fallback."""


class CheckpointStore:
    """A folder of checkpoints. A name holds the epoch and the content's hash, which tells a damaged file."""

    def __init__(self, folder: Path) -> None:
        """Keep checkpoints in `folder`, which is made when the first is saved."""
        self._folder = folder

    def save(self, training: Training) -> None:
        """Save a checkpoint and delete those no longer needed.

        Raises:
            StorageError: if it cannot be written.
        """
        temporary = self._folder / "unfinished.pt"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            sha256 = checkpoints.save(training, temporary)
            temporary.rename(self._folder / f"epoch-{training.epoch:05d}-{sha256}.pt")
            for old in self._newest_first()[_KEPT:]:
                old.unlink()
        except OSError as error:
            raise StorageError(f"no checkpoint can be written in {self._folder}: {error.strerror}.") from error

    def load_newest(self, training: Training) -> bool:
        """Load the newest undamaged checkpoint into `training`; False if there is none."""
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
