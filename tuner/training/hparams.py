"""The hyperparameters the training loop knows, with the reference's values, and their laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from tuner.data.augmentation import Augmentation
from tuner.data.mixing import Mixing
from tuner.errors import ConfigError

OPTIMIZERS = ("adam", "adamw", "sgd")

LR_DECAYS = ("exponential", "constant", "cosine", "linear")
HORIZON_LR_DECAYS = ("cosine", "linear")
"""Those that reach zero at `max_epochs`; what was trained to a shorter horizon is no prefix of the longer training."""

EPOCH_HPARAMS = ("decay_epochs", "warmup_epochs", "averaged_epochs")
"""Those that count epochs: whoever trains a configuration for twice as long doubles them."""


@dataclass(frozen=True)
class TrainingHparams:
    """How to train; the defaults are the reference's. Raises ConfigError for a value that breaks its law."""

    optimizer: str = "adam"
    """`adam` (decay added to the gradient), `adamw` (decay apart from it; Loshchilov and Hutter, 2019), or `sgd`."""
    momentum: float = 0.9
    """Of `sgd`."""
    nesterov: bool = True
    """Whether the momentum of `sgd` is Nesterov's."""
    learning_rate: float = 0.01
    """The highest: of the first epoch, or of the end of the warm-up."""
    lr_decay: str = "exponential"
    """`exponential` and `constant` know no horizon, so they suit a search that stops early and goes on later;
    `cosine` and `linear` fall to zero at the end of the last epoch, and a training stopped before has not cooled down.
    """
    decay_epochs: float = 10.0
    """Epochs in which the learning rate of `exponential` falls to a tenth."""
    warmup_epochs: float = 0.0
    """Epochs in which the learning rate first rises linearly from zero."""
    cooldown: float = 0.0
    """Share of the training's epochs, the last, over which the learning rate also falls linearly to zero. For `RETRAIN`
    of a space: in a search that stops early, few would cool down.
    """
    averaged_epochs: float = 0.0
    """Dev is measured on an exponential moving average of the weights over about so many epochs; 0: on the weights."""
    weight_decay: float = 0.0
    batch_size: int = 128
    label_smoothing: float = 0.0
    flip: bool = False
    """Mirror every second image."""
    shift: int = 0
    """Move images by up to this many pixels."""
    erasing: float = 0.0
    """Probability of blackening a rectangle."""
    mixup: float = 0.0
    """Blend examples of a batch in pairs, by shares from Beta(mixup, mixup); 0: do not."""
    cutmix: float = 0.0
    """Paste a rectangle of another image, of an area from Beta(cutmix, cutmix); 0: do not."""
    tta: bool = False
    """Test-time augmentation: what is measured is the mean of the answers to an image and to its mirror image."""

    def __post_init__(self) -> None:
        _check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        _check("momentum", self.momentum, 0.0 <= self.momentum < 1.0, "in [0, 1)")
        _check("learning_rate", self.learning_rate, 0.0 < self.learning_rate < math.inf, "more than 0")
        _check_one_of("lr_decay", self.lr_decay, LR_DECAYS)
        _check("decay_epochs", self.decay_epochs, self.decay_epochs > 0.0, "more than 0")
        _check("warmup_epochs", self.warmup_epochs, 0.0 <= self.warmup_epochs < math.inf, "at least 0")
        _check("cooldown", self.cooldown, 0.0 <= self.cooldown <= 1.0, "in [0, 1]")
        _check("averaged_epochs", self.averaged_epochs, 0.0 <= self.averaged_epochs < math.inf, "at least 0")
        _check("weight_decay", self.weight_decay, 0.0 <= self.weight_decay < math.inf, "at least 0")
        # Batch norm cannot train on a single image.
        _check("batch_size", self.batch_size, self.batch_size >= 2, "at least 2")
        _check("label_smoothing", self.label_smoothing, 0.0 <= self.label_smoothing < 1.0, "in [0, 1)")
        self.augmentation()
        self.mixing()

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

    def mixing(self) -> Mixing:
        """Return how the examples of a batch are mixed."""
        return Mixing(self.mixup, self.cutmix)

    @property
    def needs_horizon(self) -> bool:
        """Whether the learning rate depends on how many epochs there will be."""
        return self.lr_decay in HORIZON_LR_DECAYS or self.cooldown > 0.0

    def needs_images(self) -> str | None:
        """Return the first hyperparameter in use that makes sense for images only, if any."""
        names = ("flip", "shift", "erasing", "cutmix", "tta")
        return next((name for name in names if getattr(self, name)), None)


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


def _check_one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    _check(name, value, value in known, f"one of: {', '.join(known)}")
