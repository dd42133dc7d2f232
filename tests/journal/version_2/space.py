"""The search space of the journal beside it, with a model so small that a study takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from torch import nn

START = [{"width": 8, "learning_rate": 0.003}]


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_int("width", 4, 32),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 3e-2, log=True),
        "batch_size": 64,
    }


def MODEL(hparams: Mapping[str, Any]) -> nn.Module:  # noqa: N802 - the name that a space gives its model
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hparams["width"]), nn.ReLU(), nn.Linear(hparams["width"], 10))
