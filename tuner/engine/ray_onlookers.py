"""Starting a Ray of this machine's alone without the processes that only look on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray._private import ray_constants, services
from ray._private.node import Node
from ray._raylet import (  # type: ignore[attr-defined]
    DASHBOARD_AGENT_LISTEN_PORT_NAME,
    METRICS_AGENT_PORT_NAME,
    METRICS_EXPORT_PORT_NAME,
)

_STARTS = ("start_monitor", "start_log_monitor", "start_api_server")
"""Of the autoscaler's monitor, of what reads the workers' logs, and of the dashboard, started without its pages too."""
_INTERPRETER = "_build_python_executable_command_memory_profileable"
"""Says what runs a part of Ray that is written in Python."""
_AGENT = Path(__file__).with_name("ray_agent.py")
_FLAGS = ("-P", "-S")
"""Of Python: no module beside the script takes the place of a standard one, and installed ones are not looked for.
Not `-I`, which ignores $PYTHONHOME too: there are interpreters that do not find the standard library without it."""
_PORTS = (METRICS_AGENT_PORT_NAME, METRICS_EXPORT_PORT_NAME, DASHBOARD_AGENT_LISTEN_PORT_NAME)


@contextmanager
def without_onlookers() -> Iterator[None]:
    """Let a Ray that starts in the block do without them, and with a stand-in for the dashboard's agent.

    They take six seconds of a CPU before the first trial, and time and memory to the end of the study; Ray's own
    settings leave no way to do without.
    """
    interpreter = getattr(services, _INTERPRETER)
    originals = [(Node, name, getattr(Node, name)) for name in _STARTS] + [(services, _INTERPRETER, interpreter)]

    def start_nothing(node: Node, **options: Any) -> None:
        """Start nothing."""

    def runs(component: str, *arguments: Any, **options: Any) -> list[str]:
        """Return what runs the script of a part, which follows: of the agent, ours, to which it is but an argument."""
        if component == ray_constants.PROCESS_TYPE_DASHBOARD_AGENT:
            return [sys.executable, *_FLAGS, str(_AGENT), ",".join(_PORTS)]
        command: list[str] = interpreter(component, *arguments, **options)
        return command

    for name in _STARTS:
        setattr(Node, name, start_nothing)
    setattr(services, _INTERPRETER, runs)
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
