"""Tests of `tuner.training.hparams`: the reference's values, and values that break a law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tuner.data.augmentation import Augmentation
from tuner.errors import ConfigError
from tuner.training.hparams import EPOCH_HPARAMS, TrainingHparams


def test_the_defaults_are_the_references() -> None:
    hparams = TrainingHparams.of({})
    assert (hparams.optimizer, hparams.learning_rate, hparams.decay_epochs) == ("adam", 0.01, 10.0)
    assert (hparams.weight_decay, hparams.label_smoothing) == (0.0, 0.0)
    assert hparams.augmentation() == Augmentation(flip=False, shift=0, erasing=0.0)


def test_the_models_hyperparameters_are_left_to_the_model() -> None:
    assert TrainingHparams.of({"batch_size": 64, "block1_width": 8}) == TrainingHparams(batch_size=64)


def test_the_augmentation_is_made_of_its_three_values() -> None:
    hparams = TrainingHparams.of({"flip": True, "shift": 2, "erasing": 0.25})
    assert hparams.augmentation() == Augmentation(flip=True, shift=2, erasing=0.25)


@pytest.mark.parametrize(
    ("name", "value", "law"),
    [
        ("optimizer", "lion", "one of: adam, adamw, sgd"),
        ("momentum", 1.0, r"in \[0, 1\)"),
        ("nesterov", 0.5, "True or False"),
        ("lr_decay", "step", "one of: exponential, constant, cosine, linear"),
        ("warmup_epochs", -1.0, "at least 0"),
        ("averaged_epochs", math.inf, "at least 0"),
        ("mixup", -0.1, "at least 0"),
        ("cutmix", math.nan, "at least 0"),
        ("tta", "yes", "True or False"),
        ("learning_rate", 0.0, "more than 0"),
        ("learning_rate", -0.1, "more than 0"),
        ("learning_rate", math.inf, "more than 0"),
        ("learning_rate", math.nan, "more than 0"),
        ("learning_rate", "fast", "a number"),
        ("decay_epochs", 0.0, "more than 0"),
        ("weight_decay", -1e-9, "at least 0"),
        ("weight_decay", None, "a number"),
        ("batch_size", 1, "at least 2"),
        ("batch_size", 64.0, "a whole number"),
        ("batch_size", True, "a whole number"),
        ("label_smoothing", 1.0, r"in \[0, 1\)"),
        ("label_smoothing", -0.1, r"in \[0, 1\)"),
        ("flip", "yes", "True or False"),
        ("shift", -1, "between 0 and 14"),
        ("shift", 1.5, "a whole number"),
        ("erasing", 1.1, "between 0 and 1"),
    ],
)
def test_a_value_that_breaks_its_law_is_named_with_the_law(name: str, value: Any, law: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}, but must be .*{law}"):
        TrainingHparams.of({name: value})


def test_numpys_numbers_become_pythons_which_a_checkpoint_can_hold() -> None:
    hparams = TrainingHparams.of(
        {"weight_decay": np.float64(0.5), "batch_size": np.int64(64), "flip": np.bool_(True), "learning_rate": 1}
    )
    assert hparams == TrainingHparams(weight_decay=0.5, batch_size=64, flip=True, learning_rate=1.0)
    values = (hparams.weight_decay, hparams.batch_size, hparams.flip, hparams.learning_rate)
    assert [type(value) for value in values] == [float, int, bool, float]


def test_the_hyperparameters_that_count_epochs_are_among_them() -> None:
    assert set(EPOCH_HPARAMS) == {name for name in TrainingHparams.names() if name.endswith("_epochs")}
