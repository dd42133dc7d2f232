"""The hyperparameters the training loop knows, with the reference's values, and their laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from tuner.data.augmentation import Augmentation
from tuner.errors import ConfigError

OPTIMIZERS = ("adam", "adamw")


@dataclass(frozen=True)
class TrainingHparams:
    """How to train; the defaults are the reference's. Raises ConfigError for a value that breaks its law."""

    optimizer: str = "adam"
    """`adam` (decay added to the gradient) or `adamw` (decay apart from it; Loshchilov and Hutter, 2019)."""
    learning_rate: float = 0.01
    """Of the first epoch."""
    decay_epochs: float = 10.0
    """Epochs in which the learning rate falls to a tenth."""
    weight_decay: float = 0.0
    batch_size: int = 128
    label_smoothing: float = 0.0
    flip: bool = False
    """Mirror every second image."""
    shift: int = 0
    """Move images by up to this many pixels."""
    erasing: float = 0.0
    """Probability of blackening a rectangle."""

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is {self.optimizer!r}, but must be one of: {', '.join(OPTIMIZERS)}.")
        _check("learning_rate", self.learning_rate, 0.0 < self.learning_rate < math.inf, "more than 0")
        _check("decay_epochs", self.decay_epochs, self.decay_epochs > 0.0, "more than 0")
        _check("weight_decay", self.weight_decay, 0.0 <= self.weight_decay < math.inf, "at least 0")
        # Batch norm cannot train on a single image.
        _check("batch_size", self.batch_size, self.batch_size >= 2, "at least 2")
        _check("label_smoothing", self.label_smoothing, 0.0 <= self.label_smoothing < 1.0, "in [0, 1)")
        self.augmentation()

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the training's hyperparameters."""
        return tuple(field.name for field in fields(TrainingHparams))

    @staticmethod
    def of(hparams: Mapping[str, Any]) -> TrainingHparams:
        """Return the training's part of a configuration that may hold the model's too.

        Raises:
            ConfigError: if a value is of the wrong kind or breaks its law.
        """
        own = [field for field in fields(TrainingHparams) if field.name in hparams]
        return TrainingHparams(**{field.name: _plain(field.name, hparams[field.name], field.default) for field in own})

    def augmentation(self) -> Augmentation:
        """Return the changes made to training images."""
        return Augmentation(self.flip, self.shift, self.erasing)


def _plain(name: str, value: Any, default: object) -> Any:
    """Return `value` as Python's own type of the default; a NumPy number in a checkpoint could not be loaded safely."""
    if isinstance(default, bool):
        _check(name, value, value in (False, True), "True or False")
        return bool(value)
    if isinstance(default, int):
        _check(name, value, isinstance(value, Integral) and not isinstance(value, bool), "a whole number")
        return int(value)
    if isinstance(default, float):
        _check(name, value, isinstance(value, Real) and not isinstance(value, bool), "a number")
        return float(value)
    return value


def _check(name: str, value: object, holds: bool, law: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}, but must be {law}.")
