"""How many epochs bring a trial to each rung: as many as the rung says, or as many as take the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Resource = Literal["epochs", "seconds"]

MOST_FASTER = 8
"""Times as many epochs as the rungs say, at most: what is cheaper still is rather not trained so long."""


def epochs_at(levels: Sequence[int], relative_cost: float) -> tuple[int, ...]:
    """Return the epochs after which a trial has had as long as the first configuration has at each of the `levels`.

    `relative_cost` is what an epoch of the trial costs, that of the first configuration being 1. Each level comes at
    least an epoch after the one before, so a trial far dearer than the first one is given more than its time.
    """
    found: list[int] = []
    for level in levels:
        fair = round(level / max(relative_cost, 1 / MOST_FASTER))
        found.append(max(fair, found[-1] + 1 if found else 1))
    return tuple(found)


class Pace:
    """Says when a trial reaches a rung.

    Rungs in seconds compare trials at equal cost: a network of half the cost has had twice the epochs (as in Jamieson
    and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016, the resource
    may be time). What a trial costs is measured in its first epoch and then stays, so the same reports, which the
    journal holds with their seconds, bring the same trial to the same rungs.
    """

    def __init__(self, levels: Sequence[int], unit_seconds: float | None = None) -> None:
        """Count `levels` in epochs, or in times `unit_seconds`, an epoch of the first configuration."""
        self._levels = tuple(levels)
        self._unit = unit_seconds
        self._rungs: dict[int, Mapping[int, int]] = {}
        """By trial, the rung that each epoch reaches."""

    @staticmethod
    def of(resource: str, levels: Sequence[int], seconds_per_epoch: float | None) -> Pace:
        """Return the pace of a study that compares by this `Resource`, given what its plan measured."""
        return Pace(levels, seconds_per_epoch if resource == "seconds" else None)

    @property
    def most_epochs(self) -> int:
        """Epochs that no trial exceeds."""
        return self._levels[-1] if self._unit is None else self._levels[-1] * MOST_FASTER

    def note(self, trial: int, epoch: int, seconds: float) -> None:
        """Take note of an epoch; the first tells what the trial costs."""
        if self._unit is not None and epoch == 1:
            at = epochs_at(self._levels, seconds / self._unit)
            self._rungs[trial] = dict(zip(at, self._levels, strict=True))

    def rung(self, trial: int, epoch: int) -> int | None:
        """Return the rung that the trial reaches with this epoch; None between rungs.

        Where rungs count epochs, every epoch is told: the search knows by itself which are rungs.
        """
        return epoch if self._unit is None else self._rungs.get(trial, {}).get(epoch)

    def epoch_at(self, trial: int, rung: int) -> int | None:
        """Return the trial's epochs at a rung; None if its first epoch, which tells, is not known."""
        if self._unit is None:
            return rung
        return next((epoch for epoch, level in self._rungs.get(trial, {}).items() if level == rung), None)

    def horizon(self, trial: int) -> int:
        """Return the epochs of a full training of the trial, or, before its first epoch, `most_epochs`."""
        return max(self._rungs[trial]) if trial in self._rungs else self.most_epochs

    def forget(self, trial: int) -> None:
        """Let go of a trial that has ended."""
        self._rungs.pop(trial, None)
