from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.quiet import quiet_study
from tuner.search.unit import from_unit, snapped, to_unit

DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(-2.0, 5.0),
    FloatDistribution(1e-4, 1e-1, log=True),
    FloatDistribution(0.25, 1.5, step=0.125),
    IntDistribution(1, 15),
    IntDistribution(32, 128, step=32),
    IntDistribution(16, 512, log=True),
    IntDistribution(3, 3),
    FloatDistribution(2.0, 2.0),
    CategoricalDistribution(["a", "b", "c"]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_values_come_back_from_the_unit_interval_and_lie_in_the_range(distribution: BaseDistribution) -> None:
    for unit in np.linspace(0.0, 1.0, 41):
        value = from_unit(distribution, unit)
        assert distribution._contains(distribution.to_internal_repr(value))
        assert from_unit(distribution, to_unit(distribution, value)) == pytest.approx(value)
        if not isinstance(distribution, CategoricalDistribution):
            assert to_unit(distribution, value) == pytest.approx(float(snapped(distribution, np.array(unit))))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_a_uniform_place_is_a_draw_of_optunas_random_sampler(distribution: BaseDistribution) -> None:
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    theirs = [to_unit(distribution, study.ask({"x": distribution}).params["x"]) for _ in range(800)]
    generator = np.random.default_rng(0)
    ours = [to_unit(distribution, from_unit(distribution, generator.random())) for _ in range(800)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.05)
    assert np.std(ours) == pytest.approx(np.std(theirs), abs=0.03)
