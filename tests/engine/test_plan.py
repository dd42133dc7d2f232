"""Tests of `tuner.engine.plan`, worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tuner.config import StudyConfig, merge, nested
from tuner.engine.plan import DEFAULT_TRIALS, Plan, make_plan, retrain_load
from tuner.errors import ConfigError
from tuner.presets import preset
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


def test_a_scheduler_that_stops_nothing_makes_every_trial_a_full_one() -> None:
    found = plan(trials=3, max_epochs=9, scheduler="none")
    assert found.reduction_factor is None
    assert found.search_seconds == pytest.approx(3 * 9 * 10 / 2)


def test_with_a_budget_the_trials_are_those_that_fit_beside_the_retraining() -> None:
    found = plan(budget="1000s", max_epochs=9, retrain_seeds=1)
    assert found.retrain_seconds == pytest.approx(113)
    assert found.search_seconds == pytest.approx(1000 - 30 - 113)
    assert (found.expected_trials, found.max_trials) == (73, None)  # 857 * 2 / (7/3 * 10) = 73.4
    assert plan(budget="1000s", max_epochs=9, retrain_seeds=1, trials=5).expected_trials == 5


@pytest.mark.parametrize(
    ("budget", "workers", "epochs"),
    [
        ("1000s", 2, 32),  # (32 + 0.3) * 10 + 20 = 343 of 350
        ("1000s", 1, 16),  # 2 * (16 + 0.3) * 10 + 20 = 346 of 350
        ("10h", 2, 81),  # the most
        ("100s", 2, 1),  # (1 + 0.3) * 10 + 20 = 33 of 35
    ],
)
def test_a_training_is_as_long_as_a_third_of_the_budget_can_retrain(budget: str, workers: int, epochs: int) -> None:
    assert plan(budget=budget, workers=workers, retrain_seeds=2).max_epochs == epochs


def test_the_baseline_is_part_of_what_is_retrained() -> None:
    without, with_it = config(retrain_seeds=2), config(retrain_seeds=2, baseline=True)
    assert (retrain_load(without, 9, 2).tuned, retrain_load(without, 9, 2).baseline) == (2, 0)
    assert (retrain_load(with_it, 9, 2).tuned, retrain_load(with_it, 9, 2).baseline) == (2, 2)


def test_a_budget_too_short_for_one_epoch_says_what_it_would_take_and_that_is_enough() -> None:
    short: dict[str, Any] = {"workers": 1, "seconds": 100.0, "started": 10.0, "retrain_seeds": 1}
    with pytest.raises(ConfigError) as caught:
        plan(budget="60s", **short)
    # 10 so far, 130 to retrain one epoch, 20 to close, 100 for the one trial.
    assert str(caught.value) == (
        "--budget is 60s, but one epoch takes 100s here: a search of one trial and the retraining (1 epochs) "
        "need at least 260s."
    )
    with pytest.raises(ConfigError):
        plan(budget="259s", **short)
    enough = plan(budget="260s", **short)
    assert (enough.max_epochs, enough.expected_trials) == (1, 1)
    assert enough.search_seconds == pytest.approx(100)


def test_a_first_rung_that_does_not_fit_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"need at least 433s"):
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
    assert Plan(**{**values, "rungs": tuple(values["rungs"])}) == found
