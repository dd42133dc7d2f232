from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.encoding import Encoding

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0.0, 1.0),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "depth": IntDistribution(1, 4),
    "width": FloatDistribution(0.0, 1.0),
}
CONFIGURATIONS = [
    {"x": 0.2, "kind": 1 / 6},
    {"x": 0.2, "kind": 0.5, "depth": 0.125, "width": 0.5},
    {"x": 0.7, "kind": 5 / 6, "depth": 0.875, "width": 0.5},
]


@pytest.fixture
def encoding() -> Encoding:
    units = Encoding(DISTRIBUTIONS, np.zeros((1, 4))).units(CONFIGURATIONS)
    return Encoding(DISTRIBUTIONS, units)


def test_parameters_that_come_together_share_the_column_that_says_whether_they_are_there(encoding: Encoding) -> None:
    assert encoding.names == ("x", "kind", "depth", "width", "has depth")
    assert encoding.groups.tolist() == [0, 1, 1, 1, 2, 3, 4]


def test_two_choices_are_one_apart_and_a_missing_number_lies_in_the_middle(encoding: Encoding) -> None:
    points = encoding.points(encoding.units(CONFIGURATIONS))
    apart = ((points[:, None] - points[None, :]) ** 2) @ (encoding.groups[:, None] == np.arange(5))
    assert apart[0, 1] == pytest.approx([0.0, 1.0, 0.375**2, 0.0, 1.0])
    assert apart[1, 2] == pytest.approx([0.25, 1.0, 0.75**2, 0.0, 0.0])


def test_places_come_back_by_name(encoding: Encoding) -> None:
    for configuration, row in zip(CONFIGURATIONS, encoding.units(CONFIGURATIONS), strict=True):
        assert encoding.named(row) == configuration


def test_numbers_decide_where_categories_alone_do_not_tell_which_parameters_there_are(encoding: Encoding) -> None:
    assert not encoding.numbers_decide(encoding.units(CONFIGURATIONS))
    plain_with_depth = {"x": 0.9, "kind": 1 / 6, "depth": 0.125, "width": 0.5}
    assert encoding.numbers_decide(encoding.units([*CONFIGURATIONS, plain_with_depth]))


def test_where_a_number_decides_whether_there_is_a_category_numbers_decide() -> None:
    distributions = {"layers": DISTRIBUTIONS["depth"], "kind_0": DISTRIBUTIONS["kind"], "kind_1": DISTRIBUTIONS["kind"]}
    configurations = [{"layers": 0.125, "kind_0": 0.5}, {"layers": 0.375, "kind_0": 0.5, "kind_1": 0.5}]
    units = Encoding(distributions, np.zeros((1, 3))).units(configurations)
    assert Encoding(distributions, units).numbers_decide(units)


def test_a_move_changes_a_number_to_another_of_its_values_and_no_category(encoding: Encoding) -> None:
    units = np.repeat(encoding.units(CONFIGURATIONS), 50, axis=0)
    moved = encoding.moved(units, np.random.default_rng(0), 0.3)
    assert np.array_equal(moved[:, 1], units[:, 1])
    assert set(np.unique(moved[~np.isnan(moved[:, 2]), 2])) == {0.125, 0.375, 0.625, 0.875}
    assert (np.isnan(moved) == np.isnan(units)).all()
    assert (np.nan_to_num(moved) != np.nan_to_num(units)).any(axis=1).mean() > 0.5
