"""Ctrl-C once ends the search and goes on to the results; twice, or SIGTERM, quits, and the run can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(end_search: Callable[[], bool]) -> Iterator[None]:
    """Call `end_search` at the first SIGINT; raise KeyboardInterrupt at the second, or if it returns False.

    Outside the main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, on_terminate)
        if not end_search():
            raise KeyboardInterrupt

    def on_terminate(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt), signal.signal(signal.SIGTERM, on_terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
