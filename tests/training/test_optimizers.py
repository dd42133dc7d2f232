"""Tests of `tuner.training.optimizers`: torch's own steps; tests/engine/test_lean_tune.py sees to its compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from tuner.training.hparams import TrainingHparams
from tuner.training.optimizers import build_optimizer, eager

KINDS = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.01, "weight_decay": 0.01}),
    (optim.AdamW, {"lr": 0.01, "weight_decay": 0.01}),
]


def trained(kind: Callable[..., optim.Optimizer], options: dict[str, Any]) -> tuple[nn.Module, optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    optimizer = kind(model.parameters(), fused=True, **options)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(7, 5)).square().sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_step_is_torch_s_own(kind: type[optim.Optimizer], options: dict[str, Any]) -> None:
    model, optimizer = trained(kind, options)
    ours, eagerly = trained(eager(kind), options)  # type: ignore[arg-type] # mypy takes no metaclass for hashable
    assert torch.equal(model.weight, ours.weight)  # type: ignore[arg-type]
    assert repr(optimizer) == repr(eagerly)
    eagerly.load_state_dict(optimizer.state_dict())  # a checkpoint of either is read by the other


class Spectral(nn.Module):
    """A layer with complex weights, which torch's fused forms refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, dtype=torch.complex64))

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = (torch.fft.fft(inputs) * self.weight).abs()
        return found


@pytest.mark.parametrize(
    ("model", "inputs", "optimizer"),
    [
        *((Spectral(), torch.randn(3, 4), name) for name in ("sgd", "adam", "adamw")),
        (nn.EmbeddingBag(5, 4, sparse=True), torch.tensor([[1, 2]]), "sgd"),
    ],
)
def test_weights_that_cannot_be_stepped_at_once_are_stepped_one_by_one(
    model: nn.Module, inputs: Tensor, optimizer: str
) -> None:
    hparams = {"optimizer": optimizer, "learning_rate": 0.1, "batch_size": 2, "momentum": 0.0}
    before = model.state_dict()["weight"].clone()
    stepping = build_optimizer(model, TrainingHparams.of(hparams))
    model(inputs).square().sum().backward()
    stepping.step()
    assert not torch.equal(model.state_dict()["weight"], before)
