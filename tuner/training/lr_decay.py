"""The learning rate of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuner.errors import ConfigError
from tuner.training.hparams import HORIZON_LR_DECAYS, TrainingHparams


def without_schedule(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters with a learning rate that stays.

    For what is no training from its beginning to its end, a sample of two epochs or a model that only answers: it has
    no horizon by which the laws of a schedule could be kept or broken.
    """
    return {**hparams, "lr_decay": "constant", "warmup_epochs": 0.0, "cooldown": 0.0}


class LearningRate:
    """The learning rate over a training; raises ConfigError if the horizon does not fit the decay."""

    def __init__(self, hparams: TrainingHparams, steps_per_epoch: int, max_epochs: int | None) -> None:
        """Plan for `max_epochs` epochs; None is for the decays that know no horizon."""
        self._hparams = hparams
        self._steps = steps_per_epoch
        self._max_epochs = max_epochs
        if not hparams.needs_horizon:
            return
        if max_epochs is None:
            name = "lr_decay" if hparams.lr_decay in HORIZON_LR_DECAYS else "cooldown"
            what = f"{name} is {getattr(hparams, name)!r}"
            raise ConfigError(f"{what}, which needs max_epochs, but max_epochs is None.")
        if hparams.lr_decay in HORIZON_LR_DECAYS and hparams.warmup_epochs >= max_epochs:
            law = f"less than the {max_epochs} epochs of the training"
            raise ConfigError(f"warmup_epochs is {hparams.warmup_epochs!r}, but must be {law}.")

    def at(self, epoch: int, step: int) -> float:
        """Return the rate of a step; both count from 0, `step` within its epoch.

        Exponential decay falls once an epoch, as the reference's does; the others, and the warm-up, at every step.
        """
        hparams = self._hparams
        factors = self._decay(epoch, step) * self._warmup(epoch * self._steps + step) * self._cooldown(epoch, step)
        return hparams.learning_rate * factors

    def at_end(self, epoch: int) -> float:
        """Return the rate of an epoch's last step."""
        return self.at(epoch, self._steps - 1)

    def _decay(self, epoch: int, step: int) -> float:
        if self._hparams.lr_decay == "constant":
            return 1.0
        if self._hparams.lr_decay == "exponential":
            decaying = max(0, epoch - math.floor(self._hparams.warmup_epochs))
            return float(0.1 ** (decaying / self._hparams.decay_epochs))
        assert self._max_epochs is not None
        warmup = self._hparams.warmup_epochs
        done = (epoch + step / self._steps - warmup) / (self._max_epochs - warmup)
        done = min(max(done, 0.0), 1.0)
        return 1.0 - done if self._hparams.lr_decay == "linear" else (1.0 + math.cos(math.pi * done)) / 2.0

    def _cooldown(self, epoch: int, step: int) -> float:
        if not self._hparams.cooldown:
            return 1.0
        assert self._max_epochs is not None
        left = self._max_epochs - epoch - step / self._steps
        return min(max(left, 0.0) / (self._hparams.cooldown * self._max_epochs), 1.0)

    def _warmup(self, step: int) -> float:
        steps = self._hparams.warmup_epochs * self._steps
        return min(1.0, (step + 1) / steps) if steps else 1.0
