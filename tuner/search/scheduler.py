"""The scheduler contract: what happens to a trial after an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Action(StrEnum):
    """What a trial does next."""

    CONTINUE = "CONTINUE"
    STOP = "STOP"
    """End as PRUNED: other trials were better at this rung."""
    COMPLETE = "COMPLETE"
    """End as COMPLETE: the trial has had all its epochs."""


@dataclass(frozen=True)
class Decision:
    """An action and why."""

    action: Action
    reason: str = ""
    """The comparison in words; empty between rungs, where nothing is compared."""


class Scheduler(Protocol):
    """Decides trial by trial, as results arrive in any order; higher values are better."""

    @property
    def levels(self) -> tuple[int, ...]:
        """The resources, in epochs, at which it compares; the last is `max_epochs`."""

    def report(self, trial: int, epoch: int, value: float) -> Decision:
        """Take note that `trial` has reached `value` after `epoch` epochs, and decide."""
