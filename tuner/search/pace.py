"""How many epochs bring a trial to each rung: as many as the rung says, as take the same time, or something between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

Resource = Literal["auto", "epochs", "seconds"]

MOST_FASTER = 8
"""Times as many epochs as the rungs say, at most: what is cheaper still is rather not trained so long."""
COST_EPOCHS = 2
"""Of a trial's first epochs so many say what it costs, by the cheapest: the first also warms up, as it compiles or
fills a cache. So does that of the first configuration, with which it is compared; what that costs was measured by its
second epoch, unless the first took minutes or was its only one."""


class Timed(Protocol):
    """A trial's epoch, as `Pace.note` takes note of it."""

    @property
    def seconds_here(self) -> float | None:
        """What it took here; None if it was not trained here."""

    @property
    def relative_cost(self) -> float | None:
        """What an epoch of the trial cost where it was trained, if that is elsewhere and known."""


def cost_exponent(stretch: float) -> float:
    """Return by which power of their cost trials should have fewer epochs, to be ranked as they will be in the end.

    Args:
        stretch: Times as many epochs as in the search a configuration is trained in the end, for as long as any other.

    In the end a network of half the cost has had twice the epochs. After a search that is shorter by `stretch`, equal
    times favour what is small, for it learns the sooner, and equal epochs what is large, for in the end it will have
    had fewer. If the loss of a network of cost c after e epochs is A(c) + B e^-b, epochs in proportion to c^-x rank
    networks as in the end for x = stretch^-b, by equal slopes near a best one that costs 1. The form is that of
    Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022, who find b of about 0.3 for text. Taken is
    1/2, which small networks come nearer to.
    """
    return min(1.0, 1 / math.sqrt(stretch))


def epochs_at(levels: Sequence[int], relative_cost: float, exponent: float = 1.0) -> tuple[int, ...]:
    """Return the epochs at which a trial reaches each of the `levels`, which the first configuration does at as many.

    `relative_cost` is what an epoch of the trial costs, that of the first configuration being 1, and `exponent` by
    which power of it the trial has fewer epochs: with 1 it reaches a level in the time of the first configuration.
    Each level comes at least an epoch after the one before, so a trial far dearer than that is given more than its due.
    """
    faster = min(relative_cost**-exponent, MOST_FASTER) if relative_cost > 0 else MOST_FASTER
    found: list[int] = []
    for level in levels:
        fair = round(level * faster)
        found.append(max(fair, found[-1] + 1 if found else 1))
    return tuple(found)


def recorded_resource(config: Mapping[str, Any]) -> str:
    """Return what rungs count by a run's configuration; the oldest do not tell, and knew but one."""
    return str((config.get("search") or {}).get("resource", "epochs"))


class Pace:
    """Says when a trial reaches a rung.

    Rungs by cost give a cheap trial more epochs, in seconds a network of half the cost twice as many (as in Jamieson
    and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016, the resource
    may be time). What a trial costs is measured in its first epochs and then stays; if the second is cheaper than the
    first, the rungs that are still to come come later. So the same reports, which the journal holds with their seconds,
    bring the same trial to the same rungs.
    """

    def __init__(
        self,
        levels: Sequence[int],
        unit_seconds: float | None = None,
        exponent: float = 1.0,
        cost_epochs: int = COST_EPOCHS,
    ) -> None:
        """Count `levels` in epochs, or in those of the first configuration, which take `unit_seconds`.

        The `exponent` is as in `epochs_at`; `cost_epochs` say what a trial costs, as `COST_EPOCHS`.
        """
        self._levels = tuple(levels)
        self._unit = unit_seconds
        self._exponent = exponent
        self._cost_epochs = cost_epochs
        self._rungs: dict[int, Mapping[int, int]] = {}
        """By trial, the rung that each epoch reaches."""
        self._costs: dict[int, float] = {}
        """By trial whose first epoch was trained here, what it costs as far as is known."""
        self._noted: dict[int, int] = {}
        """By trial, its last epoch."""

    @staticmethod
    def of(resource: str, plan: Mapping[str, Any]) -> Pace:
        """Return the pace of a study that compares by this `Resource`, by its plan, which may be an older one's."""
        exponent = plan.get("cost_exponent")
        if exponent is None:
            exponent = 1.0 if resource == "seconds" else 0.0
        unit = plan.get("seconds_per_epoch") if exponent else None
        return Pace(plan.get("rungs", (1,)), unit, exponent, plan.get("cost_epochs", 1))

    @property
    def counts_epochs(self) -> bool:
        """Whether a rung is the same number of epochs for every trial."""
        return self._unit is None

    @property
    def most_epochs(self) -> int:
        """Epochs that no trial exceeds."""
        return self._levels[-1] if self._unit is None else self._levels[-1] * MOST_FASTER

    def note(self, trial: int, epoch: int, seconds: float | None, relative_cost: float | None = None) -> None:
        """Take note of an epoch; the first ones tell what the trial costs, in `seconds`. They come in their order.

        None is for an epoch that was not trained here. Then the trial costs what it did where it was trained, as
        `relative_cost` tells, or, if that is not known either, as much as the first configuration.
        """
        if self._unit is None or epoch > self._cost_epochs:
            return
        self._noted[trial] = epoch
        cost = relative_cost if seconds is None else seconds / self._unit
        if epoch == 1:
            self._rungs[trial] = {at: level for level, at in self.epochs_of(cost).items()}
            if seconds is not None and cost is not None:
                self._costs[trial] = cost
        elif seconds is not None and cost is not None and cost < self._costs.get(trial, 0.0):
            self._costs[trial] = cost
            self._rungs[trial] = self._later(trial, epoch, cost)

    def note_all(self, trial: int, epochs: Mapping[int, Timed]) -> None:
        """Take note of a trial's epochs, by their number."""
        for epoch in range(1, self._cost_epochs + 1):
            if epoch in epochs:
                self.note(trial, epoch, epochs[epoch].seconds_here, epochs[epoch].relative_cost)

    def _later(self, trial: int, epoch: int, cost: float) -> Mapping[int, int]:
        """Return the rungs by their epochs for a trial that turns out cheaper with this epoch; the past stays."""
        past = {at: level for at, level in self._rungs[trial].items() if at < epoch}
        to_come = {at: level for level, at in self.epochs_of(cost).items() if level not in past.values()}
        return past | to_come

    def epochs_of(self, relative_cost: float | None) -> Mapping[int, int]:
        """Return by rung after how many of its epochs a trial of that cost reaches it; None is as for `note`."""
        if self._unit is None:
            return {level: level for level in self._levels}
        cost = 1.0 if relative_cost is None else relative_cost
        return dict(zip(self._levels, epochs_at(self._levels, cost, self._exponent), strict=True))

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
        """Return the epochs of a full training of the trial as far as is known, before its first epoch the most."""
        return max(self._rungs[trial]) if trial in self._rungs else self.most_epochs

    def limit(self, trial: int) -> int:
        """Return the epochs that the trial cannot exceed: its horizon once what it costs is settled, else the most."""
        return self.horizon(trial) if self._noted.get(trial, 0) >= self._cost_epochs else self.most_epochs

    def forget(self, trial: int) -> None:
        """Let go of a trial that has ended."""
        for known in (self._rungs, self._costs, self._noted):
            known.pop(trial, None)
