"""Tests of `tuner.engine.plan`, worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tuner.config import StudyConfig, merge, nested
from tuner.engine.plan import DEFAULT_TRIALS, Plan, make_plan, retrain_load, wanted_retrainings
from tuner.engine.retrain_plan import Lengths, fit_retrainings
from tuner.errors import ConfigError, JournalError
from tuner.presets import preset
from tuner.results.selection import BASELINE, TUNED
from tuner.search.rungs import mean_epochs

ONE_CORE_FASHION_MNIST = 260.0
"""Seconds an epoch of the reference CNN takes on one core of the machine the presets were made for."""


def config(**values: Any) -> StudyConfig:
    return merge(StudyConfig(), nested(values), "test")


def plan(workers: int = 2, seconds: float = 10.0, started: float = 30.0, **values: Any) -> Plan:
    return make_plan(config(**values), workers, seconds, started)


@pytest.mark.parametrize(
    ("rungs", "factor", "expected"),
    [
        ((1, 3, 9), 3, 1 + 2 / 3 + 6 / 9),
        ((1, 3, 9, 27), 3, 3.0),
        ((2, 4, 5), 2, 2 + 2 / 2 + 1 / 4),
        ((7,), 3, 7.0),
        ((1, 3, 9), None, 9.0),
    ],
)
def test_the_epochs_of_a_mean_trial(rungs: tuple[int, ...], factor: int | None, expected: float) -> None:
    assert mean_epochs(rungs, factor) == pytest.approx(expected)


@pytest.mark.parametrize(("trials", "expected"), [(1, 9), (2, (2 + 2 + 6) / 2), (6, (6 + 4 + 6) / 6), (9, 7 / 3)])
def test_of_few_trials_one_has_all_its_epochs(trials: int, expected: float) -> None:
    assert mean_epochs((1, 3, 9), 3, trials) == pytest.approx(expected)


def test_without_a_budget_the_counts_rule() -> None:
    found = plan(trials=12, max_epochs=9, retrain_seeds=2)
    assert (found.rungs, found.max_epochs, found.reduction_factor) == ((1, 3, 9), 9, 3)
    assert (found.max_trials, found.expected_trials) == (12, 12)
    assert found.search_seconds == pytest.approx(12 * (7 / 3) * 10 / 2)
    assert found.retrain_seconds == pytest.approx(9.3 * 10 + 20)
    assert found.budget_seconds is None


def test_without_a_budget_or_counts_there_are_defaults_and_min_epochs_may_exceed_them() -> None:
    assert (plan().rungs, plan().max_trials) == ((1, 3, 9, 27), DEFAULT_TRIALS)
    assert plan(min_epochs=40).rungs == (40,)


@pytest.mark.parametrize(
    ("trials", "workers", "epochs"),
    [
        (1, 1, 27),
        (2, 1, 2 + 2 + 6 + 18),
        (8, 1, 8 + 8 / 3 * 2 + 6 + 18),
        (54, 1, 54 * 3),
        (8, 2, 27),  # which one after the other takes longer than half of all
        (64, 64, 27),
    ],
)
def test_without_a_budget_the_time_of_the_search_is_that_of_one_full_training_at_least(
    trials: int, workers: int, epochs: float
) -> None:
    assert plan(workers=workers, trials=trials, max_epochs=27).search_seconds == pytest.approx(10.0 * epochs)


def test_a_scheduler_that_stops_nothing_makes_every_trial_a_full_one() -> None:
    found = plan(trials=3, max_epochs=9, scheduler="none")
    assert found.reduction_factor is None
    assert found.search_seconds == pytest.approx(3 * 9 * 10 / 2)


def test_hyperband_trains_its_later_brackets_longer_and_the_plan_knows() -> None:
    many, few = (
        plan(workers=1, trials=trials, max_epochs=27, min_epochs=1, scheduler="hyperband", retrain_epochs=1)
        for trials in (10_000, 4)
    )
    costs = (3.0, 7.0, 15.0, 27.0)  # of an average trial of each bracket
    assert many.search_seconds == pytest.approx(10_000 * 10.0 * 4 / sum(1 / cost for cost in costs), rel=0.01)
    # Three trials in the first bracket and one in the second, of which one each is trained to the end.
    assert few.search_seconds == pytest.approx(10.0 * (3 + 2 + 6 + 18 + 27))


def test_the_least_epochs_that_were_typed_count_with_a_budget_too() -> None:
    assert plan(budget="1h", seconds=56.0).rungs[0] < 4
    assert plan(budget="1h", seconds=56.0, min_epochs=4).rungs == (4, 8)
    assert plan(budget="1h", seconds=56.0, min_epochs=20).rungs == (20,)
    with pytest.raises(ConfigError, match=r"an epoch takes 56\.0s here"):
        plan(budget="1h", seconds=56.0, min_epochs=200)


def test_with_a_budget_the_trials_are_those_that_fit_beside_the_retraining() -> None:
    found = plan(budget="1000s", max_epochs=9, retrain_epochs=9, retrain_seeds=1)
    assert found.retrain_seconds == pytest.approx(113)
    assert found.search_seconds == pytest.approx(1000 - 30 - 113)
    assert (found.expected_trials, found.max_trials) == (73, None)  # 857 * 2 / (7/3 * 10) = 73.4
    assert (found.least_retrain_epochs, found.most_retrain_epochs, found.expected_retrain_epochs) == (9, None, 9)
    assert plan(budget="1000s", max_epochs=9, retrain_epochs=9, retrain_seeds=1, trials=5).expected_trials == 5


def test_without_retrain_epochs_most_of_the_budget_is_for_retraining_and_the_search_has_six_trainings() -> None:
    found = plan(budget="1h", workers=2, seconds=56.0, retrain_seeds=2, baseline=True)
    assert found.retrain_seconds == pytest.approx(2160)
    assert found.search_seconds == pytest.approx(3600 - 30 - 2160)
    # Two rounds of (2160 - 20) x 0.97 / 2 = 1037.9 seconds: 18.5 epochs less the evaluation.
    assert (found.least_retrain_epochs, found.most_retrain_epochs, found.expected_retrain_epochs) == (8, 81, 18)
    assert found.rungs == (1, 3, 8)  # 1410 * 2 / 56 = 50.4 epochs in all


@pytest.mark.parametrize(
    ("workers", "seconds", "rungs", "retrained"),
    [
        (64, 56.0, (1, 3, 7, 18), 36),  # at most half of the retraining
        (2, 260.0, (1,), 3),
        (8, 1.0, (2, 5, 15, 40), 78),  # 81 epochs are the most, which the time kept is for
    ],
)
def test_the_horizon_is_at_most_half_of_the_retraining(
    workers: int, seconds: float, rungs: tuple[int, ...], retrained: int
) -> None:
    found = plan(budget="1h", workers=workers, seconds=seconds, retrain_seeds=2, baseline=True)
    assert (found.rungs, found.expected_retrain_epochs) == (rungs, retrained)


@pytest.mark.parametrize(
    ("given", "exponent", "weight"),
    [
        ({"budget": "1h"}, 0.67, 0.16),  # 18 epochs after 8: (18 / 8)^-0.5
        ({"budget": "1h", "resource": "epochs"}, 0.0, 0.5),
        ({"budget": "1h", "resource": "seconds"}, 1.0, 0.0),
        ({"budget": "1h", "retrain_epochs": 20}, 0.0, 0.5),
        ({"trials": 4}, 0.0, 0.0),
    ],
)
def test_where_the_time_decides_trials_are_compared_and_proposed_by_what_they_cost(
    given: dict[str, Any], exponent: float, weight: float
) -> None:
    found = plan(seconds=56.0, retrain_seeds=2, baseline=True, **given)
    assert (found.cost_exponent, found.cost_weight) == (exponent, weight)


@pytest.mark.parametrize(
    ("given", "startup_trials"),
    [
        ({"trials": 13}, 2),
        ({"trials": 500}, 12),
        ({"trials": 13, "searcher": "gp"}, 2),
        ({"trials": 13, "searcher": "tpe"}, None),
        ({"trials": 13, "objectives": ["dev_accuracy", "num_params"]}, None),
        ({"trials": 13, "startup_trials": 0}, 0),
        ({"trials": 13, "startup_trials": 20}, 20),
    ],
)
def test_where_few_trials_are_expected_the_model_does_not_wait_for_many(
    given: dict[str, Any], startup_trials: int | None
) -> None:
    assert plan(**given).startup_trials == startup_trials


def test_time_that_retraining_cannot_use_goes_to_the_search() -> None:
    found = plan(budget="1h", workers=2, seconds=1.0, retrain_seeds=2)
    assert found.retrain_seconds == pytest.approx(81.3 + 20)
    assert found.search_seconds == pytest.approx(3600 - 30 - 101.3)


def test_retrain_epochs_that_were_typed_count_and_the_search_has_the_rest() -> None:
    found = plan(budget="1000s", workers=2, seconds=10.0, retrain_epochs=40, retrain_seeds=2)
    assert found.retrain_seconds == pytest.approx(40.3 * 10 + 20)
    assert found.max_epochs == 18  # (1000 - 30 - 423) * 2 / 10 = 109 epochs
    assert (found.least_retrain_epochs, found.most_retrain_epochs) == (40, None)
    without_budget = plan(trials=4, max_epochs=9, retrain_epochs=40, retrain_seeds=2)
    assert without_budget.retrain_seconds == pytest.approx(40.3 * 10 + 20)
    assert without_budget.expected_retrain_epochs == 40


def test_a_plan_of_an_older_run_retrains_for_as_long_as_it_searched() -> None:
    values = plan(trials=4, max_epochs=9).to_dict()
    assert values["cost_epochs"] == 2
    retraining = ("least_retrain_epochs", "most_retrain_epochs", "expected_retrain_epochs")
    for name in ("protect_starts", "cost_epochs", *retraining):
        del values[name]
    found = Plan.from_dict(values)
    assert (found.retrain_lengths, found.protect_starts, found.cost_epochs) == (Lengths(9), False, 1)


@pytest.mark.parametrize(("seconds", "epochs"), [(3.1, 81), (17.006, 120), (0.01, 120)])
def test_the_time_that_is_kept_for_the_least_is_enough_for_it_however_it_is_rounded(
    seconds: float, epochs: int
) -> None:
    settings = config(budget="10h", retrain_seeds=2, max_epochs=epochs)
    lengths = Lengths(epochs, epochs)
    kept = retrain_load(settings, lengths, 1).seconds(seconds, seconds)
    costs = {TUNED: seconds, BASELINE: seconds}
    found = fit_retrainings(wanted_retrainings(settings), costs, lengths, workers=1, seconds_left=kept)
    assert [one.epochs for one in found] == [epochs] * 2


def test_the_baseline_is_part_of_what_is_retrained() -> None:
    without, with_it = config(retrain_seeds=2), config(retrain_seeds=2, baseline=True)
    assert (retrain_load(without, Lengths(9), 2).tuned, retrain_load(without, Lengths(9), 2).baseline) == (2, 0)
    assert (retrain_load(with_it, Lengths(9), 2).tuned, retrain_load(with_it, Lengths(9), 2).baseline) == (2, 2)


def test_a_budget_too_short_for_one_epoch_says_what_it_would_take_and_that_is_enough() -> None:
    short: dict[str, Any] = {"workers": 1, "seconds": 100.0, "started": 10.0, "retrain_seeds": 1}
    with pytest.raises(ConfigError) as caught:
        plan(budget="60s", **short)
    # 10 so far, 130 to retrain one epoch, 20 to close, 100 for the one trial.
    assert str(caught.value) == (
        "--budget is 60s, but starting took 10.0s, 20.0s are kept for measuring and the report, and an epoch takes "
        "1m 40s here: with a search of one trial and the retraining (1 epoch) that needs at least 260s."
    )
    with pytest.raises(ConfigError):
        plan(budget="259s", **short)
    enough = plan(budget="260s", **short)
    assert (enough.max_epochs, enough.expected_trials) == (1, 1)
    assert enough.search_seconds == pytest.approx(100)  # less than its share is kept for the retraining


def test_a_search_has_a_few_epochs_and_seconds_before_the_retraining_gets_more_than_its_least() -> None:
    quick: dict[str, Any] = {"workers": 1, "seconds": 0.2, "retrain_seeds": 1}
    # 81 epochs would take 36 seconds, with what is kept for the end; 6 of the 30 left are the search's.
    assert plan(budget="60s", started=30.0, **quick).search_seconds == pytest.approx(6.0)
    # One epoch, its evaluation and the end take 20.26 seconds.
    assert plan(budget="60s", started=36.0, **quick).search_seconds == pytest.approx(60 - 36 - 20.26)
    with pytest.raises(ConfigError) as caught:
        plan(budget="60s", started=38.0, **quick)
    assert str(caught.value) == (
        "--budget is 60s, but starting took 38.0s, 20.0s are kept for measuring and the report, and an epoch takes "
        "0.2s here: with a search of one trial and the retraining (1 epoch) that needs at least 61s."
    )
    with pytest.raises(ConfigError, match="an epoch takes 50ms here"):
        plan(budget="60s", started=38.0, **{**quick, "seconds": 0.05})
    slow = plan(budget="1000s", started=30.0, workers=1, seconds=100.0, retrain_seeds=1)
    assert slow.search_seconds == pytest.approx(1000 - 30 - 600)  # which is more than three epochs


def test_a_first_rung_that_does_not_fit_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"\(10 epochs\) that needs at least 433s"):
        plan(budget="200s", min_epochs=10, max_epochs=10, workers=1, retrain_seeds=2, seconds=10.0, started=107.0)


@pytest.mark.parametrize("name", ["quick", "default"])
def test_the_presets_with_a_budget_can_do_fashion_mnist_on_two_cores(name: str) -> None:
    found = make_plan(preset(name), 2, ONE_CORE_FASHION_MNIST, started=30.0)
    assert found.expected_trials >= 2
    assert found.budget_seconds is not None
    assert 30.0 + found.search_seconds + found.retrain_seconds == pytest.approx(found.budget_seconds)


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    found = plan(budget="1000s")
    values = json.loads(json.dumps(found.to_dict()))
    assert Plan.from_dict(values) == found


def test_a_plan_of_a_newer_version_is_read_and_one_that_is_none_is_named() -> None:
    found = plan(budget="1000s")
    assert Plan.from_dict({**found.to_dict(), "of_a_newer_version": 1}) == found
    for impossible in ({}, {"rungs": [1, 3]}, {**found.to_dict(), "rungs": 3}):
        with pytest.raises(JournalError, match="the plan in the journal cannot be read: "):
            Plan.from_dict(impossible)
