"""How the best value of the objective improved during the search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tuner.journal.events import NO_TIME_TO_RETRAIN, EpochReported, TrialEnded
from tuner.journal.store import Entry
from tuner.search.objective import Objective
from tuner.search.report import score_of
from tuner.search.trial import TrialState


@dataclass(frozen=True)
class Improvement:
    """A trial became the best so far."""

    trial: int
    value: float
    """Of the objective."""
    seconds: float
    """Worked on the run until then."""
    epochs: int
    """Trained by all trials together until then, this one included."""


def improvements(entries: Iterable[Entry], objective: Objective) -> list[Improvement]:
    """Return the improvements in the order of the journal; trials that cannot win, then or later, do not count."""
    entries = list(entries)
    barred = {
        entry.event.trial
        for entry in entries
        if isinstance(entry.event, TrialEnded)
        and (entry.event.state is TrialState.FAILED or entry.event.reason == NO_TIME_TO_RETRAIN)
    }
    found: list[Improvement] = []
    seen: set[tuple[int, int]] = set()
    for entry in entries:
        event = entry.event
        if not isinstance(event, EpochReported) or (event.trial, event.epoch) in seen:
            continue
        seen.add((event.trial, event.epoch))
        score = score_of(event, objective)
        if event.trial not in barred and (not found or score > objective.score(found[-1].value)):
            found.append(Improvement(event.trial, objective.score(score), entry.elapsed, len(seen)))
    return found
