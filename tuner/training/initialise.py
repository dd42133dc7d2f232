"""Building a model whose initial weights come from a seed, and finding how it wants its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tuner.errors import ConfigError, TunerError
from tuner.models import DataShape, ModelBuilder, build_model
from tuner.models.summary import evaluating
from tuner.training.evaluate import autocast


def build_seeded(build: ModelBuilder, hparams: Mapping[str, Any], shape: DataShape, seed: int) -> nn.Module:
    """Return a fresh model; equal seeds give equal weights, and the caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(build, hparams, shape)


def choose_memory_format(
    model: nn.Module, shape: DataShape, *, device: torch.device, precision: torch.dtype
) -> torch.memory_format:
    """Put the model into channels_last if it has convolutions of images and takes it, and return its format.

    A model that flattens by `view` does not take it. Found by a forward pass of two inputs, which leaves the running
    statistics and the caller's random state as they were.

    Raises:
        ConfigError: if the model takes inputs of this shape in neither format, or tells fewer classes apart.
    """
    is_convolutional = any(weight.ndim == 4 for weight in model.parameters())
    if is_convolutional and len(shape.input_shape) == 3:
        model.to(memory_format=torch.channels_last)
        try:
            _check_logits(model, shape, torch.channels_last, device, precision)
        except ConfigError:
            model.to(memory_format=torch.contiguous_format)
        else:
            return torch.channels_last
    _check_logits(model, shape, torch.contiguous_format, device, precision)
    return torch.contiguous_format


def _check_logits(
    model: nn.Module, shape: DataShape, memory_format: torch.memory_format, device: torch.device, precision: torch.dtype
) -> None:
    # Not made by `contiguous`, which leaves images of one channel as they are.
    inputs = torch.empty(2, *shape.input_shape, device=device, memory_format=memory_format).zero_()
    if shape.tokens is not None:
        inputs = inputs.long()
    asked = f"inputs of shape {[2, *shape.input_shape]} of {shape.classes} classes"
    try:
        with torch.random.fork_rng(), evaluating(model), torch.no_grad(), autocast(device, precision):
            logits = model(inputs)
    except TunerError:
        raise
    except Exception as error:  # a person's own model may raise anything
        reason = " ".join(str(error).split())
        raise ConfigError(f"the model does not take {asked}: {type(error).__name__}: {reason}") from error
    found = list(getattr(logits, "shape", ()))
    if len(found) != 2 or found[0] != 2 or found[1] < shape.classes:
        law = f"but must be [2, {shape.classes}] or wider"
        raise ConfigError(f"the model's answer to {asked} is {type(logits).__name__} {found}, {law}.")
