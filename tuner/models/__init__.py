"""The models by name: one file in this folder is one model, a builder from hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tuner.errors import unknown_name
from tuner.registry import registered_module, registered_names

__all__ = ["ModelBuilder", "ModelSpec", "available_models", "get_model"]

ModelBuilder = Callable[[Mapping[str, Any]], nn.Module]
"""Makes a model from hyperparameters: images [n, 1, 28, 28] to logits [n, classes].

The mapping holds the training's hyperparameters too; a builder takes its own and ignores the others.
"""


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be built."""

    name: str
    build: ModelBuilder
    defaults: dict[str, Any] | None
    """The hyperparameters it knows, with the reference's values; None (unknown) for a user's callable."""


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
    return ModelSpec(model, module.build, dict(module.DEFAULTS))
