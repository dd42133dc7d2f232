"""A search on simulated workers: discrete events over learning curves known beforehand. No Ray, no torch, no clock.

The searcher and scheduler are those of production, so what is measured here holds there: the body hands over results in
the order of their arrival, and so does this.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tuner.search.scheduler import Decision
from tuner.search.trial import Proposal


@dataclass(frozen=True)
class Curve:
    """How one configuration learns."""

    values: Sequence[float]
    """The score after each epoch, from the first; higher is better."""
    seconds: Sequence[float]
    """Each epoch takes."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What is measured of the model before its first epoch, by the names of `MEASURES`."""


class Simulated(Protocol):
    """What can be simulated: `Search`, or another tuner behind the same calls."""

    def next_trial(self) -> Proposal | None:
        """Return the trial that a free worker should train next, new or paused; None if there is none now."""

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """Take what was measured of a new trial's model."""

    def timed(self, number: int, seconds: float) -> None:
        """Take what a trial's first epoch took."""

    def report(self, number: int, epoch: int, score: float) -> Decision:
        """Take a trial's score after an epoch and decide what it does next."""

    def give_up(self) -> None:
        """End the paused trials that can no longer be promoted."""


@dataclass(frozen=True)
class Observation:
    """One result, in the order of arrival."""

    trial: int
    epoch: int
    value: float
    decision: Decision
    time: float
    """Simulated seconds since the start."""


def simulate(
    search: Simulated,
    curve_of: Callable[[Mapping[str, Any]], Curve],
    workers: int,
    spent: Callable[[], float] = lambda: 0.0,
) -> Iterator[tuple[Observation, Proposal]]:
    """Yield every result until the search has nothing more to try; the caller may leave earlier.

    `curve_of` gives the learning curve of hyperparameters. Results that arrive at the same time are ordered by the
    start of their epochs, so equal inputs give equal results. `spent` is asked after each decision for the seconds that
    it took, which all workers that ask for one meanwhile wait for, as they do for the one driver; by default none.
    """
    events: list[tuple[float, int, int]] = []
    """Of epochs under way: when it ends, in which order it began, the trial."""
    trained: dict[int, int] = {}
    trials: dict[int, tuple[Proposal, Curve]] = {}
    now, decided, began = 0.0, 0.0, 0

    def begin_epoch(number: int) -> None:
        nonlocal began
        began += 1
        seconds = trials[number][1].seconds[trained[number]]
        heapq.heappush(events, (decided + seconds, began, number))

    while True:
        while len(events) < workers and (proposal := search.next_trial()) is not None:
            assert proposal.infeasible is None, "spaces are feasible throughout where they are simulated"
            if proposal.number not in trials:
                trials[proposal.number] = proposal, curve_of(proposal.hparams)
                trained[proposal.number] = 0
                search.measured(proposal.number, trials[proposal.number][1].measures)
            decided = max(decided, now) + spent()
            begin_epoch(proposal.number)
        if not events:
            return
        now, _, number = heapq.heappop(events)
        proposal, curve = trials[number]
        trained[number] += 1
        value = curve.values[trained[number] - 1]
        if trained[number] == 1:
            search.timed(number, curve.seconds[0])
        decision = search.report(number, trained[number], value)
        search.give_up()
        decided = max(decided, now) + spent()
        yield Observation(number, trained[number], value, decision, now), proposal
        if decision.goes_on:
            begin_epoch(number)
