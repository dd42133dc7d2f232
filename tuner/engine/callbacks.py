"""Telling callbacks and trackers what is in the journal, without the driver waiting for them.

Each has a thread and a queue of its own. The driver only puts the journal's entries into the queues. One that is so far
behind that its queue is full holds the driver up for `_SECONDS_HELD_UP` in all; from then on it is told no more, so
that what it was told is a beginning without gaps. At the end it has `_SECONDS_AT_THE_END` to work off what waits.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tuner.engine.run_log import say_to_log
from tuner.integrations.callback import Callback
from tuner.integrations.trackers import TRACKERS
from tuner.io.masking import mask_passwords
from tuner.journal.store import Entry
from tuner.results.told import Teller, Told, method_of, tell

_MOST_WAITING = 10_000
"""Entries in a queue: minutes of the busiest search, and a few megabytes."""
_SECONDS_HELD_UP = 1.0
_SECONDS_AT_THE_END = 60.0
_SECONDS_TO_STOP = 5.0
"""In place of those at the end, for a driver that is stopped."""
_SECONDS_WITHOUT_A_WORD = 2.0
"""Who waits for longer at the end is told for whom."""
_SECONDS_BETWEEN_LOOKS = 0.01

_Earlier = tuple[Entry, ...]
"""The entries of earlier drivers."""


class Callbacks:
    """All callbacks of a driver; used by the driver's own thread alone."""

    def __init__(self, callbacks: Sequence[Callback], name: str, folder: Path, say: Callable[[str], None]) -> None:
        """Tell of the run called `name` in `folder`; `say` shows the user a line."""
        self._say = say
        self._sayings: deque[str] = deque()
        """What the threads want to be said, which only the driver's says."""
        self._listeners = [_Listener(one, Teller(name, folder), self._sayings.append) for one in callbacks]

    def restore(self, entries: Sequence[Entry]) -> None:
        """Begin with what an earlier driver has written."""
        if entries:
            self._put(tuple(entries))

    def take(self, entries: Iterable[Entry]) -> None:
        """Tell what has just been written."""
        for entry in entries:
            self._put(entry)

    def __enter__(self) -> Self:
        for listener in self._listeners:
            listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.end()
        seconds = _SECONDS_AT_THE_END if error is None else _SECONDS_TO_STOP
        until = time.monotonic() + seconds
        if not self._join(time.monotonic() + min(_SECONDS_WITHOUT_A_WORD, seconds)):
            late = " and ".join(listener.name for listener in self._listeners if listener.is_telling)
            self._say(f"WAITING: {late} must be told the rest, which may take {seconds:g} seconds at most.")
        if not self._join(until):
            for listener in self._listeners:
                listener.give_up()
        self._say_what_waits()

    def _join(self, until: float) -> bool:
        """Wait until all is told, or until that time of the monotonic clock; return whether all is."""
        for listener in self._listeners:
            listener.join(until)
        return not any(listener.is_telling for listener in self._listeners)

    def _put(self, item: Entry | _Earlier) -> None:
        for listener in self._listeners:
            listener.put(item)
        self._say_what_waits()

    def _say_what_waits(self) -> None:
        while self._sayings:
            self._say(self._sayings.popleft())


class _Listener:
    """One callback and the thread that tells it."""

    def __init__(self, callback: Callback, teller: Teller, say: Callable[[str], None]) -> None:
        self._callback = callback
        self._teller = teller
        self._say = say
        self._queue: queue.SimpleQueue[Entry | _Earlier | None] = queue.SimpleQueue()
        """None is the end."""
        self._thread = threading.Thread(target=self._run, name=f"telling {self.name}", daemon=True)
        self._patience = _SECONDS_HELD_UP
        self._is_left_behind = False
        self._has_raised = False

    @property
    def name(self) -> str:
        """What the user knows it by."""
        tracker = next((name for name, one in TRACKERS.items() if type(self._callback).__module__ == one.module), None)
        return f"callback {type(self._callback).__qualname__}" if tracker is None else f"tracker {tracker}"

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def put(self, item: Entry | _Earlier) -> None:
        """Let it be told; if it is far behind, wait a little for it, but not for long over the whole run."""
        if self._is_left_behind:
            return
        while self._queue.qsize() >= _MOST_WAITING and self._patience > 0:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._patience -= _SECONDS_BETWEEN_LOOKS
        if self._queue.qsize() < _MOST_WAITING:
            self._queue.put(item)
            return
        self._is_left_behind = True
        self._say(
            f"NOTICE: {self.name} is {_MOST_WAITING:,} events behind and is told no more; the run goes on without it."
            f"{self._remedy()}"
        )

    def end(self) -> None:
        """Let the thread end when all is told."""
        self._queue.put(None)

    @property
    def is_telling(self) -> bool:
        """Whether not all is told."""
        return self._thread.is_alive()

    def join(self, until: float) -> None:
        """Wait until all is told, or until that time of the monotonic clock."""
        self._thread.join(max(0.0, until - time.monotonic()))

    def give_up(self) -> None:
        """Say what was not told, if there is anything."""
        if self.is_telling:
            waiting = self._queue.qsize()
            self._say(
                f"NOTICE: {self.name} has not taken the last {waiting} events in time; the run ends without it."
                f"{self._remedy()}"
            )

    def _remedy(self) -> str:
        return " Going on with the run, by --resume, tells it what it lacks." if self._callback.replays else ""

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, tuple):
                self._tell_earlier(item)
            else:
                self._tell(self._teller.take(item))
        stopped = self._teller.stopped(time.time())
        if stopped is not None:
            self._tell([stopped])

    def _tell_earlier(self, entries: _Earlier) -> None:
        for entry in entries:
            told = list(self._teller.take(entry))
            if self._callback.replays:
                self._tell(self._as_resumed(one) for one in told)
        resumed = self._teller.resumed()
        if not self._callback.replays and resumed is not None:
            self._tell([resumed])

    def _as_resumed(self, told: Told) -> Told:
        return self._teller.resumed() or told if method_of(told) == "on_study_start" else told

    def _tell(self, told: Iterable[Told]) -> None:
        for one in told:
            try:
                tell(self._callback, one)
            except BaseException as error:  # also SystemExit: what it does is its own
                self._note(method_of(one), error)

    def _note(self, method: str, error: BaseException) -> None:
        # A tracker quotes the address that it was given, which may hold a password.
        say_to_log(mask_passwords("".join(traceback.format_exception(error)).rstrip()))
        if not self._has_raised:
            self._has_raised = True
            reason = mask_passwords(" ".join(str(error).split()))
            self._say(
                f"NOTICE: {self.name} raised {type(error).__name__} in {method}: {reason} It costs the run nothing; "
                "what else it raises is in run.log alone."
            )
