"""The optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn, optim

from tuner.training.hparams import TrainingHparams

_HIDDEN_FROM_A_COMPILER = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def build_optimizer(model: nn.Module, hparams: TrainingHparams) -> optim.Optimizer:
    """Return the optimizer of the model's weights, in torch's fused form, which steps once over all of them."""
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    lr, weight_decay = hparams.learning_rate, hparams.weight_decay
    if hparams.optimizer == "sgd":
        # torch takes Nesterov's form for no momentum as an error; without momentum there is no difference.
        nesterov = hparams.nesterov and hparams.momentum > 0.0
        return eager(optim.SGD)(
            parameters, lr, momentum=hparams.momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True
        )
    build = optim.Adam if hparams.optimizer == "adam" else optim.AdamW
    return eager(build)(parameters, lr, weight_decay=weight_decay, fused=True)


@cache
def eager(kind: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """Return torch's optimizer without what hides it from `torch.compile`, which nothing here calls.

    torch 2.15 imports its whole compiler to do the hiding, which takes every process 4 s before its first step.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _HIDDEN_FROM_A_COMPILER}
    # The wrapper of a step also keeps gradients from being recorded.
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))})
