"""By which rules a search proposes, promotes and ends; a run keeps to its end those that it was begun with.

They follow from the version of its journal, so that it is gone on with and replayed as it began.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _since(version: int) -> Any:
    return field(default=True, metadata={"since": version})


@dataclass(frozen=True)
class Rules:
    """Today's, but for those that are said not to hold yet."""

    best_goes_on: bool = _since(7)
    """The best of a rung goes on when there is nothing else to do; see `Search`."""
    learns_branches_from_failures: bool = _since(7)
    """A branch is known by its trials that failed, too."""
    scales_ties: bool = _since(7)
    """Results of which more than half tie at the top have a scale; see `warped`."""
    rounds_tried: bool = _since(8)
    """Configurations that differ in the last digits of a number are one; see `Tried`."""
    asks_about_moves: bool = _since(8)
    """The local search asks the space whether its moves are feasible and complete; see `LocalSearch`."""
    tells_most_improvement: bool = _since(8)
    """The expected improvement that is told is the most there is, whatever is chosen for its cost or by belief."""
    breaks_ties: bool = _since(8)
    """Of trials that tie a budget keeps time for the one that would win, not for the first of them; see `Incumbent`."""
    gives_up_at_once: bool = _since(8)
    """Paused trials that the end of another puts out of reach end with it, and not with the next result at a rung."""
    asks_as_of_then: bool = _since(8)
    """A resume asks whether a trial could be retrained when the last result came; see `Coordinator.restore`."""

    @staticmethod
    def of(version: int) -> Rules:
        """Return the rules of a run that was begun with this version of the journal."""
        return Rules(**{rule.name: version >= rule.metadata["since"] for rule in fields(Rules)})


TODAYS = Rules()
