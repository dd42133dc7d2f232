"""The searcher contract: which configuration to try next."""

from __future__ import annotations

from typing import Protocol

from tuner.search.trial import Proposal, TrialState


class Searcher(Protocol):
    """Proposes configurations and learns from results, which may arrive in any order.

    A proposal depends on the seed, its number and the calls so far, and on nothing else: replaying the calls
    rebuilds the searcher.
    """

    def propose(self, number: int) -> Proposal | None:
        """Return the configuration of trial `number`, now RUNNING; None if every configuration was tried."""

    def restore(self, proposal: Proposal) -> None:
        """Take note of a proposal made by an earlier process."""

    def reached(self, number: int, level: int, value: float) -> None:
        """Take note that a trial was worth `value` (higher is better) at a level of the scheduler."""

    def ended(self, number: int, state: TrialState, value: float | None) -> None:
        """Take note that a trial ended; `value` is the best it was worth, None if it never reported."""
