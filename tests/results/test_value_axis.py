from __future__ import annotations

import pytest

from tuner.results.figures.value_axis import value_axis
from tuner.search.objective import Objective

LOSS, ACCURACY = Objective("dev_loss", "minimize"), Objective("dev_accuracy", "maximize")


def points(*values: float) -> list[list[float]]:
    return [[value] for value in values]


def test_a_value_far_from_the_others_lies_beyond_the_axis_and_is_told() -> None:
    axis = value_axis("dev loss", points(0.2, 0.3, 0.25, 0.4, 1e9), LOSS)
    assert axis.title == "dev loss (1 beyond the axis)"
    assert axis.range == pytest.approx([0.19, 0.41])


def test_which_side_is_far_depends_on_the_objective() -> None:
    values = points(-1e9, 0.9, 0.8, 0.85, 0.7)
    axis = value_axis("dev accuracy", values, ACCURACY)
    assert axis.range == pytest.approx([0.69, 0.91])
    # For an error the same values have one that is far better, which is what the search looks for.
    assert value_axis("dev loss", values, LOSS).range is None


@pytest.mark.parametrize("values", [(), (0.5,), (0.5, 9e9), (0.5, 0.5, 0.5, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4, 3.3)])
def test_where_nothing_is_far_the_range_is_left_to_plotly(values: tuple[float, ...]) -> None:
    axis = value_axis("a < b", points(*values), LOSS)
    assert (axis.title, axis.range) == ("a &lt; b", None)


def test_a_line_counts_as_beyond_only_if_no_part_of_it_is_seen() -> None:
    lines = [[2.3, 0.3], [2.3, 0.2], [2.3, 0.4], [2.3, 0.25], [1e6, 0.3], [1e6, 1e5]]
    axis = value_axis("dev loss", lines, LOSS)
    assert axis.title == "dev loss (1 beyond the axis)"
    assert axis.range is not None
    assert axis.range[1] == pytest.approx(2.3 + 0.05 * 2.1)
