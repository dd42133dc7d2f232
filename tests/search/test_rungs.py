from __future__ import annotations

import itertools

import pytest

from tuner.errors import ConfigError
from tuner.search.rungs import first_rung, rung_levels


@pytest.mark.parametrize(
    ("least", "most", "factor", "levels"),
    [
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 125, 5, (1, 5, 25, 125)),
        (1, 1000, 10, (1, 10, 100, 1000)),
        (5, 5, 3, (5,)),
        (1, 1, 2, (1,)),
    ],
)
def test_levels_are_powers_where_those_meet_the_end(
    least: int, most: int, factor: int, levels: tuple[int, ...]
) -> None:
    assert rung_levels(least, most, factor) == levels


@pytest.mark.parametrize(
    ("least", "most", "factor", "levels"),
    [
        (1, 10, 3, (1, 3, 10)),  # 3.16, not 1 3 9 10
        (1, 14, 3, (1, 4, 14)),  # 3.74
        (1, 5, 3, (1, 5)),
        (1, 6, 3, (1, 2, 6)),  # 2.45
        (3, 52, 3, (3, 8, 20, 52)),  # 7.76, 20.09
        (2, 20, 4, (2, 6, 20)),  # 6.32
        (1, 2, 4, (1, 2)),
        (5, 6, 3, (6,)),
        (1, 10**9, 1000, (1, 10**3, 10**6, 10**9)),
    ],
)
def test_elsewhere_they_are_spread_evenly_so_that_the_end_is_worth_reaching_from_the_last_rung(
    least: int, most: int, factor: int, levels: tuple[int, ...]
) -> None:
    assert rung_levels(least, most, factor) == levels


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_from_a_default_first_rung_every_step_is_worth_its_epochs(factor: int) -> None:
    for most in range(1, 400):
        levels = rung_levels(first_rung(None, most), most, factor)
        assert levels[-1] == most
        # Half a step at least; small levels are rounded by up to a half.
        assert all((high + 0.5) ** 2 >= (low - 0.5) ** 2 * factor for low, high in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 9, 3), "min_epochs is 0, but must be at least 1"),
        ((9, 3, 3), "max_epochs is 3, but must be at least min_epochs, which is 9"),
        ((1, 9, 1), "reduction_factor is 1, but must be at least 2"),
    ],
)
def test_impossible_levels_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rung_levels(*arguments)
