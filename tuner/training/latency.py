"""How long a model takes to look at one example."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from tuner.models.summary import evaluating
from tuner.training.evaluate import autocast

_WARM_UP = 5
_PASSES = 51
_FEWEST_PASSES, _ENOUGH_SECONDS = 5, 2.0
"""A model so slow that all passes would take longer is measured by fewer."""


def latency(model: nn.Module, example: Tensor, *, device: torch.device, precision: torch.dtype) -> float:
    """Return the median seconds of the forward pass of one `example` [1, ...], after a few to warm up.

    The model is in evaluation mode meanwhile, and left as it was. What else the machine does counts too: beside other
    trials it takes longer than alone.
    """
    example = example.to(device)
    seconds: list[float] = []
    with evaluating(model), torch.inference_mode(), autocast(device, precision):
        for _ in range(_WARM_UP):
            _timed(model, example)
        while len(seconds) < _FEWEST_PASSES or (len(seconds) < _PASSES and sum(seconds) < _ENOUGH_SECONDS):
            seconds.append(_timed(model, example))
    return statistics.median(seconds)


def _timed(model: nn.Module, example: Tensor) -> float:
    started = time.perf_counter()
    model(example)
    if example.device.type == "cuda":
        torch.cuda.synchronize(example.device)  # it returns before the GPU has computed anything
    return time.perf_counter() - started
