"""Tests of `tuner.training.lr_decay`."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tuner.errors import ConfigError
from tuner.training.hparams import TrainingHparams
from tuner.training.lr_decay import LearningRate


def rates(hparams: dict[str, Any], epochs: int, *, steps: int = 1, max_epochs: int | None = None) -> list[float]:
    """Return the rates of all steps."""
    rate = LearningRate(TrainingHparams(**hparams), steps, max_epochs)
    return [rate.at(epoch, step) for epoch in range(epochs) for step in range(steps)]


def test_the_references_decay_falls_to_a_tenth_in_ten_epochs() -> None:
    # 0.01 x 0.1^(epoch / 10), by hand: 10^-0.1 = 0.794328, 10^-0.2 = 0.630957, 10^-0.5 = 0.316228.
    found = rates({}, 21)
    assert [found[epoch] for epoch in (0, 1, 2, 5, 10, 20)] == pytest.approx(
        [0.01, 0.00794328, 0.00630957, 0.00316228, 0.001, 0.0001], rel=1e-5
    )


def test_exponential_decay_is_constant_within_an_epoch() -> None:
    assert rates({"learning_rate": 1.0, "decay_epochs": 1.0}, 2, steps=3) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1])


def test_a_shorter_decay_falls_faster() -> None:
    found = rates({"learning_rate": 1.0, "decay_epochs": 2.0}, 5)
    assert [found[epoch] for epoch in (0, 2, 4)] == pytest.approx([1.0, 0.1, 0.01])


@pytest.mark.parametrize("hparams", [{"decay_epochs": math.inf}, {"lr_decay": "constant", "decay_epochs": 1.0}])
def test_an_endless_decay_and_none_keep_the_rate(hparams: dict[str, Any]) -> None:
    assert rates({"learning_rate": 0.003, **hparams}, 50) == [0.003] * 50


def test_a_linear_decay_would_reach_zero_in_the_step_after_the_last() -> None:
    found = rates({"learning_rate": 1.0, "lr_decay": "linear"}, 2, steps=2, max_epochs=2)
    assert found == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_a_cosine_decay_is_slow_at_both_ends() -> None:
    found = rates({"learning_rate": 1.0, "lr_decay": "cosine"}, 3, max_epochs=3)
    assert found == pytest.approx([1.0, 0.75, 0.25])  # (1 + cos(0, 60 and 120 degrees)) / 2


@pytest.mark.parametrize("lr_decay", ["cosine", "linear"])
def test_beyond_its_horizon_a_training_goes_on_at_zero(lr_decay: str) -> None:
    assert rates({"lr_decay": lr_decay}, 4, max_epochs=2)[2:] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_the_warm_up_rises_by_steps_to_the_rate_before_the_decay_begins() -> None:
    found = rates({"learning_rate": 1.0, "lr_decay": "linear", "warmup_epochs": 1.0}, 3, steps=2, max_epochs=3)
    assert found == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("lr_decay", ["cosine", "linear"])
def test_a_decay_to_zero_needs_a_horizon(lr_decay: str) -> None:
    with pytest.raises(ConfigError, match=f"^lr_decay is '{lr_decay}', which needs max_epochs, but max_epochs is None"):
        rates({"lr_decay": lr_decay}, 1)


def test_a_warm_up_as_long_as_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^warmup_epochs is 3\.0, but must be less than the 3 epochs"):
        rates({"lr_decay": "cosine", "warmup_epochs": 3.0}, 1, max_epochs=3)


def test_a_cooldown_falls_to_zero_over_the_last_share_of_the_training() -> None:
    found = rates({"learning_rate": 1.0, "lr_decay": "constant", "cooldown": 0.5}, 5, steps=2, max_epochs=4)
    assert found == pytest.approx([1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])


def test_a_cooldown_comes_on_top_of_the_decay_and_over_all_of_it_is_a_linear_one() -> None:
    linear = rates({"lr_decay": "linear"}, 3, max_epochs=3)
    assert rates({"lr_decay": "constant", "cooldown": 1.0}, 3, max_epochs=3) == pytest.approx(linear)
    falling = rates({"decay_epochs": 2.0}, 3, max_epochs=3)
    both = rates({"decay_epochs": 2.0, "cooldown": 1.0}, 3, max_epochs=3)
    assert both == pytest.approx([rate * share for rate, share in zip(falling, (1, 2 / 3, 1 / 3), strict=True)])


def test_a_cooldown_needs_a_horizon() -> None:
    with pytest.raises(ConfigError, match=r"^cooldown is 0\.5, which needs max_epochs, but max_epochs is None"):
        rates({"cooldown": 0.5}, 1)


@pytest.mark.parametrize("warmup_epochs", [2.0, 2.5])
def test_exponential_decay_begins_where_the_warm_up_ends(warmup_epochs: float) -> None:
    hparams = {"learning_rate": 1.0, "decay_epochs": 2.0, "warmup_epochs": warmup_epochs}
    found = rates(hparams, 6, steps=2)
    assert max(found) == 1.0
    assert found[-4:] == pytest.approx([0.1**1.0] * 2 + [0.1**1.5] * 2)
