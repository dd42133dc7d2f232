from __future__ import annotations

from tuner.journal.history import History
from tuner.results.incumbent import improvements


def test_the_incumbent_rises_at_the_time_and_epoch_of_each_improvement(finished: History) -> None:
    found = improvements(finished)
    assert [(one.trial, one.value, one.seconds, one.epochs) for one in found] == [
        (0, 0.80, 6.0, 1),
        (0, 0.90, 15.0, 3),
    ]


def test_a_trial_that_fails_later_never_led(finished: History) -> None:
    assert 2 not in {one.trial for one in improvements(finished)}


def test_without_an_epoch_there_is_no_improvement(nothing: History) -> None:
    assert improvements(nothing) == []
