"""Tests of `tuner.models.summary` on models small enough to count by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tuner.models.summary import Layer, summarize, trainable_parameters


class Scaled(nn.Module):
    """Owns a parameter beside its child, uses the child twice and another module never."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.linear = nn.Linear(4, 4)
        self.unused = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        twice: Tensor = self.linear(self.linear(x))
        return twice[:, :3] * self.scale


def test_layers_are_counted_as_keras_counts_them() -> None:
    summary = summarize(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten()), (1, 4, 4))
    assert summary.layers == (
        Layer("0", "Conv2d", (2, 2, 2), 20),
        Layer("1", "BatchNorm2d", (2, 2, 2), 8),
        Layer("2", "Flatten", (8,), 0),
    )
    assert (summary.total, summary.trainable, summary.non_trainable) == (28, 24, 4)


def test_own_parameters_shared_and_unused_layers_are_counted_once() -> None:
    summary = summarize(Scaled(), (4,))
    assert summary.layers == (
        Layer("", "Scaled", (3,), 3),
        Layer("linear", "Linear", (4,), 20),
        Layer("unused", "Linear", None, 3),
    )
    assert summary.total == 26


def test_frozen_weights_are_not_trainable() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    summary = summarize(model, (2,))
    assert (summary.total, summary.trainable, summary.non_trainable) == (13, 4, 9)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout())
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    summarize(model, (2,))
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_frozen_weights_are_not_trainable_and_shared_ones_count_once() -> None:
    model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(2, 1)])
    model.append(model[0])
    model[1].weight.requires_grad = False
    assert trainable_parameters(model) == 20 + 1
