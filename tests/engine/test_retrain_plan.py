"""Tests of `tuner.engine.retrain_plan`, worked out by hand; 20 seconds are for the closing, 0.3 epochs to evaluate."""

from __future__ import annotations

from typing import Any

import pytest

from tuner.engine.retrain_plan import (
    Lengths,
    PlannedRetraining,
    fit_retrainings,
    is_last_epoch,
    refit_retrainings,
    scale_to_horizon,
)

TUNED, BASELINE = "tuned", "baseline"
WANTED = [(TUNED, 1), (TUNED, 2), (BASELINE, 1), (BASELINE, 2)]
COSTS = {TUNED: 20.0, BASELINE: 56.0}
FITTED = Lengths(5, 81)


def fit(left: float | None, lengths: Lengths = FITTED, workers: int = 2, **costs: float) -> list[tuple[str, int, int]]:
    found = fit_retrainings(WANTED, COSTS | costs, lengths, workers=workers, seconds_left=left)
    return [(one.candidate, one.seed, one.epochs) for one in found]


def test_all_get_the_same_time_and_the_cheap_more_epochs() -> None:
    # Two rounds of (2160 - 20) x 0.97 / 2 = 1037.9 seconds.
    assert fit(2160.0) == [(TUNED, 1, 51), (TUNED, 2, 51), (BASELINE, 1, 18), (BASELINE, 2, 18)]


def test_nobody_gets_more_than_the_most_or_without_a_budget_more_than_the_least() -> None:
    assert {epochs for _, _, epochs in fit(1e6)} == {81}
    assert {epochs for _, _, epochs in fit(None)} == {5}
    assert {epochs for _, _, epochs in fit(1e6, Lengths(9))} == {9}


def test_where_equal_times_are_too_short_for_one_all_get_the_least() -> None:
    # 2 x 5.3 x 56 = 593.6 would be needed for equal times; 5.3 x (56 + 20) = 402.8 are for five epochs of each.
    assert fit(500.0) == [(TUNED, 1, 5), (TUNED, 2, 5), (BASELINE, 1, 5), (BASELINE, 2, 5)]


def test_where_time_is_short_a_seed_of_both_goes_then_the_baseline_and_last_the_epochs() -> None:
    assert fit(400.0) == [(TUNED, 1, 18), (BASELINE, 1, 6)]  # one round of 368.6 seconds
    assert fit(200.0) == [(TUNED, 1, 8)]  # 180 x 0.97 / 20 - 0.3
    assert fit(100.0) == [(TUNED, 1, 3)]  # 80 / 20 - 0.3
    assert fit(-50.0) == [(TUNED, 1, 1)]


def test_epochs_that_were_typed_are_kept_as_long_as_one_training_fits() -> None:
    typed = Lengths(10)
    assert len(fit(20 + 10.3 * 76 + 0.1, typed)) == 4
    assert fit(20 + 10.3 * 76 - 0.1, typed) == [(TUNED, 1, 10), (BASELINE, 1, 10)]
    assert fit(20 + 10.3 * 56 - 0.1, typed) == [(TUNED, 1, 10)]


def planned(*epochs: tuple[str, int, int]) -> list[PlannedRetraining]:
    return [PlannedRetraining(*one) for one in epochs]


def refit(waiting: list[PlannedRetraining], left: float | None, lengths: Lengths = FITTED, **more: Any) -> Any:
    arguments: dict[str, Any] = {"busy": [], "seconds_per_epoch": COSTS} | more
    return refit_retrainings(waiting, lengths=lengths, workers=2, seconds_left=left, **arguments)


def test_while_the_plan_holds_the_rest_stays_and_time_to_spare_lengthens_nothing() -> None:
    waiting = planned((BASELINE, 1, 18), (BASELINE, 2, 18))
    for left in (None, 1e6, 20 + 18.3 * 56 + 1):
        assert refit(waiting, left) == waiting


def test_what_is_waiting_is_shortened_if_epochs_were_slower_than_planned() -> None:
    waiting = planned((BASELINE, 1, 18), (BASELINE, 2, 18))
    assert refit(waiting, 820.0) == planned((BASELINE, 1, 13), (BASELINE, 2, 13))  # 776 / 56 = 13.9


def test_a_plan_of_the_least_that_is_late_is_shortened_before_anything_is_given_up() -> None:
    waiting = planned((TUNED, 2, 5), (BASELINE, 1, 5), (BASELINE, 2, 5))
    by_a_second = refit(waiting, 20 + 5.3 * 76 - 1)
    assert by_a_second == planned((TUNED, 2, 4), (BASELINE, 1, 4), (BASELINE, 2, 4))
    by_two_fifths = refit(waiting, 20 + 3.3 * 76 + 1)
    assert by_two_fifths == planned((TUNED, 2, 3), (BASELINE, 1, 3), (BASELINE, 2, 3))


def test_nobody_is_shortened_below_half_of_the_least_however_often() -> None:
    waiting = planned((BASELINE, 1, 3), (BASELINE, 2, 3))
    assert refit(waiting, 20 + 3.3 * 56 - 1) == []


def test_who_is_busy_counts_where_others_are_shortened() -> None:
    waiting = planned((BASELINE, 1, 5), (BASELINE, 2, 5))
    assert refit(waiting, 320.0, busy=[250.0]) == planned((BASELINE, 1, 5))


def test_beside_who_is_busy_others_lose_no_more_epochs_than_that_takes() -> None:
    waiting = planned((BASELINE, 1, 11), (BASELINE, 2, 11))
    # 10 epochs for each would end 99 + 10.3 x 95 = 1077 seconds from now.
    found = refit(waiting, 20 + 1059.0, busy=[99.0], seconds_per_epoch={TUNED: 43.0, BASELINE: 95.0})
    assert found == planned((BASELINE, 1, 9), (BASELINE, 2, 9))


def test_who_is_busy_still_needs_a_worker() -> None:
    waiting = planned((BASELINE, 1, 18), (BASELINE, 2, 18))
    left = 20 + 18.3 * 56 + 200
    assert refit(waiting, left, busy=[150.0]) == waiting
    # Typed epochs: two rounds do not fit any more, so one of the two is given up.
    assert refit(waiting, left, Lengths(18), busy=[900.0]) == waiting[:1]


def test_seeds_go_first_where_epochs_were_typed_and_in_the_end_what_is_waiting_is_given_up() -> None:
    waiting = planned((TUNED, 3, 10), (BASELINE, 1, 10), (BASELINE, 2, 10))
    typed = Lengths(10)
    assert refit(waiting, 20 + 10.3 * 112, typed) == waiting
    assert refit(waiting, 20 + 10.3 * 76 - 1, typed) == planned((TUNED, 3, 10), (BASELINE, 1, 10))
    assert refit(waiting, 20 + 10.3 * 56 - 1, typed) == planned((TUNED, 3, 10))
    assert refit(waiting, 100.0, typed) == []


def test_what_there_is_no_result_without_is_never_given_up() -> None:
    waiting = planned((TUNED, 1, 44), (TUNED, 2, 44), (BASELINE, 1, 20))
    assert refit(waiting, 20 + 4.5 * 20, keeps_first=True) == planned((TUNED, 1, 4))
    assert refit(waiting, 5.0, Lengths(44), keeps_first=True) == planned((TUNED, 1, 1))
    assert refit(waiting, 5.0) == []


def test_an_epoch_is_the_last_if_another_and_the_evaluation_do_not_fit() -> None:
    assert not is_last_epoch(10.0, 33.0)
    assert is_last_epoch(10.0, 32.9)
    assert not is_last_epoch(10.0, None)


def test_what_counts_epochs_grows_with_the_horizon_and_nothing_else_does() -> None:
    hparams = {"decay_epochs": 6.0, "warmup": 2, "cycles": 0, "batch_size": 128, "flag": True, "name": "cosine"}
    names = ["decay_epochs", "warmup", "cycles", "flag", "name", "absent"]
    assert scale_to_horizon(hparams, names, 4.4) == hparams | {"decay_epochs": pytest.approx(26.4), "warmup": 9}
    assert scale_to_horizon(hparams, names, 0.1)["warmup"] == 1
    assert scale_to_horizon(hparams, names, 1.0) == hparams
