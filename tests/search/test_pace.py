import pytest

from tuner.search.pace import MOST_FASTER, Pace, epochs_at

LEVELS = (1, 3, 9)


@pytest.mark.parametrize(
    ("relative_cost", "expected"),
    [(1.0, (1, 3, 9)), (0.5, (2, 6, 18)), (0.36, (3, 8, 25)), (1.5, (1, 2, 6)), (20.0, (1, 2, 3))],
)
def test_each_rung_comes_when_the_first_configuration_would_have_reached_it(
    relative_cost: float, expected: tuple[int, ...]
) -> None:
    assert epochs_at(LEVELS, relative_cost) == expected


def test_what_costs_next_to_nothing_is_not_trained_for_ever() -> None:
    assert epochs_at(LEVELS, 1e-9) == tuple(MOST_FASTER * level for level in LEVELS)


def test_rungs_in_epochs_are_left_to_the_search() -> None:
    pace = Pace(LEVELS)
    pace.note(0, 1, 5.0)

    assert [pace.rung(0, epoch) for epoch in (1, 2, 3)] == [1, 2, 3]
    assert pace.horizon(0) == pace.most_epochs == 9


def test_the_first_epoch_says_what_a_trial_costs_and_later_ones_change_nothing() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)
    pace.note(0, 1, 20.0)
    for epoch in range(2, 28):
        pace.note(0, epoch, 100.0)

    assert {epoch: rung for epoch in range(1, 28) if (rung := pace.rung(0, epoch))} == {3: 1, 9: 3, 27: 9}
    assert pace.horizon(0) == 27
    assert [pace.epoch_at(0, level) for level in LEVELS] == [3, 9, 27]


def test_of_a_trial_that_has_not_begun_nothing_is_known_but_the_most() -> None:
    pace = Pace(LEVELS, unit_seconds=60.0)

    assert pace.horizon(5) == 9 * MOST_FASTER
    assert pace.epoch_at(5, 1) is None
