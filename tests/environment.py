"""The environment of processes that tests start."""

from __future__ import annotations

import os
import signal


def untouched_environment() -> dict[str, str]:
    """Return the environment as the tests were given it: without what a Ray of theirs has left in it."""
    left = ("RAY_", "TUNE_", "PL_DISABLE_FORK")
    return {name: value for name, value in os.environ.items() if not name.startswith(left)}


def heed_signals() -> None:
    """Let a process that begins heed signals that the tests were told to ignore, as by `nohup`; a `preexec_fn`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
