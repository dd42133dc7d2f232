"""An exponential moving average of a model's weights, with batch-norm statistics of its own."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tuner.models.summary import evaluating

_UPDATES = 20
"""Within the steps that the average reaches over: more would cost more and change nothing."""


class AveragedModel:
    """A copy of a model whose weights are the average over the last steps of training.

    The running statistics of batch norm are not averaged: those of the training belong to the weights of each step
    and to dropped-out activations. `measure_statistics` measures what the averaged weights really meet.
    """

    def __init__(self, model: nn.Module, steps: float) -> None:
        """Average over about `steps` steps."""
        self.model = copy.deepcopy(model)
        self._every = max(1, round(steps / _UPDATES))
        self._most = math.exp(-self._every / steps)
        self._averaged = _trained(self.model)
        self._steps = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step; early on the average reaches back over a ninth of the steps so far."""
        self._steps += 1
        if self._steps % self._every == 0:
            updates = self._steps // self._every
            decay = min(self._most, updates / (9 + updates))
            torch._foreach_lerp_(self._averaged, _trained(model), 1.0 - decay)

    def measure_statistics(self, model: nn.Module, inputs: Iterable[Tensor]) -> None:
        """Measure the statistics of batch norm on batches, as they are met in evaluation, without dropout.

        All other buffers are taken from `model`, and so are the statistics of those of its batch norms that do not
        train: a frozen part keeps those that it came with.
        """
        for averaged, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if not torch.equal(averaged, buffer):  # into one that is expanded torch would not write
                averaged.copy_(buffer)
        both = zip(self.model.modules(), model.modules(), strict=True)
        norms = [
            norm for norm, own in both if isinstance(norm, _BatchNorm) and norm.track_running_stats and own.training
        ]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        with evaluating(self.model), torch.no_grad():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over all batches
                norm.train()
            for batch in inputs:
                self.model(batch)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors and plain values only; the tensors are the live ones."""
        return {"model": self.model.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.model.load_state_dict(state["model"])
        self._steps = int(state["steps"])


def _trained(model: nn.Module) -> list[Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]
