"""Draws now and then, beside the driver: when something has changed, and once a second for the clock."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

DRAWING = "tuner-live"
"""The thread's name."""
_LEAST_PAUSE = 0.25
"""Seconds between two drawings at least."""
_CLOCK = 1.0
"""Seconds after which the clock alone is worth a drawing."""
_SHARE = 0.005
"""Of the time, at most this much is spent on drawing, however slow the machine or long the view."""


class Ticker:
    """A thread that calls `draw`, never more often than is fit."""

    def __init__(self, draw: Callable[[], None]) -> None:
        """Call `draw` while the block lasts."""
        self._draw = draw
        self._changed = threading.Event()
        self._over = threading.Event()
        # A notebook's output finds its cell by the context that it is made in.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True, name=DRAWING)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._changed.set()
        self._thread.join()

    def changed(self) -> None:
        """Say that there is something new to draw."""
        if not self._changed.is_set():
            self._changed.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._changed.clear()
            began = time.thread_time()
            self._draw()
            spent = time.thread_time() - began
            if self._over.wait(max(_LEAST_PAUSE, spent / _SHARE)):
                return
            self._changed.wait(_CLOCK)
