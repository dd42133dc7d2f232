"""A task whose epochs compute for `$SPINNING_SECONDS` of the processor, and learn nothing; as a file for `--space`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from tuner import Dataset, Objective

MAX_EPOCHS = 9
RANGES = {"a": (1e-4, 1.0), "b": (1e-4, 1.0), "c": (1e-4, 1.0)}
"""Parameters, all on the logarithmic scale."""

OBJECTIVE = Objective("dev_loss", "minimize")
START = [dict.fromkeys(RANGES, 0.1)]


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in RANGES.items()}


def load_data(data_dir: Path | None) -> Dataset:
    nothing = np.zeros(1)
    return Dataset(nothing, nothing, nothing, name="nothing")


def spin() -> None:
    """Compute until this thread has had its seconds of the processor, however long that takes."""
    end = time.thread_time() + float(os.environ["SPINNING_SECONDS"])
    matrix = np.ones((64, 64))
    while time.thread_time() < end:
        matrix @ matrix


def loss(hparams: Mapping[str, Any], epoch: int) -> float:
    return float(sum((np.log10(hparams[name]) + 2.0) ** 2 for name in RANGES) + 1.0 / epoch)


class Spinning:
    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: object) -> None:
        self._hparams = hparams
        self._epoch = 0

    def train_epoch(self) -> dict[str, float]:
        spin()
        self._epoch += 1
        return {"dev_loss": loss(self._hparams, self._epoch)}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {"loss": loss(self._hparams, self._epoch)}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._epoch = state["epoch"]


TRAINABLE = Spinning
