from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.results.conftest import OPENING, epoch, proposed
from tuner.journal.events import Event
from tuner.journal.history import History
from tuner.results.figures.optimization_history import optimization_history
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


def test_epochs_taken_over_from_an_earlier_run_are_not_counted_as_trained(
    build: Callable[[Sequence[Event]], History],
) -> None:
    reused = [replace(epoch(0, number, 0.5 + 0.1 * number), reused=True) for number in (1, 2)]
    history = build([*OPENING, proposed(0), *reused, proposed(1), epoch(1, 1, 0.9)])
    assert [one.epochs for one in improvements(history)] == [0, 0, 1]
    figure = optimization_history(history)
    assert figure is not None
    points = [trace for trace in figure.data if trace.mode == "markers" and trace.xaxis == "x2"]
    assert [x for trace in points for x in trace.x] == [0, 1]
