"""Ctrl-C once ends the search and goes on to the results; twice, or SIGTERM, quits, and the run can be resumed.

SIGTERM does so from the command's first moment to its last, also where nothing is trained.
A terminal that is closed ends nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Signals that quit, and what they must not cut in two."""

    def __init__(self) -> None:
        """Begin without a signal."""
        self._deferring = False
        self._pending = False

    def quit(self) -> None:
        """Raise KeyboardInterrupt, if need be after the block that defers it."""
        if self._deferring:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block finish before a signal quits."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt


@contextmanager
def interruptible(end_search: Callable[[], bool]) -> Iterator[Interrupts]:
    """Call `end_search` at the first SIGINT; raise KeyboardInterrupt at the second, or if it returns False.

    Outside the main thread, where Python handles no signals, this does nothing.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, on_terminate)
        if not end_search():
            interrupts.quit()

    def on_terminate(number: int, frame: FrameType | None) -> None:
        interrupts.quit()

    before = signal.signal(signal.SIGINT, on_interrupt), signal.signal(signal.SIGTERM, on_terminate)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


@contextmanager
def terminations_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM, which would else kill without a word.

    Outside the main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with sigterm_kept():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Put back after the block who handles SIGTERM, whoever else takes it over; outside the main thread nobody can."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def hangups_ignored() -> Iterator[None]:
    """Outlive the terminal: SIGHUP does nothing to this process and to those that it starts in the block."""
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
