"""What the children of `tests/benchmarks/child_peers.py` share; the standard library alone, for they have nothing else.

They speak JSON lines. The first line to a child names the method, the seed, the space, the epochs of a full training
and what is believed in. Each line after that is `{"op": "next"}`, answered by a trial's number and its configuration,
or by null if there is none now; or `{"op": "report", ...}`, answered by what the trial does next.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol


class Child(Protocol):
    """A library behind the two questions of the protocol."""

    def next(self) -> dict[str, Any] | None:
        """Return the trial that a free worker should train, new or paused; None if there is none now."""

    def report(self, number: int, epoch: int, value: float) -> str:
        """Take a trial's value after an epoch, higher is better, and return what it does next."""


@dataclass(frozen=True)
class Wanted:
    """A configuration of which a library wants to know the value after some epochs."""

    key: Hashable
    """Of the configuration: one that comes again is the same trial."""
    config: dict[str, Any]
    epochs: int
    """That it should have had in all."""
    handle: Any
    """By which the library is told."""


class ByBudget(ABC):
    """A library that proposes configurations with budgets, and is told of nothing that is between.

    A configuration that comes again with a larger budget goes on from the epochs that it has had: it is charged for
    what it adds. If it comes while it still trains, as NePS has it at times, it goes on there without a wait, and the
    worker gets what is wanted next.
    """

    def __init__(self, epochs: int) -> None:
        """Begin with no trial; a full training has `epochs`."""
        self._epochs = epochs
        self._numbers: dict[Hashable, int] = {}
        self._running: dict[int, list[Wanted]] = {}
        """By number, what is wanted of each, the smallest budget first."""

    @abstractmethod
    def ask(self) -> Wanted:
        """Ask the library what it wants to know next."""

    @abstractmethod
    def tell(self, handle: Any, value: float) -> None:
        """Tell the library the value that it wanted to know."""

    def next(self) -> dict[str, Any] | None:
        """Return the trial of what is wanted next."""
        while True:
            wanted = self.ask()
            number = self._numbers.setdefault(wanted.key, len(self._numbers))
            if number not in self._running:
                self._running[number] = [wanted]
                return {"number": number, "config": wanted.config}
            self._running[number].append(wanted)

    def report(self, number: int, epoch: int, value: float) -> str:
        """Let the trial go on to its budget and wait there."""
        wanted = self._running[number]
        assert epoch <= wanted[0].epochs, "a budget is always larger than the one before"
        if epoch < wanted[0].epochs:
            return "CONTINUE"
        self.tell(wanted.pop(0).handle, value)
        if wanted:
            return "CONTINUE"
        del self._running[number]
        return "COMPLETE" if epoch == self._epochs else "PAUSE"


def serve(begin: Callable[[dict[str, Any]], Child]) -> None:
    """Answer line by line until there are no more; what the library prints goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    child = begin(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        message = json.loads(line)
        answer = child.next() if message.pop("op") == "next" else child.report(**message)
        answers.write(json.dumps(answer, default=lambda value: value.item()) + "\n")
        answers.flush()
