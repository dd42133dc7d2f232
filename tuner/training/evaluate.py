"""Measuring a model on a split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.batches import Batches

_BATCH_SIZES = {"cpu": 250, "cuda": 5000}
"""On a CPU a batch's activations should stay in the cache."""
_MOST_VALUES = {device: n * 3 * 32 * 32 for device, n in _BATCH_SIZES.items()}
"""Of a batch's inputs: what a model computes on the way grows with them, for photos to tens of MB each."""


@dataclass(frozen=True)
class Evaluation:
    """How a model does on a split."""

    accuracy: float
    """Fraction of images classified right."""
    loss: float
    """Mean cross-entropy in nats, without label smoothing."""
    n: int
    """Images."""


def evaluate(model: nn.Module, batches: Batches, *, device: torch.device, precision: torch.dtype) -> Evaluation:
    """Return accuracy and loss of the model in evaluation mode; the mode it was in is restored."""
    was_training = model.training
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    with torch.inference_mode(), autocast(device, precision):
        for logits, labels in _answers(model, batches, device):
            correct += (logits.argmax(1) == labels).sum()
            loss += functional.cross_entropy(logits, labels, reduction="sum")
    model.train(was_training)
    return Evaluation(correct.item() / len(batches), loss.item() / len(batches), len(batches))


def predict(model: nn.Module, batches: Batches, *, device: torch.device, precision: torch.dtype) -> NDArray[np.float32]:
    """Return the model's probabilities [n, classes] in evaluation mode; the mode it was in is restored."""
    was_training = model.training
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        found = [logits.softmax(1).cpu() for logits, _ in _answers(model, batches, device)]
    model.train(was_training)
    probabilities: NDArray[np.float32] = torch.cat(found).numpy()
    return probabilities


def _answers(model: nn.Module, batches: Batches, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a batch's logits and labels after the other."""
    most = _MOST_VALUES[device.type] // math.prod(batches.input_shape)
    for inputs, labels in batches.in_order(max(1, min(most, _BATCH_SIZES[device.type]))):
        yield _logits(model, inputs), labels


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits, each half for itself where a GPU has no room for the whole."""
    try:
        logits: Tensor = model(inputs).float()
        return logits
    except torch.OutOfMemoryError:
        if len(inputs) == 1:
            raise
    torch.cuda.empty_cache()  # out here the error no longer holds what was computed
    return torch.cat([_logits(model, half) for half in inputs.chunk(2)])


def autocast(device: torch.device, precision: torch.dtype, *, cache: bool = True) -> torch.autocast:
    """Return the context that computes in `precision`; with float32 it changes nothing.

    `cache`: whether weights are cast once for all their uses.
    """
    is_reduced = precision is torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_reduced, cache_enabled=cache)
