"""Measuring a model on a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tuner.training.batches import Batches

_BATCH_SIZES = {"cpu": 250, "cuda": 5000}
"""On a CPU a batch's activations should stay in the cache."""


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
        for images, labels in batches.in_order(_BATCH_SIZES[device.type]):
            logits = model(images).float()
            correct += (logits.argmax(1) == labels).sum()
            loss += functional.cross_entropy(logits, labels, reduction="sum")
    model.train(was_training)
    return Evaluation(correct.item() / len(batches), loss.item() / len(batches), len(batches))


def predict(model: nn.Module, batches: Batches, *, device: torch.device, precision: torch.dtype) -> NDArray[np.float32]:
    """Return the model's probabilities [n, classes] in evaluation mode; the mode it was in is restored."""
    was_training = model.training
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        found = [model(inputs).float().softmax(1).cpu() for inputs, _ in batches.in_order(_BATCH_SIZES[device.type])]
    model.train(was_training)
    probabilities: NDArray[np.float32] = torch.cat(found).numpy()
    return probabilities


def autocast(device: torch.device, precision: torch.dtype, *, cache: bool = True) -> torch.autocast:
    """Return the context that computes in `precision`; with float32 it changes nothing.

    `cache`: whether weights are cast once for all their uses.
    """
    is_reduced = precision is torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_reduced, cache_enabled=cache)
