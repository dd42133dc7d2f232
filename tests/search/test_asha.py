from __future__ import annotations

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.asha import Asha
from tuner.search.scheduler import Action

GO, STOP, DONE = Action.CONTINUE, Action.STOP, Action.COMPLETE


# Worked out by hand, factor 3: of n values the best max(1, n // 3) go on, the new one included.
TABLE = [
    (0.50, GO, "n=1, keep 1: the first always goes on"),
    (0.40, STOP, "n=2, keep 1: best is 0.50"),
    (0.60, GO, "n=3, keep 1: it is the best"),
    (0.55, STOP, "n=4, keep 1: best is 0.60"),
    (0.60, GO, "n=5, keep 1: equal to the best"),
    (0.56, STOP, "n=6, keep 2: second best is 0.60"),
    (0.61, GO, "n=7, keep 2: the best"),
    (0.59, STOP, "n=8, keep 2: second best is 0.60"),
    (0.60, GO, "n=9, keep 3: third best is 0.60"),
    (0.10, STOP, "n=10, keep 3"),
]


def test_decisions_are_those_of_the_table_worked_out_by_hand() -> None:
    scheduler = Asha((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    for trial, (value, expected, why) in enumerate(TABLE):
        assert scheduler.report(trial, 1, value).action is expected, why


def test_rungs_are_compared_apart() -> None:
    scheduler = Asha((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    assert scheduler.report(0, 1, 0.9).action is GO
    assert scheduler.report(0, 3, 0.95).action is GO
    assert scheduler.report(1, 1, 0.91).action is GO
    assert scheduler.report(1, 3, 0.92).action is STOP


def test_between_rungs_nothing_is_compared_or_remembered() -> None:
    scheduler = Asha((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    assert scheduler.report(0, 2, 0.9).action is GO
    assert scheduler.report(0, 2, 0.9).reason == ""
    assert scheduler.report(1, 3, 0.1).action is GO


def test_the_last_level_completes_whatever_the_value() -> None:
    scheduler = Asha((1, 3), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    scheduler.report(0, 3, 0.9)
    assert scheduler.report(1, 3, 0.1).action is DONE


def test_the_reason_gives_the_comparison_with_its_numbers() -> None:
    scheduler = Asha((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    scheduler.report(0, 1, 0.884)
    decision = scheduler.report(1, 1, 0.871)
    assert decision.reason == "0.8710 < 0.8840, the cutoff of the best 1 of 2 results"


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_about_one_in_factor_goes_on_of_values_in_random_order(factor: int) -> None:
    import random

    values = [index / 1000 for index in range(1000)]
    random.Random(0).shuffle(values)
    scheduler = Asha((1, 99), reduction_factor=factor, objective=DEFAULT_OBJECTIVE)
    going_on = sum(scheduler.report(trial, 1, value).action is GO for trial, value in enumerate(values))
    assert going_on == pytest.approx(1000 / factor, rel=0.15)


def test_a_protected_trial_goes_on_from_the_first_rung_and_from_no_other() -> None:
    scheduler = Asha((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0)
    scheduler.start(1, protected=True)
    for epoch in (1, 3):
        scheduler.report(0, epoch, 0.5)
    decision = scheduler.report(1, 1, 0.4)
    assert decision.action is GO
    assert decision.reason == (
        "0.4000 < 0.5000, the cutoff of the best 1 of 2 results, but protected, so that it goes on from the first rung"
    )
    assert scheduler.report(1, 3, 0.4).action is STOP
