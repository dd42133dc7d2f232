"""Waiting for storage that is full or gone for a while, and saying so, instead of ending at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tuner.errors import StorageError

MOST_SECONDS = 600.0
"""Storage that is away for longer ends the driver; the run can be resumed when it is back."""
_SECONDS_BETWEEN = 2.0

T = TypeVar("T")


class Outage:
    """Whether one user of the storage, the driver or a training, can write at present, and since when it cannot."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Tell the user with `say`."""
        self._say = say
        self._since: float | None = None

    def retry(self, call: Callable[[], T]) -> T:
        """Return what `call` does, called again until it no longer fails for the storage.

        Raises:
            StorageError: after `MOST_SECONDS`.
        """
        while True:
            try:
                result = call()
            except StorageError as error:
                self.wait(error)
            except OSError as error:
                self.wait(StorageError(f"{error.filename or 'a file'} cannot be used: {error.strerror or error}."))
            else:
                self.over()
                return result

    def wait(self, error: StorageError) -> None:
        """Note that the storage is away and wait a little; raises StorageError as `note` does."""
        self.note(error)
        time.sleep(_SECONDS_BETWEEN)

    def note(self, error: StorageError) -> None:
        """Say that the storage is away, once; raises StorageError if it has been for too long."""
        if self._since is None:
            self._since = time.monotonic()
            self._say(f"WAITING: {error} The run goes on when that is possible, and ends in {_minutes()} if it is not.")
        elif time.monotonic() - self._since > MOST_SECONDS:
            raise StorageError(f"{error} It has been so for {_minutes()}: when it is over, go on with --resume.")

    def over(self) -> None:
        """Take note that the storage works."""
        if self._since is not None:
            self._say("The storage is back.")
        self._since = None


def _minutes() -> str:
    return f"{MOST_SECONDS / 60:g} minutes"
