"""What a worker process prints, kept until it travels to the driver beside the next outcome."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from typing import Any, TextIO

_FIRST, _LAST = 16_000, 48_000
"""Of what is printed between two outcomes, so many characters are kept of the beginning, and of the end."""
_LONGEST_LINE = 8_000
"""What is longer is kept in pieces."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What sets colours, and moves a terminal's cursor."""


class Printed:
    """What is printed in this process from now on; it goes where it went before, too.

    Of a line that a progress bar draws again and again the last is kept. What is printed by processes that this one
    forks is not.
    """

    def __init__(self) -> None:
        """Listen to what is written to `sys.stdout` and `sys.stderr`."""
        self._process = os.getpid()
        self._lock = threading.RLock()  # a signal's handler may print, too
        self._kept = _Kept()
        sys.stdout = _Heard(sys.stdout, self)
        sys.stderr = _Heard(sys.stderr, self)

    def hear(self, text: str) -> None:
        """Keep what was printed."""
        if os.getpid() == self._process:  # a fork may have come while another thread had the lock
            with self._lock:
                self._kept.add(text)

    def take(self) -> str:
        """Return what was printed since the last call."""
        with self._lock:
            kept, self._kept = self._kept, _Kept()
        return kept.text()


class _Heard:
    """A stream that tells what is written to it."""

    def __init__(self, stream: TextIO, printed: Printed) -> None:
        self._stream = stream
        self._printed = printed

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        self._printed.hear(text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # of a copy that is not made yet
            raise AttributeError(name)
        return getattr(self._stream, name)


class _Kept:
    """The first and the last pieces of a text that may have no end."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._room, self._held = _FIRST, 0
        self._left_out = 0
        self._line = ""

    def add(self, text: str) -> None:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._keep_line(line)
        if len(self._line) > _LONGEST_LINE:
            self._line = _as_seen(self._line)
        while len(self._line) > _LONGEST_LINE:
            self._keep(self._line[:_LONGEST_LINE])
            self._line = self._line[_LONGEST_LINE:]

    def text(self) -> str:
        if self._line:
            self._keep_line(self._line)
            self._line = ""
        middle = [f"\n... {self._left_out:,} characters are left out ...\n"] if self._left_out else []
        return "".join((*self._first, *middle, *self._last))

    def _keep_line(self, line: str) -> None:
        seen = _as_seen(line).rstrip() + "\n"
        for start in range(0, len(seen), _LONGEST_LINE):
            self._keep(seen[start : start + _LONGEST_LINE])

    def _keep(self, piece: str) -> None:
        if len(piece) <= self._room and not self._last:
            self._first.append(piece)
            self._room -= len(piece)
            return
        self._last.append(piece)
        self._held += len(piece)
        while self._held > _LAST:
            dropped = len(self._last.popleft())
            self._held -= dropped
            self._left_out += dropped


def _as_seen(line: str) -> str:
    """Return what stands in a line that is printed, without colours: a carriage return begins it anew."""
    return _CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2])
