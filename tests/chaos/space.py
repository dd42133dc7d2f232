"""The study that is killed: a tiny model on the digits, whose every begun epoch is noted in a file of evidence.

The evidence is written by the worker, behind the study's back, and names an epoch by torch's seed: `Training` seeds
torch anew for each epoch, from the trial's seed and the epoch's number, and the journal knows the trials' seeds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import optuna
import torch
from torch import Tensor, nn

EVIDENCE_VARIABLE = "TUNER_CHAOS_EVIDENCE"
"""The environment variable that names the file of evidence."""
LEAST_EPOCH_SECONDS = 0.2
"""A kill at a random moment should often hit the middle of an epoch."""

START = [{"width": 16, "learning_rate": 0.003}]


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_int("width", 4, 32),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
    }


class WitnessedModel(nn.Module):
    """Two dense layers that note each begun epoch as `seed time process`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))
        self._seed: int | None = None

    def forward(self, images: Tensor) -> Tensor:
        seed = torch.initial_seed()
        if self.training and seed != self._seed:
            self._seed = seed
            self._note(seed)
            time.sleep(LEAST_EPOCH_SECONDS)
        logits: Tensor = self.layers(images)
        return logits

    def _note(self, seed: int) -> None:
        file = os.environ.get(EVIDENCE_VARIABLE)
        if file is None:
            return
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(handle, f"{seed} {time.time()} {os.getpid()}\n".encode())
        finally:
            os.close(handle)


def MODEL(hparams: Mapping[str, Any]) -> nn.Module:  # noqa: N802 - the name that a space gives its model
    return WitnessedModel(hparams["width"])
