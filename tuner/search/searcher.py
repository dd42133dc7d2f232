"""The searcher contract: which configuration to try next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from tuner.search.trial import Proposal, TrialState

NO_METRICS: Mapping[str, float] = MappingProxyType({})


class Searcher(Protocol):
    """Proposes configurations and learns from results, which may arrive in any order.

    A proposal depends on the seed, its number and the calls so far, and on nothing else: replaying the calls
    rebuilds the searcher.
    """

    def propose(self, number: int) -> Proposal | None:
        """Return the configuration of trial `number`, now RUNNING; None if every configuration was tried."""

    def restore(self, proposal: Proposal) -> None:
        """Take note of a proposal made by an earlier process."""

    def asked(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, str]) -> None:
        """Take note that a RUNNING trial asked for these parameters as it ran; they replace those proposed."""

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """Take note of what was measured of a trial's model, by the names of `MEASURES`, before its first result."""

    def timed(self, number: int, seconds: float) -> None:
        """Take note of what a trial's first epoch took, where that may decide what is proposed."""

    def reached(self, number: int, level: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> None:
        """Take note that a trial was worth `score` (higher is better) at a level of the scheduler.

        `metrics` are those of the epoch to which it owes the score.
        """

    def paused(self, number: int) -> None:
        """Take note that a trial waits at a level, having `reached` it, and may be ended there."""

    def resumed(self, number: int) -> None:
        """Take note that a paused trial goes on to the next level."""

    def ended(
        self, number: int, state: TrialState, score: float | None, metrics: Mapping[str, float] = NO_METRICS
    ) -> None:
        """Take note that a trial ended; `score` is the best it was worth, None if it never reported."""
