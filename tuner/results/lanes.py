"""Who trained what, and when: the search's epochs as stretches of work, in one lane a worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tuner.journal.history import History

_PAUSE = 1.0
"""Seconds: what a trial does after so short a rest, such as the writing of a checkpoint, is one stretch."""


@dataclass
class Stretch:
    """Epochs of one trial, without a rest."""

    trial: int
    begin: float
    end: float
    """Seconds worked on the run."""
    first: int
    last: int
    """Epochs."""


@dataclass
class Lane:
    """One place to train: a process, or several of a host of which each began after the one before had ended."""

    host: str
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def busy(self) -> float:
        """Seconds of work."""
        return sum(one.end - one.begin for one in self.stretches)


@dataclass(frozen=True)
class Timeline:
    """The lanes of a search, from the beginning of its first epoch to its end, or to now."""

    lanes: list[Lane]
    begin: float
    end: float
    """Seconds worked on the run."""

    @property
    def seconds(self) -> float:
        """How long it took, or has taken; more than nothing."""
        return max(self.end - self.begin, 1e-9)

    def idle(self, lane: Lane) -> float:
        """Return the share of the time in which a lane did not train."""
        return max(0.0, 1 - lane.busy / self.seconds)

    @property
    def idle_share(self) -> float:
        """The same of all lanes together."""
        return sum(map(self.idle, self.lanes)) / len(self.lanes)


def timeline_of(history: History) -> Timeline | None:
    """Return the search's timeline; None before its first epoch. What was done before, such as a probe, is none of it.

    Epochs taken over from an earlier run were not trained here.
    """
    found = lanes(history)
    if not found:
        return None
    end = history.elapsed if history.search_seconds is None else history.search_seconds
    return Timeline(found, min(lane.stretches[0].begin for lane in found), end)


def lanes(history: History) -> list[Lane]:
    """Return the lanes, by host; epochs taken over from an earlier run were not trained here."""
    by_worker: dict[str, list[Stretch]] = {}
    for elapsed, report in history.reported:
        if report.reused:
            continue
        stretches = by_worker.setdefault(report.worker, [])
        known = stretches[-1] if stretches else None
        begin = max(0.0, elapsed - report.seconds, known.end if known else 0.0)
        if known and known.trial == report.trial and begin - known.end <= _PAUSE:
            known.end, known.last = elapsed, report.epoch
        else:
            stretches.append(Stretch(report.trial, min(begin, elapsed), elapsed, report.epoch, report.epoch))
    return _packed(by_worker.items())


def _packed(workers: Iterable[tuple[str, list[Stretch]]]) -> list[Lane]:
    """Put each worker into the first lane of its host that is free by then."""
    found: list[Lane] = []
    for worker, stretches in sorted(workers, key=lambda one: (one[1][0].begin, one[0])):
        host = worker.rpartition(":")[0] or worker
        free = (lane for lane in found if lane.host == host and lane.stretches[-1].end <= stretches[0].begin)
        lane = next(free, None)
        if lane is None:
            lane = Lane(host)
            found.append(lane)
        lane.stretches += stretches
    return sorted(found, key=lambda lane: lane.host)
