"""Handwritten digits, small and quick: the width and dropout of a small CNN, how fast it learns, and by what images."""

from __future__ import annotations

from typing import Any

import optuna

MODEL = "small-cnn"

PLAIN = {
    "width": 8,
    "dropout": 0.5,
    "learning_rate": 0.001,
    "decay_epochs": 10.0,
    "batch_size": 128,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "shift": 0,
}
"""What one writes down without much thought, Adam with its usual learning rate: what tuning has to beat."""

SHIFTED = {
    "width": 16,
    "dropout": 0.3,
    "learning_rate": 0.003,
    "decay_epochs": 10.0,
    "batch_size": 32,
    "weight_decay": 0.02,
    "label_smoothing": 0.1,
    "shift": 2,
}
"""Smaller batches, and images that are moved about: a thousand digits are few."""

START = [PLAIN, SHIFTED]


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Return the hyperparameters of model and training for one trial."""
    return {
        "width": trial.suggest_int("width", 8, 32, step=8),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True),
        "decay_epochs": trial.suggest_float("decay_epochs", 3.0, 30.0, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "optimizer": "adamw",
        "weight_decay": trial.suggest_float("weight_decay", 0.0, 0.1),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "shift": trial.suggest_int("shift", 0, 2),
    }
