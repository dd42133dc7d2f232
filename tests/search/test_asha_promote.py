from __future__ import annotations

import random

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.asha_promote import AshaPromote
from tuner.search.scheduler import Action

GO, PAUSE, DONE = Action.CONTINUE, Action.PAUSE, Action.COMPLETE

# Worked out by hand, factor 3: of n values the best n // 3 go on. Then, whom a free worker would take up.
TABLE = [
    (0.50, PAUSE, None, "n=1, keep 0"),
    (0.40, PAUSE, None, "n=2, keep 0"),
    (0.45, PAUSE, 0, "n=3, keep 1: trial 0 with 0.50"),
    (0.60, GO, None, "n=4, keep 1: itself; trial 0 has gone on before"),
    (0.42, PAUSE, None, "n=5, keep 1: trial 3 with 0.60, gone on"),
    (0.30, PAUSE, None, "n=6, keep 2: trials 3 and 0, gone on"),
    (0.44, PAUSE, None, "n=7, keep 2"),
    (0.45, PAUSE, None, "n=8, keep 2; equal to trial 2, but later"),
    (0.10, PAUSE, 2, "n=9, keep 3: trial 2 with 0.45, the earlier of two equals"),
]


def test_decisions_are_those_of_the_table_worked_out_by_hand() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    for trial, (value, expected, promoted, why) in enumerate(TABLE):
        scheduler.start(trial)
        assert scheduler.report(trial, 1, value).action is expected, why
        assert scheduler.promote() == promoted, why


def fill(scheduler: AshaPromote, values: list[float], first: int = 0, epoch: int = 1) -> None:
    for trial, value in enumerate(values, first):
        scheduler.start(trial)
        scheduler.report(trial, epoch, value)


def test_the_highest_rung_is_served_first() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.9, 0.8, 0.7, 0.6])
    assert [scheduler.promote(), scheduler.promote(), scheduler.promote()] == [0, 1, None]
    assert scheduler.report(0, 3, 0.91).action is PAUSE
    assert scheduler.report(1, 3, 0.90).action is PAUSE
    scheduler.start(4)
    scheduler.start(5)
    scheduler.report(4, 1, 0.1)
    scheduler.report(5, 1, 0.1)  # now trial 2 may leave rung 1, and trial 0 rung 3
    assert [scheduler.promote(), scheduler.promote(), scheduler.promote()] == [0, 2, None]


def test_the_last_level_completes_and_between_rungs_nothing_is_compared() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.1, 0.2])
    assert scheduler.report(1, 2, 0.9).action is GO
    assert scheduler.report(1, 2, 0.9).reason == ""
    assert scheduler.report(1, 3, 0.0).action is DONE


def test_a_trial_that_failed_while_paused_is_never_promoted() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.5, 0.4])
    scheduler.end(0)
    fill(scheduler, [0.3], first=2)
    assert scheduler.promote() is None


def test_the_reason_gives_the_comparison_with_its_numbers() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.5, 0.4])
    scheduler.start(2)
    assert scheduler.report(2, 1, 0.45).reason == "0.4500 is number 2 of 3, of which the best 1 go on"


@pytest.mark.parametrize(("to_come", "expected"), [(0, [2, 1]), (1, [2]), (2, [2]), (3, [])])
def test_hopeless_are_those_out_of_reach_even_if_all_to_come_are_worse(to_come: int, expected: list[int]) -> None:
    # Factor 2, three values, the best has gone on: the second needs 4 values in all, the third 6.
    scheduler = AshaPromote((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.5, 0.4, 0.3])
    assert scheduler.promote() == 0
    assert scheduler.unpromotable(to_come) == expected


def test_trials_under_way_below_a_rung_may_still_arrive_there() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.5, 0.4])
    assert scheduler.promote() == 0
    assert scheduler.unpromotable(0) == [1]
    scheduler.start(2)
    scheduler.start(3)
    assert scheduler.unpromotable(0) == []


def test_about_one_in_factor_has_gone_on_of_values_in_random_order() -> None:
    values = [index / 300 for index in range(300)]
    random.Random(0).shuffle(values)
    scheduler = AshaPromote((1, 99), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    gone_on = 0
    for trial, value in enumerate(values):
        scheduler.start(trial)
        gone_on += scheduler.report(trial, 1, value).action is GO
        while scheduler.promote() is not None:
            gone_on += 1
    assert 100 <= gone_on <= 115


def test_where_too_few_have_come_the_best_goes_on_in_the_end_and_no_other() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.4, 0.5])
    assert scheduler.promote() is None
    assert [scheduler.promote_best(), scheduler.promote_best()] == [1, None]
    assert scheduler.report(1, 3, 0.6).action is PAUSE
    assert scheduler.promote() is None
    assert [scheduler.promote_best(), scheduler.promote_best()] == [1, None]
    assert scheduler.report(1, 9, 0.6).action is DONE


def test_where_too_few_have_come_for_one_to_go_on_the_reason_says_so() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    reasons = []
    for trial, score in enumerate([0.5, 0.4, 0.3]):
        scheduler.start(trial)
        reasons.append(scheduler.report(trial, 1, score).reason)
    assert reasons == [
        "0.5000 is number 1 of 1, of which none goes on yet",
        "0.4000 is number 2 of 2, of which none goes on yet",
        "0.3000 is number 3 of 3, of which the best 1 go on",
    ]


def test_of_the_best_the_one_at_the_highest_rung_goes_on_first() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0, protected=True)
    scheduler.report(0, 1, 0.1)
    scheduler.report(0, 3, 0.2)
    fill(scheduler, [0.5], first=1)
    assert [scheduler.promote_best(), scheduler.promote_best(), scheduler.promote_best()] == [0, 1, None]


def test_the_best_is_not_out_of_reach_unless_it_is_not_to_go_on() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.4, 0.5])
    assert scheduler.unpromotable(0) == [0]
    assert scheduler.unpromotable(0, best_goes_on=False) == [0, 1]


def test_nobody_takes_the_place_of_a_best_that_has_gone_on_and_failed() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.5, 0.4])
    assert scheduler.promote_best() == 0
    scheduler.end(0)
    assert scheduler.promote_best() is None
    assert scheduler.unpromotable(0) == [1]


def test_a_protected_trial_goes_on_from_the_first_rung_and_from_no_other() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0, protected=True)
    decision = scheduler.report(0, 1, 0.1)
    assert decision.action is GO
    assert decision.reason == (
        "0.1000 is number 1 of 1, of which none goes on yet; protected, so that it goes on from the first rung"
    )
    assert scheduler.report(0, 3, 0.1).action is PAUSE


def test_a_protected_trial_takes_no_place_from_others() -> None:
    scheduler = AshaPromote((1, 3, 9), reduction_factor=3, objective=DEFAULT_OBJECTIVE)
    scheduler.start(0, protected=True)
    scheduler.report(0, 1, 0.1)
    fill(scheduler, [0.5, 0.4], first=1)
    assert scheduler.promote() == 1  # the best of three


def test_who_has_earned_the_next_rung_goes_on_for_that_alone() -> None:
    scheduler = AshaPromote((1, 3), reduction_factor=2, objective=DEFAULT_OBJECTIVE)
    fill(scheduler, [0.1])
    scheduler.start(1, protected=True)
    assert scheduler.report(1, 1, 0.2).reason == "0.2000 is number 1 of 2, of which the best 1 go on"
