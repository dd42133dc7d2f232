"""Tests of `tuner.search.cost_model`: what configurations cost is learnt from a few that were timed."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tuner.search.arrays import Floats
from tuner.search.cost_model import LEAST_TIMED, CostModel
from tuner.search.encoding import Encoding
from tuner.search.results_table import ResultsTable

DISTRIBUTIONS = {"width": FloatDistribution(0.25, 1.5), "kind": CategoricalDistribution(["fast", "slow"])}


def seconds(width: float, kind: str) -> float:
    return 60.0 * width**2 * (3.0 if kind == "slow" else 1.0)


def timed(count: int, scatter: float = 0.03) -> ResultsTable:
    """A table of random configurations whose epochs took what their widths squared and their kinds make them take."""
    generator = np.random.default_rng(5)
    table = ResultsTable(1)
    for number in range(count):
        width, kind = float(generator.uniform(0.25, 1.5)), str(generator.choice(["fast", "slow"]))
        table.add(number, {"width": width, "kind": kind}, DISTRIBUTIONS)
        table.time(number, seconds(width, kind) * float(np.exp(scatter * generator.standard_normal())))
    return table


def predicted(table: ResultsTable, places: Floats) -> Floats:
    log_cost = CostModel(table, 1.1).log_cost(Encoding(table.distributions, table.units()))
    assert log_cost is not None
    return log_cost(places)


PLACES = np.array([[0.2, 0.25], [0.8, 0.25], [0.2, 0.75], [0.8, 0.75]])
"""Narrow and wide, of the fast kind and of the slow one."""


def truth() -> Floats:
    return np.log([seconds(0.25 + 1.25 * width, "slow" if kind > 0.5 else "fast") for width, kind in PLACES])


@pytest.mark.parametrize(("count", "tolerance"), [(20, 0.25), (400, 0.1)])
def test_it_predicts_how_much_dearer_one_configuration_is_than_another(count: int, tolerance: float) -> None:
    found = predicted(timed(count), PLACES)
    assert found - found[0] == pytest.approx(truth() - truth()[0], abs=tolerance)


def test_before_enough_trials_were_timed_nothing_is_predicted() -> None:
    for count, is_known in ((0, False), (LEAST_TIMED - 1, False), (LEAST_TIMED, True)):
        table = timed(count)
        log_cost = CostModel(table, 1.1).log_cost(Encoding(table.distributions, table.units()))
        assert (log_cost is not None) is is_known


def test_an_epoch_that_took_no_time_at_all_is_cheap_and_no_error() -> None:
    table = timed(10)
    table.add(10, {"width": 0.3, "kind": "fast"}, DISTRIBUTIONS)
    table.time(10, 0.0)
    assert np.isfinite(predicted(table, PLACES)).all()


def test_a_model_that_was_asked_before_predicts_what_a_new_one_does() -> None:
    asked = timed(0)
    model = CostModel(asked, 1.1)
    for number in range(30):
        of_all = timed(number + 1)
        rows, found = of_all.times(number + 1)
        place = of_all.units()[rows[-1]]
        kind = "slow" if place[1] > 0.5 else "fast"
        asked.add(number, {"width": 0.25 + 1.25 * float(place[0]), "kind": kind}, DISTRIBUTIONS)
        asked.time(number, float(found[-1]))
        model.log_cost(Encoding(asked.distributions, asked.units()))
    old = model.log_cost(Encoding(asked.distributions, asked.units()))
    assert old is not None
    assert old(PLACES) == pytest.approx(predicted(timed(30), PLACES))
