"""How long a model takes to look at one image."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from tuner.models.summary import evaluating
from tuner.training.evaluate import autocast

_WARM_UP = 5
_PASSES = 51
_FEWEST_PASSES, _ENOUGH_SECONDS = 5, 2.0
"""A model so slow that all passes would take longer is measured by fewer."""


def latency(model: nn.Module, *, device: torch.device, precision: torch.dtype) -> float:
    """Return the median seconds of the forward pass of one image [1, 1, 28, 28], after a few to warm up.

    The model is in evaluation mode meanwhile, and left as it was. What else the machine does counts too: beside other
    trials it takes longer than alone.
    """
    image = torch.zeros(1, 1, 28, 28, device=device)
    seconds: list[float] = []
    with evaluating(model), torch.inference_mode(), autocast(device, precision):
        for _ in range(_WARM_UP):
            _timed(model, image)
        while len(seconds) < _FEWEST_PASSES or (len(seconds) < _PASSES and sum(seconds) < _ENOUGH_SECONDS):
            seconds.append(_timed(model, image))
    return statistics.median(seconds)


def _timed(model: nn.Module, image: torch.Tensor) -> float:
    started = time.perf_counter()
    model(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)  # it returns before the GPU has computed anything
    return time.perf_counter() - started
