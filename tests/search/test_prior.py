from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import kstest, truncnorm

from tuner.errors import SpaceError
from tuner.search.arrays import Floats
from tuner.search.drawing import draw, places
from tuner.search.prior import CONFIDENCE, UserPrior, check_prior
from tuner.search.space import SearchSpace
from tuner.search.unit import to_unit

MakeSpace = Callable[[str], SearchSpace]

NET = """
MODEL = "cnn"


def suggest(trial):
    hparams = {
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "kernel": trial.suggest_categorical("kernel", [(3, 3), (5, 5), (7, 7)]),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd", None]),
        "depth": trial.suggest_int("depth", 1, 4),
    }
    if hparams["optimizer"] == "sgd":
        hparams["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
        hparams["skipped"] = trial.suggest_int("skipped", 0, hparams["depth"])
    return hparams


"""
RATE = FloatDistribution(1e-4, 1e-1, log=True)
GRID = np.linspace(0.0, 1.0, 2001)


def density(distribution: BaseDistribution, value: Any, units: Floats) -> Floats:
    """The density of one parameter at places in its unit interval."""
    prior = UserPrior({"p": value}, 0)
    result: Floats = np.exp(prior.log_weight({"p": distribution}, int(CONFIDENCE))(units[:, None]))
    return result


def normal(centre: float) -> Any:
    return truncnorm(-centre / 0.25, (1.0 - centre) / 0.25, centre, 0.25)


@pytest.mark.parametrize(
    ("distribution", "value", "centre"),
    [
        (FloatDistribution(-1.0, 3.0), 0.0, 0.25),
        (FloatDistribution(-1.0, 3.0), -1.0, 0.0),
        (RATE, 1e-3, 1 / 3),
        (IntDistribution(1, 4), 4, 0.875),
        (IntDistribution(1, 4), 2.5, 0.5),
        (IntDistribution(16, 64, step=16), 16, 0.125),
        (FloatDistribution(0.0, 1.0, step=0.5), 0.5, 0.5),
        (FloatDistribution(2.0, 2.0), 2.0, 0.5),
    ],
)
def test_a_number_has_a_normal_density_truncated_to_its_range(
    distribution: BaseDistribution, value: float, centre: float
) -> None:
    assert density(distribution, value, GRID) == pytest.approx(normal(centre).pdf(GRID))


@pytest.mark.parametrize("value", ["b", "c"])
def test_a_believed_category_has_four_times_the_weight_of_another(value: str) -> None:
    categories = CategoricalDistribution(["a", "b", "c"])
    found = density(categories, value, np.array([to_unit(categories, one) for one in ("a", "b", "c")]))
    believed = found[["a", "b", "c"].index(value)]
    assert found.sum() == pytest.approx(3.0)
    assert believed == pytest.approx(3.0 * 4 / 6)
    assert found.min() == pytest.approx(believed / 4)


def test_parameters_multiply_and_those_that_are_not_there_or_not_believed_in_count_for_nothing() -> None:
    distributions = {"rate": RATE, "momentum": FloatDistribution(0.0, 1.0), "depth": IntDistribution(1, 4)}
    prior = UserPrior({"rate": 1e-3, "momentum": 0.9, "depth": 9}, 0)
    units = np.array([[0.5, 0.7, 0.1], [0.5, np.nan, 0.9], [np.nan, np.nan, 0.5]])
    found = prior.log_weight(distributions, int(CONFIDENCE))(units)
    rate, momentum = normal(1 / 3).logpdf(0.5), normal(0.9).logpdf(0.7)
    assert found == pytest.approx([rate + momentum, rate, 0.0])


def test_the_belief_counts_for_less_the_more_results_there_are() -> None:
    prior = UserPrior({"rate": 1e-3}, 0)
    few, many, very_many = (prior.log_weight({"rate": RATE}, results)(GRID[:, None]) for results in (6, 60, 6000))
    assert many == pytest.approx(few / 10)
    assert np.abs(very_many).max() < 0.01


def test_draws_follow_the_density(make_space: MakeSpace) -> None:
    prior = UserPrior.of(make_space(NET + 'PRIOR = {"rate": 1e-3, "kernel": (5, 5), "optimizer": None}'))
    assert prior is not None
    generator = np.random.default_rng(0)
    space = make_space(NET)
    drawn = [draw(space, prior.around(generator)).hparams for _ in range(600)]
    rates = [to_unit(RATE, one["rate"]) for one in drawn]
    assert kstest(rates, normal(1 / 3).cdf).pvalue > 0.01
    for name, believed in (("kernel", [5, 5]), ("optimizer", None)):
        counts = [sum(one[name] == value for one in drawn) for value in ([3, 3], [7, 7], "adam", "sgd")]
        assert sum(one[name] == believed for one in drawn) / len(drawn) == pytest.approx(4 / 6, abs=0.06)
        assert sum(counts) == len(drawn) - sum(one[name] == believed for one in drawn)
    depths = [one["depth"] for one in drawn]
    assert [depths.count(depth) / len(drawn) for depth in range(1, 5)] == pytest.approx([0.25] * 4, abs=0.06)


def test_where_the_range_does_not_hold_the_value_a_draw_is_from_all_of_it(make_space: MakeSpace) -> None:
    space = make_space(NET)
    generator = np.random.default_rng(0)
    believing = UserPrior({"optimizer": "sgd", "skipped": 4}, 0).around(generator)
    drawn = [one for one in (draw(space, believing).params for _ in range(600)) if "skipped" in one]
    shallow = [one["skipped"] for one in drawn if one["depth"] == 1]
    deep = [one["skipped"] for one in drawn if one["depth"] == 4]
    assert np.mean(shallow) == pytest.approx(0.5, abs=0.2)
    assert np.mean(deep) > 2.8  # uniform would give 2


def test_a_draw_is_the_generators_and_leaves_a_parameter_without_a_belief_as_it_would_be(space: SearchSpace) -> None:
    prior = UserPrior({"x": 0.5}, 0)
    believing, without = (
        places(space, one.around(np.random.default_rng(3))) for one in (prior, UserPrior({"other": 1}, 0))
    )
    assert believing == places(space, prior.around(np.random.default_rng(3)))
    assert believing is not None
    assert without is not None
    assert believing["kind"] == without["kind"]
    assert believing["x"] != without["x"]


def test_every_other_proposal_from_the_first_on_is_drawn_around_it_until_it_has_been_in_vain_for_long() -> None:
    prior = UserPrior({"x": 0.5}, 3)
    assert [prior.is_due(number, 0) for number in range(3, 8)] == [True, False, True, False, True]
    assert prior.is_due(3, 7)
    assert not prior.is_due(3, 8)


def test_a_space_that_believes_in_nothing_has_no_prior(make_space: MakeSpace) -> None:
    assert UserPrior.of(make_space(NET)) is None
    assert UserPrior.of(make_space(NET + "PRIOR = {}")) is None


@pytest.mark.parametrize(
    "prior",
    [
        '{"rate": 1e-4, "kernel": (7, 7), "optimizer": "adam", "depth": 4}',
        '{"optimizer": None, "depth": 2.5}',
        '{"momentum": 0.9}',
        '{"skipped": 4}',
        "{}",
    ],
)
def test_values_that_some_configuration_can_have_are_accepted(make_space: MakeSpace, prior: str) -> None:
    check_prior(make_space(f"{NET}PRIOR = {prior}"))


def test_a_rare_branch_is_found_by_the_belief_or_by_a_start_configuration(make_space: MakeSpace) -> None:
    rare = (
        'MODEL = "cnn"\ndef suggest(trial):\n    x = trial.suggest_float("x", 0.0, 1.0)\n'
        '    return {"x": x, "y": trial.suggest_int("y", 1, 3)} if x > 0.99 else {"x": x}\n'
    )
    check_prior(make_space(rare + 'PRIOR = {"x": 1.0, "y": 2}'))
    check_prior(make_space(rare + 'PRIOR = {"y": 2}\nSTART = [{"x": 0.995, "y": 1}]'))


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("3", "PRIOR of space .* is 3, but must be a dictionary of values by parameter"),
        ("{1: 2}", r"PRIOR of space .* is \{1: 2\}, but must be a dictionary of values by parameter"),
        ('{"rate": print}', "PRIOR of space .* cannot be written as JSON"),
        ('{"rate": float("nan")}', "PRIOR of space .* cannot be written as JSON"),
    ],
)
def test_what_is_no_dictionary_of_plain_values_is_refused(make_space: MakeSpace, prior: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make_space(f"{NET}PRIOR = {prior}")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ('{"rate": 1.0}', r"is 1.0 for parameter 'rate', but must be a number from 0\.0001 to 0\.1\."),
        ('{"rate": "fast"}', r"is 'fast' for parameter 'rate', but must be a number from 0\.0001 to 0\.1\."),
        ('{"rate": None}', r"is None for parameter 'rate', but must be a number from"),
        ('{"depth": True}', r"is True for parameter 'depth', but must be a number from 1 to 4\."),
        ('{"optimizer": "sdg"}', "is 'sdg' for parameter 'optimizer', but must be one of: 'adam', 'sgd', None"),
        ('{"kernel": (9, 9)}', r"is \[9, 9\] for parameter 'kernel', but must be one of: '\[3, 3\]', '\[5, 5\]'"),
        ('{"momentum": -1}', r"is -1 for parameter 'momentum', but must be a number from 0\.0 to 0\.99\."),
        ('{"skipped": 5}', r"is 5 for parameter 'skipped', but must be a number from 0 to 4\."),
        (
            '{"rte": 1e-3}',
            r"is 0\.001 for parameter 'rte', but must name a parameter that suggest\(\) asks for; did you mean 'rate'",
        ),
        (
            '{"zzz": 1}',
            r"is 1 for parameter 'zzz', but .*; known are: depth, kernel, momentum, optimizer, rate, skipped\.",
        ),
    ],
)
def test_what_no_configuration_can_have_is_refused_with_what_there_is(
    make_space: MakeSpace, prior: str, message: str
) -> None:
    with pytest.raises(SpaceError, match=f"^PRIOR of space .*space.py' {message}"):
        check_prior(make_space(f"{NET}PRIOR = {prior}"))
