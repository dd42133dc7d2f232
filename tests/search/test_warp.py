from __future__ import annotations

import numpy as np
import pytest

from tuner.search.warp import FLOOR, warped


def test_levels_are_shifted_by_what_trials_gain_from_one_to_the_next() -> None:
    trials, at = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0])
    unit, _ = warped(trials, at, np.array([0.5, 0.7, 0.6, 0.8, 0.55]), 2)
    assert unit[0] == pytest.approx(unit[1])
    assert unit[2] == pytest.approx(unit[3])
    assert unit[4] == pytest.approx(0.0)  # in the middle of the three


def test_what_diverged_or_failed_is_bad_and_no_more() -> None:
    values = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.1, -1e9, np.nan])
    unit, width = warped(np.arange(8), np.zeros(8, dtype=np.int64), values, 1)
    assert (unit[5:] == -FLOOR).all()
    assert (np.diff(unit[:5]) > 0.3).all()
    assert np.diff(values[:5]) == pytest.approx(width * np.diff(unit[:5]))


def test_the_scale_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    values = generator.standard_normal(20)
    trials, at = np.arange(20), np.zeros(20, dtype=np.int64)
    unit, width = warped(trials, at, values, 1)
    stretched, its_width = warped(trials, at, 1e6 * values - 3.0, 1)
    assert stretched == pytest.approx(unit, abs=1e-6)
    assert its_width == pytest.approx(1e6 * width)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_where_more_than_half_are_equal_at_the_top_the_scale_does_not_matter_either(scale: float) -> None:
    values = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, -1e9])  # the last one diverged
    trials, at = np.arange(8), np.zeros(8, dtype=np.int64)
    unit, width = warped(trials, at, values, 1)
    assert width == pytest.approx(0.2)
    assert unit == pytest.approx([0.0] * 5 + [-0.5, -1.0, -FLOOR])
    stretched, its_width = warped(trials, at, scale * values, 1)
    assert stretched == pytest.approx(unit)
    assert its_width == pytest.approx(scale * width)
    assert warped(trials, at, scale * values, 1, scales_ties=False)[1] == 1.0


def test_equal_values_and_nothing_but_failures_are_no_trouble() -> None:
    trials, at = np.arange(3), np.zeros(3, dtype=np.int64)
    for value, expected in ((0.5, 0.0), (np.nan, -FLOOR)):
        unit, width = warped(trials, at, np.full(3, value), 1)
        assert (unit == expected).all()
        assert width == 1.0
