from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from tuner.search.results_table import ResultsTable

X, Y = FloatDistribution(0.0, 2.0), IntDistribution(1, 4)


def test_a_parameter_that_is_met_later_is_missing_from_the_trials_before() -> None:
    table = ResultsTable(2)
    table.add(0, {"x": 1.0}, {"x": X})
    table.add(5, {"x": 0.5, "y": 1}, {"x": X, "y": Y})
    assert table.units() == pytest.approx(np.array([[0.5, np.nan], [0.25, 0.125]]), nan_ok=True)
    assert table.units([5]) == pytest.approx(np.array([[0.25, 0.125]]))


def test_a_trial_is_placed_in_the_range_that_it_had_itself_as_its_candidate_was() -> None:
    table = ResultsTable(1)
    table.add(0, {"x": 1.0}, {"x": X})
    table.add(1, {"x": 1.0}, {"x": FloatDistribution(0.0, 4.0)})
    assert table.units()[:, 0].tolist() == [0.5, 0.25]


def test_results_keep_their_order_and_name_the_rows_of_their_trials() -> None:
    table = ResultsTable(2)
    for trial in (3, -1, 8):
        table.add(trial, {"x": 1.0}, {"x": X})
    table.result(8, 0, 0.5)
    table.result(3, 1, 0.7)
    assert [part.tolist() for part in table.results(2)] == [[2, 0], [0, 1], [0.5, 0.7]]
    assert [part.tolist() for part in table.results(1)] == [[2], [0], [0.5]]
    assert len(table) == 2


def test_it_grows_to_thousands_of_trials() -> None:
    table = ResultsTable(1)
    for trial in range(3000):
        table.add(trial, {"x": trial / 1500}, {"x": X})
    assert table.units()[:, 0] == pytest.approx(np.arange(3000) / 3000)
