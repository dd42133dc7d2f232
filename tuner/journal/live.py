"""A run's history, kept up with a journal that is being written."""

from __future__ import annotations

from pathlib import Path

from tuner.errors import JournalError
from tuner.journal.history import History, fold
from tuner.journal.store import JournalReader


class LiveHistory:
    """The history of a journal; keeping up costs as much as what has been added, however long the journal is."""

    def __init__(self, folder: Path) -> None:
        """Follow the journal in `folder`; nothing is read yet, and nothing is ever written."""
        self._folder = folder
        self._reader = JournalReader(folder)
        self.history: History | None = None
        """None until the run has begun."""
        self.began: float | None = None
        self.heard: float | None = None
        """Seconds since the epoch at the first and the last event; None until the run has begun."""

    def refresh(self) -> bool:
        """Take what has been added since the last call and return whether there was anything.

        Raises:
            JournalError: if the journal cannot be read. The next call begins at its first event.
        """
        try:
            return self._take_new()
        except JournalError:
            was_begun = self.history is not None
            self._restart()
            if not was_begun:
                raise
        return self._take_new()  # the journal is another one than the one that was followed

    def _restart(self) -> None:
        self._reader = JournalReader(self._folder)
        self.history = self.began = self.heard = None

    def _take_new(self) -> bool:
        entries = self._reader.read()
        if not entries:
            return False
        if self.history is None:
            self.history, self.began = fold(entries), entries[0].time
        else:
            for entry in entries:
                self.history.take(entry)
        self.heard = entries[-1].time
        return True
