import math

import numpy as np
import pytest

from tuner.search.pace import MOST_FASTER, Pace, cost_exponent, epochs_at

LEVELS = (1, 3, 9)


@pytest.mark.parametrize(
    ("relative_cost", "expected"),
    [(1.0, (1, 3, 9)), (0.5, (2, 6, 18)), (0.36, (3, 8, 25)), (1.5, (1, 2, 6)), (20.0, (1, 2, 3))],
)
def test_each_rung_comes_when_the_first_configuration_would_have_reached_it(
    relative_cost: float, expected: tuple[int, ...]
) -> None:
    assert epochs_at(LEVELS, relative_cost) == expected


@pytest.mark.parametrize(
    ("exponent", "expected"), [(0.0, (1, 3, 9)), (0.5, (2, 6, 18)), (0.67, (3, 8, 23)), (1.0, (4, 12, 36))]
)
def test_between_equal_epochs_and_equal_time_a_cheap_trial_has_some_epochs_more(
    exponent: float, expected: tuple[int, ...]
) -> None:
    assert epochs_at(LEVELS, 0.25, exponent) == expected


def test_networks_near_the_best_are_ranked_after_a_short_training_as_after_a_long_one() -> None:
    def loss(cost: float, epochs: float) -> float:
        return 0.15 / math.sqrt(10.0 * cost) + 0.15 / math.sqrt(epochs)  # the best costs 1 where there is time for 10

    costs, stretch, most = np.geomspace(0.05, 3, 400), 5.0, 10.0

    def best(exponent: float, epochs: float) -> float:
        return float(min(costs, key=lambda cost: loss(cost, epochs * cost**-exponent)))

    in_the_end = best(1.0, most)
    assert best(cost_exponent(stretch), most / stretch) == pytest.approx(in_the_end, rel=0.02)
    assert best(1.0, most / stretch) < 0.5 * in_the_end  # equal time favours the small
    assert best(0.1, most / stretch) > 2 * in_the_end  # and equal epochs the large


def test_a_search_as_long_as_the_retraining_compares_by_time() -> None:
    assert cost_exponent(1.0) == cost_exponent(0.5) == 1.0


@pytest.mark.parametrize(
    ("resource", "exponent", "counts_epochs"),
    [("epochs", None, True), ("seconds", None, False), ("auto", 0.0, True), ("auto", 0.5, False)],
)
def test_the_plan_says_by_what_trials_are_compared_and_for_an_older_one_its_configuration(
    resource: str, exponent: float | None, counts_epochs: bool
) -> None:
    plan = {"rungs": [1, 3], "seconds_per_epoch": 60.0, "cost_exponent": exponent}
    assert Pace.of(resource, plan).counts_epochs is counts_epochs
    assert Pace.of("epochs", {}).most_epochs == 1


def test_what_costs_next_to_nothing_is_not_trained_for_ever() -> None:
    assert epochs_at(LEVELS, 1e-9) == tuple(MOST_FASTER * level for level in LEVELS)


def test_rungs_in_epochs_are_left_to_the_search() -> None:
    pace = Pace(LEVELS)
    pace.note(0, 1, 5.0)

    assert [pace.rung(0, epoch) for epoch in (1, 2, 3)] == [1, 2, 3]
    assert pace.horizon(0) == pace.most_epochs == 9


def test_the_first_epochs_say_what_a_trial_costs_and_later_ones_change_nothing() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, 20.0)
    for epoch in range(2, 28):
        pace.note(0, epoch, 100.0 if epoch == 2 else 1.0)

    assert {epoch: rung for epoch in range(1, 28) if (rung := pace.rung(0, epoch))} == {3: 1, 9: 3, 27: 9}
    assert pace.horizon(0) == 27
    assert [pace.epoch_at(0, level) for level in LEVELS] == [3, 9, 27]


def reached(pace: Pace) -> dict[int, int]:
    return {epoch: rung for epoch in range(1, pace.most_epochs + 1) if (rung := pace.rung(0, epoch))}


def test_where_the_first_epoch_was_cold_the_rungs_to_come_come_as_late_as_the_second_says() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, 120.0)
    assert reached(pace) == {1: 1, 2: 3, 4: 9}
    assert (pace.horizon(0), pace.limit(0)) == (4, 72)
    pace.note(0, 2, 30.0)
    assert reached(pace) == {1: 1, 6: 3, 18: 9}
    assert (pace.horizon(0), pace.limit(0)) == (18, 18)
    pace.forget(0)
    assert (pace.horizon(0), pace.limit(0)) == (72, 72)


def test_the_first_rung_comes_later_too_if_it_is_still_to_come() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, 30.0)
    assert reached(pace) == {2: 1, 6: 3, 18: 9}
    pace.note(0, 2, 15.0)
    assert reached(pace) == {4: 1, 12: 3, 36: 9}


def test_a_second_epoch_that_is_dearer_or_of_another_machine_than_the_first_changes_nothing() -> None:
    for first, second in (((30.0, None), 31.0), ((None, 0.5), 15.0)):
        pace = Pace(LEVELS, unit_seconds=60.0)
        pace.note(0, 1, *first)
        pace.note(0, 2, second)
        assert reached(pace) == {2: 1, 6: 3, 18: 9}
        assert pace.limit(0) == 18


def test_by_an_older_plan_the_first_epoch_alone_says_what_a_trial_costs() -> None:
    pace = Pace.of("seconds", {"rungs": LEVELS, "seconds_per_epoch": 60.0})
    pace.note(0, 1, 120.0)
    assert pace.limit(0) == 4
    pace.note(0, 2, 30.0)
    assert reached(pace) == {1: 1, 2: 3, 4: 9}


def test_what_was_trained_elsewhere_says_nothing_of_what_it_costs_here() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, None)

    assert [pace.epoch_at(0, level) for level in LEVELS] == list(LEVELS)


def test_a_trial_of_an_earlier_run_costs_what_it_did_there() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, None, 0.5)

    assert [pace.epoch_at(0, level) for level in LEVELS] == [2, 6, 18]
    assert pace.epochs_of(0.5) == {1: 2, 3: 6, 9: 18}
    assert pace.epochs_of(None) == Pace(LEVELS).epochs_of(0.5) == {1: 1, 3: 3, 9: 9}


def test_of_a_trial_that_has_not_begun_nothing_is_known_but_the_most() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)

    assert pace.horizon(5) == 9 * MOST_FASTER
    assert pace.epoch_at(5, 1) is None
