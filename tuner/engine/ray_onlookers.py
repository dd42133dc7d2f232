"""Starting a Ray of this machine's alone without the processes that only look on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.node import Node

_STARTS = ("start_monitor", "start_log_monitor", "start_api_server")
"""Of the autoscaler's monitor, of what reads the workers' logs, and of the dashboard, started without its pages too."""


@contextmanager
def without_onlookers() -> Iterator[None]:
    """Let a Ray that starts in the block do without them.

    They take four seconds of a CPU before the first trial, and time and memory to the end of the study; Ray's own
    settings leave no way to do without.
    """
    originals = {name: getattr(Node, name) for name in _STARTS}

    def start_nothing(node: Node, **options: Any) -> None:
        """Start nothing."""

    for name in _STARTS:
        setattr(Node, name, start_nothing)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Node, name, original)
