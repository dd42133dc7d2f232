"""Tests of `tuner.engine.live.curve`: a picture in one line, of a size that does not grow."""

from __future__ import annotations

import pytest

from tuner.engine.live.curve import Curve, sparkline

STEPS = "12345"


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 10, ""),
        ([0.5], 10, "3"),
        ([0.5, 0.5], 10, "33"),
        ([0.0, 0.25, 0.5, 0.75, 1.0], 10, "12345"),
        ([1.0, 0.5, 0.0], 10, "531"),
        ([0.0, 9.0, 0.0, 1.0], 2, "51"),
        ([0.0, 1.0], 0, ""),
    ],
)
def test_a_line_rises_and_falls_with_the_values(values: list[float], width: int, expected: str) -> None:
    assert sparkline(values, width, STEPS) == expected


def test_what_hardly_varies_is_drawn_flat() -> None:
    assert sparkline([0.900, 0.901], 10, STEPS, least_range=0.1) == "33"


def test_a_short_curve_is_kept_whole() -> None:
    curve = Curve()
    assert (curve.values, curve.last) == ([], None)
    for value in range(5):
        curve.add(value)
    assert (curve.values, curve.last) == ([0, 1, 2, 3, 4], 4)


def test_a_long_curve_keeps_evenly_many_of_its_values_and_the_last() -> None:
    curve = Curve()
    for value in range(10_001):
        curve.add(value)
        assert len(curve.values) <= 65
    steps = {after - before for before, after in zip(curve.values, curve.values[1:-1], strict=False)}
    assert (curve.values[0], curve.values[-1], curve.last) == (0, 10_000, 10_000)
    assert len(steps) == 1
