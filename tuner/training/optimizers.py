"""The optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn, optim

from tuner.training.hparams import TrainingHparams

_HIDDEN_FROM_A_COMPILER = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")

_OF_THE_DEVICE = ("lr", "capturable", "fused")
"""Options that say how a device steps, and not what was learned on it."""


def build_optimizer(model: nn.Module, hparams: TrainingHparams, *, recorded: bool = False) -> optim.Optimizer:
    """Return the optimizer of the model's weights, in torch's fused form if they can be: one step over all of them.

    For steps that a GPU records its learning rate is a tensor there, which later steps read.
    """
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    lr: float | Tensor = hparams.learning_rate
    if recorded:
        lr = torch.tensor(lr, device=parameters[0].device)
    weight_decay, fused = hparams.weight_decay, _can_be_fused(model, parameters)
    if hparams.optimizer == "sgd":
        # torch takes Nesterov's form for no momentum as an error; without momentum there is no difference.
        nesterov = hparams.nesterov and hparams.momentum > 0.0
        return eager(optim.SGD)(
            parameters, lr, momentum=hparams.momentum, nesterov=nesterov, weight_decay=weight_decay, fused=fused
        )
    build = optim.Adam if hparams.optimizer == "adam" else optim.AdamW
    optimizer = eager(build)(parameters, lr, weight_decay=weight_decay, fused=fused, capturable=recorded)
    # The steps before the recording are meant to be as they are; torch would warn the user of them.
    optimizer._warned_capturable_if_run_uncaptured = recorded
    return optimizer


def _can_be_fused(model: nn.Module, parameters: Sequence[Tensor]) -> bool:
    """Whether torch's fused forms take the weights: real ones, none with a sparse gradient, as embeddings may have."""
    has_sparse = any(getattr(module, "sparse", False) is True for module in model.modules())
    return not has_sparse and all(weight.is_floating_point() for weight in parameters)


def set_learning_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set the rate of the next steps, recorded ones too."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], Tensor) else rate


def load_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Go on from a state, which another kind of device may have left."""
    own = [{name: group[name] for name in _OF_THE_DEVICE if name in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    rate = float(optimizer.param_groups[0]["lr"])
    for group, options in zip(optimizer.param_groups, own, strict=True):
        group.update(options)
    set_learning_rate(optimizer, rate)


@cache
def eager(kind: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """Return torch's optimizer without what hides it from `torch.compile`, which nothing here calls.

    torch 2.15 imports its whole compiler to do the hiding, which takes every process 4 s before its first step.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _HIDDEN_FROM_A_COMPILER}
    # The wrapper of a step also keeps gradients from being recorded.
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))})
