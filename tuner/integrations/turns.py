"""Taking turns with a function that trains from its first epoch to its last in one call.

Most libraries train in such a call. It runs in a thread of its own, which stops wherever it hands something over until
it is asked for more: so whoever decides about the trial does so between two epochs, and nothing runs ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS_TO_LEAVE = 5.0
"""A call that is told to end and goes on is left behind; its thread ends with the process."""


class Leaving(BaseException):
    """The call is to end. No ordinary exception: what catches those must not go on training."""


class Turns(Generic[T]):
    """One call in a thread of its own; only one of the two sides ever runs."""

    def __init__(self, call: Callable[[], object]) -> None:
        """Prepare the call, which will use `hand_over`."""
        self._call = call
        self._thread = threading.Thread(target=self._run, name="taking turns", daemon=True)
        self._may_go_on = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._handed_over: list[T] = []
        """What was not taken yet, at most one."""
        self._error: BaseException | None = None
        self.is_over = False
        """Whether the call has returned or raised."""
        self.is_leaving = False
        """Whether the call is to end."""

    def next(self) -> T | None:
        """Let the call go on and return what it hands over next; None if it returns. Raises what it raises."""
        if self.is_over:
            return None
        self._resume()
        self._has_stopped.acquire()
        if self._error is not None:
            raise self._error
        return self._handed_over.pop() if self._handed_over else None

    def hand_over(self, item: T) -> None:
        """Give an item to whoever asks and wait to be asked again; called by the call.

        Raises:
            Leaving: if the call is to end.
        """
        if not self.is_leaving:
            self._handed_over.append(item)
            self._has_stopped.release()
            self._may_go_on.acquire()
        if self.is_leaving:
            raise Leaving

    def leave_behind(self, item: T) -> None:
        """Give a last item, of a call that is about to return."""
        self._handed_over.append(item)

    def close(self) -> None:
        """Tell the call to end, and wait for that a little."""
        if self._thread.ident is None or self.is_over:
            return
        self.is_leaving = True
        self._resume()
        self._thread.join(_SECONDS_TO_LEAVE)

    def _resume(self) -> None:
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._may_go_on.release()

    def _run(self) -> None:
        try:
            self._call()
        except Leaving:
            pass
        except BaseException as error:  # also SystemExit: it must reach the one who asks
            self._error = None if self.is_leaving else error
        finally:
            self.is_over = True
            self._has_stopped.release()
