"""Entering a context in a thread, while the rest of the program goes on; what it logs is kept for later."""

from __future__ import annotations

import logging
import logging.handlers
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

_MOST_RECORDS = 10_000


class EarlyStart:
    """A context that is entered and left in a thread of its own, such as that of a Ray, which takes seconds to start.

    The thread lives as long as the context is held: on Linux, the processes that it starts die with it.
    """

    def __init__(self, context: AbstractContextManager[None], logger: str) -> None:
        """Begin to enter `context`; what `logger` says from now on is kept until somebody listens to it."""
        self._context = context
        self._logger = logging.getLogger(logger)
        self._said = logging.handlers.MemoryHandler(_MOST_RECORDS, flushLevel=logging.CRITICAL + 1)
        self._logger.handlers, self._logger.propagate = [self._said], False
        self._error: BaseException | None = None
        self._is_entered = threading.Event()
        """Or cannot be."""
        self._may_leave = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="early-start", daemon=True)
        self._thread.start()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Wait until the context is entered, hold it for the block, and leave it; raises what entering it raised."""
        try:
            self._is_entered.wait()
            for record in tuple(self._said.buffer):
                self._logger.handle(record)
            if self._error is not None:
                raise self._error
            yield
        finally:
            self._may_leave.set()
            self._thread.join()

    def leave(self, seconds: float) -> bool:
        """Leave the context, or as soon as it is entered; return whether that is done after so many seconds at most."""
        self._may_leave.set()
        self._thread.join(seconds)
        return not self.is_held

    @property
    def is_held(self) -> bool:
        """Whether the context may still be entered or left."""
        return self._thread.is_alive()

    def _hold(self) -> None:
        try:
            with self._context:
                self._is_entered.set()
                self._may_leave.wait()
        except BaseException as error:  # for whoever waits
            self._error = error
            self._is_entered.set()
