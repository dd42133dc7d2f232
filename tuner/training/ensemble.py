"""Several answers as one: models whose probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tuner.training.hparams import TrainingHparams


class Ensemble(nn.Module):
    """Answers with the mean of its members' probabilities.

    It gives their logarithm, [n, classes], which are logits like any model's: softmax turns them back.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [n, ...] to [n, classes]."""
        # Each has its own: a model may write into what it is given.
        return _log_mean([member(inputs.clone()) for member in self.members])


class Mirrored(nn.Module):
    """Answers with the mean of a model's probabilities for an image and for its mirror image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Map [n, channels, height, width] to [n, classes]."""
        mirrored = images.flip(-1)  # first: a model may write into what it is given
        return _log_mean([self.model(images), self.model(mirrored)])


def as_measured(model: nn.Module, hparams: TrainingHparams) -> nn.Module:
    """Return what gives the answers that were measured: the model itself, or with its mirrored ones."""
    return Mirrored(model) if hparams.tta else model


def _log_mean(logits: list[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the probabilities."""
    stacked = torch.stack([each.float().log_softmax(1) for each in logits])
    return stacked.logsumexp(0) - math.log(len(logits))
