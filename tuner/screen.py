"""A screen that may go: a pipe whose reader has left, a terminal that is closed. A study goes on without it."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

from rich.console import Console

_GONE_FOR_GOOD = (errno.EPIPE, errno.EIO, errno.EBADF)


def lasting_console() -> Console:
    """Return a console on standard output that drops what cannot be written.

    In a notebook too it writes lines: by itself it would make an output of its own of each.
    """
    return Console(file=Lasting(sys.stdout), force_jupyter=False)  # type: ignore[arg-type] # has all that it needs


class Lasting:
    """A text stream to which writing never fails."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream` for as long as it takes anything."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop, and return the number of characters."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: OSError | ValueError) -> None:
        """Take note that the stream does not write; raises the error if it is not the stream's fault."""
        if isinstance(error, ValueError) and not self._stream.closed:
            raise error  # a character that its encoding lacks
        if isinstance(error, OSError) and error.errno in _GONE_FOR_GOOD:
            # What its buffer still holds would fail once more at the process's end, with a message and an exit code.
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
