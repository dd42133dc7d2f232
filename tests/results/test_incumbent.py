from __future__ import annotations

from tuner.config import DEFAULT_OBJECTIVE
from tuner.journal.store import Entry
from tuner.results.incumbent import improvements


def test_the_incumbent_rises_at_the_time_and_epoch_of_each_improvement(finished_entries: list[Entry]) -> None:
    found = improvements(finished_entries, DEFAULT_OBJECTIVE)
    assert [(one.trial, one.value, one.seconds, one.epochs) for one in found] == [
        (0, 0.80, 6.0, 1),
        (0, 0.90, 15.0, 3),
    ]


def test_a_trial_that_fails_later_never_led(finished_entries: list[Entry]) -> None:
    assert 2 not in {one.trial for one in improvements(finished_entries, DEFAULT_OBJECTIVE)}


def test_no_entries_give_no_improvement() -> None:
    assert improvements([], DEFAULT_OBJECTIVE) == []
