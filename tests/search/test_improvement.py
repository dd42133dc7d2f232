from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tuner.search.improvement import log_expected_improvement


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.5), (2.0, 0.3, 1.0), (-1.0, 0.4, 0.3)])
def test_it_is_the_logarithm_of_the_integral_that_defines_it(mean: float, deviation: float, best: float) -> None:
    integral, _ = quad(lambda y: (y - best) * norm.pdf(y, mean, deviation), best, best + 20 * deviation, epsabs=1e-14)
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(np.log(integral), rel=1e-4)


def test_points_that_are_all_hopeless_are_still_told_apart() -> None:
    found = log_expected_improvement(np.array([-60.0, -50.0, -40.0]), np.full(3, 1.0), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    near = log_expected_improvement(np.array([-1.0 - 1e-9, -1.0 + 1e-9]), np.ones(2), 0.0)
    assert near[0] == pytest.approx(near[1], abs=1e-6)
