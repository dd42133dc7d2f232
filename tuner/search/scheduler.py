"""The scheduler contract: what happens to a trial after an epoch, and which paused trial is taken up again."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a trial does next."""

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    """Free the worker and wait at this rung; `Scheduler.promote` may take it up again."""
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

    @property
    def goes_on(self) -> bool:
        """Whether the trial trains its next epoch at once."""
        return self.action is Action.CONTINUE


_AFTER_ALL = "after all {} epochs"
_AFTER_ONE = "after its only epoch"


def after_all(result: str, epochs: int) -> str:
    """Return the reason of a decision that ends a trial which has had all its epochs."""
    return f"{result} {_AFTER_ONE if epochs == 1 else _AFTER_ALL.format(epochs)}"


def had_all(reason: str) -> bool:
    """Return whether a trial ended for the reason `after_all`: with a budget of cost some have all before others."""
    return reason.endswith(_AFTER_ONE) or re.search(_AFTER_ALL.format(r"\d+") + "$", reason) is not None


NONE_YET = "none goes on yet"
"""Of how many have come to a rung, where those are too few: in the end the best of them may."""
_NONE = "the best 0 go on"
"""How older versions said so."""


def reworded(reason: str) -> str:
    """Return the reason of a decision as it is worded today: an older version may have written it."""
    return reason.replace(_NONE, NONE_YET)


PROTECTED = "protected, so that it goes on from the first rung"
"""Ends the reason of a decision that the comparison alone would not have made."""


class Scheduler(ABC):
    """Decides trial by trial, as results arrive in any order, by scores, of which higher are better.

    Its reasons are for people: they show what the objective measured (`Objective.text_of_score`). What it does depends
    on the calls so far and on nothing else: replaying the calls rebuilds it. A scheduler that never pauses implements
    `levels` and `report` alone.
    """

    @property
    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """The resources, in epochs, at which it compares; the last is `max_epochs`."""

    @abstractmethod
    def report(self, trial: int, epoch: int, score: float) -> Decision:
        """Take note that `trial` has reached `score` after `epoch` epochs, and decide."""

    def start(self, trial: int, *, protected: bool = False) -> None:
        """Take note of a new trial; trials are numbered in the order of their start.

        One that is `protected` goes on from the first rung whatever its value there: a person chose it, and so early a
        comparison says little.
        """

    def promote(self) -> int | None:
        """Return a PAUSED trial that has earned the next rung, RUNNING from now on; None if there is none."""
        return None

    def promote_best(self) -> int | None:
        """Return a PAUSED trial than which none was better at its rung, RUNNING from now on; None if there is none.

        It is asked when there is nothing else to do, so that of each rung one goes on, however few have come.
        """
        return None

    def resume(self, trial: int) -> None:
        """Take note that an earlier process promoted this PAUSED trial."""

    def unpromotable(self, trials_to_come: int, *, best_goes_on: bool = True) -> list[int]:
        """Return the PAUSED trials that could not be promoted even if all that is to come were worse.

        At most `trials_to_come` trials will still be started; `best_goes_on` says whether `promote_best` will be asked.
        Whoever asks ends them.
        """
        return []

    def end(self, trial: int) -> None:
        """Take note that a RUNNING or PAUSED trial ended for a reason other than a decision of this scheduler."""
