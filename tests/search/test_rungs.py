from __future__ import annotations

import pytest

from tuner.errors import ConfigError
from tuner.search.rungs import rung_levels


@pytest.mark.parametrize(
    ("least", "most", "factor", "levels"),
    [
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 125, 5, (1, 5, 25, 125)),
        (1, 1000, 10, (1, 10, 100, 1000)),
        (1, 14, 3, (1, 3, 9, 14)),
        (2, 20, 4, (2, 8, 20)),
        (5, 5, 3, (5,)),
        (1, 1, 2, (1,)),
    ],
)
def test_levels_are_powers_below_the_last_which_is_always_there(
    least: int, most: int, factor: int, levels: tuple[int, ...]
) -> None:
    assert rung_levels(least, most, factor) == levels


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
