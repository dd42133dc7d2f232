"""How the best dev accuracy rose during the search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tuner.journal.events import NO_TIME_TO_RETRAIN, EpochReported, TrialEnded
from tuner.journal.store import Entry
from tuner.search.trial import TrialState


@dataclass(frozen=True)
class Improvement:
    """A trial became the best so far."""

    trial: int
    dev_accuracy: float
    seconds: float
    """Worked on the run until then."""
    epochs: int
    """Trained by all trials together until then, this one included."""


def improvements(entries: Iterable[Entry]) -> list[Improvement]:
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
        if event.trial not in barred and (not found or event.dev_accuracy > found[-1].dev_accuracy):
            found.append(Improvement(event.trial, event.dev_accuracy, entry.elapsed, len(seen)))
    return found
