"""What the children of `tests/benchmarks/child_peers.py` share; the standard library alone, for they have nothing else.

They speak JSON lines. The first line to a child names the method, the seed, the space and the epochs of a full
training. Each line after that is `{"op": "next"}`, answered by a trial's number and its configuration, or by null if
there is none now; or `{"op": "report", ...}`, answered by what the trial does next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Protocol


class Child(Protocol):
    """A library behind the two questions of the protocol."""

    def next(self) -> dict[str, Any] | None:
        """Return the trial that a free worker should train, new or paused; None if there is none now."""

    def report(self, number: int, epoch: int, value: float) -> str:
        """Take a trial's value after an epoch, higher is better, and return what it does next."""


def serve(begin: Callable[[dict[str, Any]], Child]) -> None:
    """Answer line by line until there are no more; what the library prints goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    child = begin(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        message = json.loads(line)
        answer = child.next() if message.pop("op") == "next" else child.report(**message)
        answers.write(json.dumps(answer, default=lambda value: value.item()) + "\n")
        answers.flush()
