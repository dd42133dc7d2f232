"""The models by name: one file in this folder with a `build` is one model, a builder from hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tuner.errors import unknown_name
from tuner.registry import registered_module, registered_names

__all__ = ["DataShape", "ModelBuilder", "ModelSpec", "available_models", "build_model", "get_model"]

ModelBuilder = Callable[..., nn.Module]
"""Makes a model of inputs [n, ...] to logits [n, classes], from `(hparams)` or from `(hparams, data)`.

The first, a mapping, holds the training's hyperparameters too; a builder takes its own and ignores the others. The
second is a `DataShape`.
"""


@dataclass(frozen=True)
class DataShape:
    """What a model must fit."""

    input_shape: tuple[int, ...]
    """Of one input as the model gets it; images are [channels, height, width]."""
    classes: int
    """How many logits it gives."""
    tokens: int | None = None
    """Where the inputs are tokens: how many different ones there may be."""


def build_model(build: ModelBuilder, hparams: Mapping[str, Any], shape: DataShape) -> nn.Module:
    """Call a builder with the shape too, if its second parameter is named `data` or must be given."""
    return build(hparams, shape) if _takes_data(build) else build(hparams)


def _takes_data(build: ModelBuilder) -> bool:
    try:
        parameters = inspect.signature(build).parameters.values()
    except ValueError:  # some built-in callables have none to look at
        return False
    second = list(parameters)[1:2]
    return any(each.name == "data" or each.default is each.empty for each in second)


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be built."""

    name: str
    build: ModelBuilder
    defaults: dict[str, Any] | None
    """The hyperparameters it knows, with the reference's values; None (unknown) for a user's callable."""
    is_static: bool = False
    """Whether its forward pass makes the same calls for every batch of one size, so that a GPU may replay them. The
    models here do; a user's may decide by what it sees, or draw with Python's generator, which no recording shows.
    """


def available_models() -> list[str]:
    """Return the names of the registered models: the modules here with `build(hparams)` and `DEFAULTS`."""
    return registered_names(__name__, "DEFAULTS")


def get_model(model: str | ModelBuilder) -> ModelSpec:
    """Return the model of that name, or the user's own builder. Raises ConfigError for an unknown name."""
    if callable(model):
        return ModelSpec(getattr(model, "__name__", type(model).__name__), model, None)
    module = registered_module(__name__, model, "DEFAULTS")
    if module is None:
        raise unknown_name("model", model, available_models())
    return ModelSpec(model, module.build, dict(module.DEFAULTS), is_static=True)
