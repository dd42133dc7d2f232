"""Stands in for the agent of a Ray dashboard; run as a script, by Ray.

    python ray_agent.py PORTS ANYTHING... --session-dir=FOLDER --node-id=ID

Ray starts no node without one. This one says, as Ray's own does where its dashboard is not installed, that there are
no ports, waits for the node's end, and ends. It imports nothing but a little of the standard library, for it is on the
way to the first trial.
"""

from __future__ import annotations

import os
import sys
import time

_NONE = "-1"
_IS_PIPED = "RAY_enable_pipe_based_agent_to_parent_health_check"
"""Tells an agent, as 1 or 0, whether its standard input is a pipe from the node, as it is by default."""
_NODE = "RAY_RAYLET_PID"
"""Tells an agent the number of the node's process, which is its parent."""
_SECONDS = 1.0
"""Between two looks at whether the node is there, where no pipe tells it."""


def main(ports: str, *arguments: str) -> None:
    """Say that none of the `ports`, separated by commas, is open; return when the node has ended."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    for port in ports.split(","):
        path = f"{given['--session-dir']}/{port}_{given['--node-id']}"
        with open(f"{path}.made", "w") as file:  # noqa: PTH123 - `pathlib` takes as long as all the rest
            file.write(_NONE)
        os.replace(f"{path}.made", path)  # noqa: PTH105
    _wait_for_the_nodes_end()


def _wait_for_the_nodes_end() -> None:
    if os.environ.get(_IS_PIPED) != "0":
        # The other end is the node's, who never writes, and is closed by its death.
        sys.stdin.buffer.read()
        return
    # Standard input is the command's own now: it may be empty, or a terminal or a pipe that is not for this process.
    while os.getppid() == int(os.environ[_NODE]):
        time.sleep(_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
