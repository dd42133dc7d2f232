from __future__ import annotations

import pytest
from scipy.stats import binomtest

from tuner.results.intervals import spread, wilson


@pytest.mark.parametrize(("right", "n"), [(9353, 10_000), (1, 3), (359, 360)])
def test_the_interval_is_the_one_scipy_computes(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    found = wilson(right / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_interval_of_a_perfect_or_useless_model_stays_between_0_and_1(accuracy: float) -> None:
    found = wilson(accuracy, 50)
    assert 0.0 <= found.low < found.high <= 1.0


def test_the_spread_of_three_values_has_the_sample_standard_deviation() -> None:
    found = spread([0.9, 0.92, 0.94])
    assert found.mean == pytest.approx(0.92)
    assert found.sd == pytest.approx(0.02)
    assert found.n == 3


def test_one_value_has_no_standard_deviation() -> None:
    assert spread([0.9]).sd is None


def test_of_a_training_that_the_seed_does_not_change_no_interval_is_claimed() -> None:
    assert spread([0.958, 0.958]).interval is None
    assert spread([0.958, 0.959]).interval is not None
