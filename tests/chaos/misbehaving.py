"""A space whose configurations hang, crash their process, raise, eat all memory, or behave."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import optuna
from torch import Tensor, nn

HOW = ["well", "hangs", "dies", "raises", "eats"]
START = [{"how": how} for how in HOW]
_BITE = 100 << 20


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {"how": trial.suggest_categorical("how", HOW), "learning_rate": 0.003}


class Misbehaving(nn.Module):
    """A dense layer that does something else first."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.eaten: list[bytes] = []
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images: Tensor) -> Tensor:
        if self.how == "hangs":
            time.sleep(3600)
        if self.how == "dies":
            os._exit(7)
        if self.how == "raises":
            raise ArithmeticError("seven is not a colour")
        while self.how == "eats":
            self.eaten.append(b"x" * _BITE)
            time.sleep(0.05)
        logits: Tensor = self.layers(images)
        return logits


def MODEL(hparams: Mapping[str, Any]) -> nn.Module:  # noqa: N802 - the name that a space gives its model
    return Misbehaving(hparams["how"])
