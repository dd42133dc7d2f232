"""Mixing the examples of a training batch: mixup and cutmix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tuner.errors import ConfigError


class Mixed(NamedTuple):
    """A batch of which example i is made of two, one of class `labels[i]` and one of class `others[i]`."""

    inputs: Tensor
    """[n, ...], as they came."""
    labels: Tensor
    """[n]"""
    others: Tensor
    """[n]; the same object as `labels` if batches are not mixed."""
    share: float | Tensor
    """That the first class has in every example, between 0.5 and 1; 1 if nothing was mixed."""


@dataclass(frozen=True)
class Mixing:
    """How batches are mixed; with both kinds each batch draws one. Raises ConfigError for an impossible value."""

    mixup: float = 0.0
    """Blend, by shares from Beta(mixup, mixup) (Zhang et al. 2018, "mixup"); 0: never."""
    cutmix: float = 0.0
    """Paste a rectangle of an area from Beta(cutmix, cutmix) (Yun et al. 2019, "CutMix"); 0: never."""

    def __post_init__(self) -> None:
        for name, value in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not 0.0 <= value < math.inf:
                raise ConfigError(f"{name} is {value!r}, but must be at least 0.")

    def __call__(self, inputs: Tensor, labels: Tensor, generator: torch.Generator) -> Mixed:
        """Return the batch with each example mixed with another; one share for the whole batch.

        For cutmix `inputs` are images [n, channels, height, width]. Only `generator` (on the CPU) is drawn from, and
        not at all if nothing is to be mixed.
        """
        if not (self.mixup or self.cutmix):
            return Mixed(inputs, labels, labels, 1.0)
        # torch draws Beta from no generator of one's own.
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        pastes = bool(self.cutmix) and (not self.mixup or rng.random() < 0.5)
        alpha = self.cutmix if pastes else self.mixup
        drawn = float(rng.beta(alpha, alpha))
        share = max(drawn, 1.0 - drawn)  # the same mixtures, and the first class is always the larger part
        partner = torch.randperm(len(labels), generator=generator).to(inputs.device, non_blocking=True)
        if pastes:
            inputs, share = _paste(inputs, inputs[partner], share, rng)
        else:
            inputs = inputs.lerp(inputs[partner], 1.0 - share)
        return Mixed(inputs, labels, labels[partner], share)


def _paste(images: Tensor, others: Tensor, share: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Put one rectangle of at most 1 - `share` of the area, the same for all, into a copy; return the exact share."""
    height, width = images.shape[-2:]
    side = math.sqrt(1.0 - share)
    rows, columns = int(side * height), int(side * width)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    area = (..., slice(top, top + rows), slice(left, left + columns))
    pasted = images.clone()
    pasted[area] = others[area]
    return pasted, 1.0 - rows * columns / (height * width)
