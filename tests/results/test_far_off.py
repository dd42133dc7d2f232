from __future__ import annotations

import pytest

from tuner.results.far_off import brought_near, worst_of_the_near
from tuner.search.objective import Objective

LOSS, ACCURACY = Objective("dev_loss", "minimize"), Objective("dev_accuracy", "maximize")


def test_what_is_far_off_is_brought_to_the_worst_of_the_others() -> None:
    assert brought_near([1e9, 0.4, 0.3, 0.2, 0.25], LOSS) == [0.4, 0.4, 0.3, 0.2, 0.25]
    assert brought_near([-1e9, 0.7, 0.9, 0.8, 0.85], ACCURACY) == [0.7, 0.7, 0.9, 0.8, 0.85]


def test_what_is_far_better_is_what_the_search_looks_for() -> None:
    values = [-1e9, 0.7, 0.9, 0.8, 0.85]
    assert brought_near(values, LOSS) == values


@pytest.mark.parametrize("values", [(), (0.5,), (0.5, 9e9), (0.5, 0.5, 0.5, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4, 3.3)])
def test_where_nothing_is_far_off_all_stays(values: tuple[float, ...]) -> None:
    assert worst_of_the_near(values, LOSS) is None
    assert brought_near(values, LOSS) == list(values)
