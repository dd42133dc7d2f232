"""Tests of `tuner.engine.clock`, worked out by hand."""

from __future__ import annotations

import math

import pytest

from tuner.engine.clock import CLOSING_SECONDS, BudgetClock, EpochCost, RetrainLoad, makespan


@pytest.mark.parametrize(
    ("seconds", "workers", "expected"),
    [
        ([], 2, 0.0),
        ([4.0], 3, 4.0),
        ([4.0, 3.0, 3.0, 2.0], 1, 12.0),
        ([2.0, 3.0, 4.0, 3.0], 2, 6.0),  # 4 + 2 beside 3 + 3
        ([3.0, 3.0, 3.0, 4.0, 5.0], 2, 10.0),  # 5 + 3 beside 4 + 3 + 3: longest first is not always the best
        ([1.0] * 7, 3, 3.0),
    ],
)
def test_jobs_are_laid_on_the_workers_longest_first(seconds: list[float], workers: int, expected: float) -> None:
    assert makespan(seconds, workers) == expected


def test_a_busy_worker_begins_later() -> None:
    assert makespan([4.0, 3.0], 2, busy=[5.0]) == 7.0
    assert makespan([4.0, 3.0], 2, busy=[1.0]) == 4.0
    assert makespan([], 2, busy=[5.0]) == 5.0


def test_retraining_counts_every_seed_of_both_candidates_and_the_closing() -> None:
    # 10 epochs and the final evaluation are 10.3 epochs: on each worker a baseline of 20.6s, then a tuned one of 10.3s.
    assert RetrainLoad(2, 2, 10, 2).seconds(1.0, 2.0) == pytest.approx(30.9 + CLOSING_SECONDS)
    assert RetrainLoad(3, 0, 10, 2).seconds(1.0, 99.0) == pytest.approx(20.6 + CLOSING_SECONDS)
    assert RetrainLoad(3, 0, 10, 2).seconds(1.0, 99.0, 20) == pytest.approx(40.6 + CLOSING_SECONDS)


@pytest.mark.parametrize(
    ("share", "kept"),
    [
        (5.0, 10.3 + CLOSING_SECONDS),  # the least
        (60.0, 60.0),
        (500.0, 80.3 + CLOSING_SECONDS),  # more than 80 epochs it cannot use
    ],
)
def test_a_share_is_kept_as_far_as_retraining_can_use_it_and_the_least_in_any_case(share: float, kept: float) -> None:
    assert RetrainLoad(1, 0, 10, 1, most_epochs=80).share_seconds(share, 1.0, 1.0) == pytest.approx(kept)
    assert RetrainLoad(1, 0, 10, 1).share_seconds(share, 1.0, 1.0) == pytest.approx(10.3 + CLOSING_SECONDS)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([], None), ([3.0], 3.0), ([2.0, 90.0], 2.0), ([90.0, 2.0, 3.0], 3.0), ([4.0, 2.0, 90.0, 3.0], 3.0)],
)
def test_an_epoch_costs_the_lower_median(seconds: list[float], expected: float | None) -> None:
    cost = EpochCost()
    for one in seconds:
        cost.add(one)
    assert cost.median == expected


def test_the_search_may_take_what_retraining_does_not_need() -> None:
    now = [0.0]
    clock = BudgetClock(200.0, RetrainLoad(1, 1, 10, 1), 2.0, lambda: now[0])
    assert clock.search_seconds_left == pytest.approx(200.0 - 41.2 - CLOSING_SECONDS)
    now[0] = 50.0
    assert clock.search_seconds_left == pytest.approx(150.0 - 41.2 - CLOSING_SECONDS)


def test_the_reserve_follows_the_incumbent_and_the_baseline_keeps_its_own_cost() -> None:
    clock = BudgetClock(200.0, RetrainLoad(1, 1, 10, 1), 2.0, lambda: 0.0)
    clock.incumbent_changed(1.0)
    assert clock.search_seconds_left == pytest.approx(200.0 - 10.3 - 20.6 - CLOSING_SECONDS)
    clock.incumbent_changed(None)
    assert clock.search_seconds_left == pytest.approx(200.0 - 41.2 - CLOSING_SECONDS)


def test_a_share_of_the_budget_is_kept_for_a_retraining_that_can_use_it() -> None:
    clock = BudgetClock(200.0, RetrainLoad(1, 0, 10, 1, most_epochs=80), 2.0, lambda: 0.0, retrain_seconds=120.0)
    assert clock.search_seconds_left == pytest.approx(80.0)
    clock.incumbent_changed(0.5)
    assert clock.search_seconds_left == pytest.approx(200.0 - 40.15 - CLOSING_SECONDS)


def test_only_what_fits_can_be_retrained_and_what_is_no_dearer_than_the_incumbent_does() -> None:
    now = [0.0]
    clock = BudgetClock(100.0, RetrainLoad(1, 0, 10, 1), 2.0, lambda: now[0])
    assert clock.can_retrain(7.7)  # 79.31
    assert not clock.can_retrain(7.8)  # 80.34 and the closing
    clock.incumbent_changed(3.0)
    now[0] = 99.0
    assert clock.can_retrain(3.0)
    assert not clock.can_retrain(3.1)


def test_it_can_be_asked_as_of_a_time_that_has_passed() -> None:
    clock = BudgetClock(100.0, RetrainLoad(1, 0, 10, 1), 2.0, lambda: 99.0)
    with clock.at(0.0):
        assert clock.can_retrain(7.7)
        assert clock.search_seconds_left == pytest.approx(100.0 - 20.6 - CLOSING_SECONDS)
        with clock.at(None):
            assert not clock.can_retrain(7.7)
    assert not clock.can_retrain(7.7)


def test_without_a_budget_there_is_always_time() -> None:
    clock = BudgetClock(None, RetrainLoad(1, 1, 10, 1), 2.0, lambda: 1e9)
    assert clock.search_seconds_left == math.inf
    assert clock.can_retrain(1e9)
