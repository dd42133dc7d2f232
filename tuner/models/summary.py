"""A model's layer table: each layer's output shape and its parameters, counted as Keras counts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """One row of the table."""

    name: str
    """The path of the module in the model, as in its state dict."""
    type: str
    output_shape: tuple[int, ...] | None
    """Without the batch dimension; None for a layer that the forward pass did not use or without a tensor."""
    parameters: int
    """Weights, and running statistics of batch norm."""


@dataclass(frozen=True)
class ModelSummary:
    """The layer table and its totals."""

    layers: tuple[Layer, ...]
    total: int
    trainable: int
    non_trainable: int
    """Running statistics of batch norm, and weights that are frozen."""


def summarize(model: nn.Module, input_shape: tuple[int, ...] = (1, 28, 28)) -> ModelSummary:
    """Return the table for one input of `input_shape` (without the batch dimension).

    Runs one forward pass in evaluation mode, which leaves the model as it was. A row is a module without
    children, or one that owns parameters itself.
    """
    rows = {name: module for name, module in model.named_modules() if _is_layer(module)}
    shapes = _output_shapes(model, rows, input_shape)
    layers = tuple(
        Layer(name, type(module).__name__, shapes.get(name), sum(tensor.numel() for tensor in _own(module)))
        for name, module in rows.items()
    )
    trainable = trainable_parameters(model)
    total = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()) if _counts(tensor))
    return ModelSummary(layers, total, trainable, total - trainable)


def trainable_parameters(model: nn.Module) -> int:
    """Return how many numbers the training may change; shared weights count once."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch every module to evaluation and back to its own mode, so that no running statistic moves."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def _is_layer(module: nn.Module) -> bool:
    return not any(module.children()) or bool(_own(module))


def _own(module: nn.Module) -> list[Tensor]:
    """Return the tensors that belong to the module itself and not to a child."""
    tensors = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return [tensor for tensor in tensors if _counts(tensor)]


def _counts(tensor: Tensor) -> bool:
    """Batch norm's count of batches seen is an integer that Keras does not have."""
    return tensor.is_floating_point()


def _output_shapes(
    model: nn.Module, rows: dict[str, nn.Module], input_shape: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Return each used layer's output shape, of its last call."""
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(name: str, module: nn.Module) -> Any:
        def remember(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape[1:])

        return module.register_forward_hook(remember)

    hooks = [watch(name, module) for name, module in rows.items()]
    try:
        with evaluating(model), torch.no_grad():
            model(torch.zeros(1, *input_shape, device=_device(model)))
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _device(model: nn.Module) -> torch.device:
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
