from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.objective import LATENCY, NUM_PARAMS
from tuner.search.pareto import pareto_front

OBJECTIVES = (DEFAULT_OBJECTIVE, NUM_PARAMS, LATENCY)
# Few different values, so that equal ones meet.
POINTS = st.lists(st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 1.0, 1e6]) | st.floats(-1e9, 1e9)] * 3), max_size=12)


def is_dominated(point: tuple[float, ...], by: tuple[float, ...]) -> bool:
    """Spelt out objective by objective: the first is maximised, the others minimised."""
    at_least_as_good = by[0] >= point[0] and by[1] <= point[1] and by[2] <= point[2]
    better_in_one = by[0] > point[0] or by[1] < point[1] or by[2] < point[2]
    return at_least_as_good and better_in_one


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[float, ...]]) -> None:
    expected = [not any(is_dominated(point, other) for other in points) for point in points]
    assert pareto_front(points, OBJECTIVES) == expected


@given(POINTS)
def test_of_any_points_some_are_on_the_front_and_those_alone_have_the_same_front(
    points: list[tuple[float, ...]],
) -> None:
    front = [point for point, is_on_it in zip(points, pareto_front(points, OBJECTIVES), strict=True) if is_on_it]
    assert bool(front) == bool(points)
    assert all(pareto_front(front, OBJECTIVES))


def test_equal_points_are_on_the_front_together() -> None:
    assert pareto_front([(0.9, 100), (0.9, 100), (0.9, 101), (0.8, 10)], (DEFAULT_OBJECTIVE, NUM_PARAMS)) == [
        True,
        True,
        False,
        True,
    ]
