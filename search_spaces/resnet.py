"""A small ResNet for small images: its size, SGD or AdamW with averaged weights, regularisation and augmentation."""

from __future__ import annotations

from typing import Any

import optuna

MODEL = "resnet"

RESNET20 = {
    "stage1_width": 16,
    "stage_blocks": 3,
    "head_dropout": 0.0,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 5e-4,
    "averaged_epochs": 0.5,
    "batch_size": 128,
    "label_smoothing": 0.0,
    "flip": True,
    "shift": 2,
    "erasing": 0.0,
    "mixing": "none",
}
"""ResNet-20 as its paper trains it, but at a constant learning rate with averaged weights, which know no horizon."""

SHALLOW = {**RESNET20, "stage1_width": 24, "stage_blocks": 1, "erasing": 0.2}
"""Wider and less deep: 1.4 times as many images a second on a CPU."""

START = [RESNET20, SHALLOW]

RETRAIN = {"cooldown": 1.0}
"""The last training, whose length is known, falls linearly to zero."""


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Return the hyperparameters of model and training for one trial."""
    return _size(trial) | _optimisation(trial) | _regularisation(trial) | _mixing(trial)


def _size(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "stage1_width": trial.suggest_int("stage1_width", 8, 32, step=8),
        "stage_blocks": trial.suggest_int("stage_blocks", 1, 3),
        "head_dropout": trial.suggest_float("head_dropout", 0.0, 0.4),
    }


def _optimisation(trial: optuna.Trial) -> dict[str, Any]:
    # A rate that suits one optimizer is far off for the other, so each has its own range.
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adamw"])
    if optimizer == "sgd":
        learning_rate = trial.suggest_float("learning_rate", 0.01, 0.4, log=True)
        weight_decay = trial.suggest_float("weight_decay", 5e-5, 5e-3, log=True)
    else:
        learning_rate = trial.suggest_float("adamw_learning_rate", 5e-4, 1e-2, log=True)
        weight_decay = trial.suggest_float("adamw_weight_decay", 1e-3, 0.3, log=True)
    return {
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "lr_decay": "constant",
        "warmup_epochs": 0.5,
        "averaged_epochs": trial.suggest_float("averaged_epochs", 0.2, 2.0, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
    }


def _regularisation(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.15),
        "flip": trial.suggest_categorical("flip", [False, True]),
        "shift": trial.suggest_int("shift", 0, 4),
        "erasing": trial.suggest_float("erasing", 0.0, 0.5),
    }


def _mixing(trial: optuna.Trial) -> dict[str, Any]:
    kind = trial.suggest_categorical("mixing", ["none", "mixup", "cutmix"])
    return {} if kind == "none" else {kind: trial.suggest_float(kind, 0.1, 1.0)}
