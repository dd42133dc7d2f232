"""The environment of processes that tests start."""

from __future__ import annotations

import os


def untouched_environment() -> dict[str, str]:
    """Return the environment as the tests were given it: without what a Ray of theirs has left in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
