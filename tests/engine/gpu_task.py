"""A task whose trainings use their GPU as they are told: well, beyond its memory, or beyond what its kernels allow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import torch

from tuner import Dataset, Objective

OBJECTIVE = Objective("dev_score")
DEEDS = ("computes", "hoards", "misindexes")
START = [{"deed": deed, "score": 0.5} for deed in DEEDS]


def suggest(trial: Any) -> dict[str, Any]:
    return {"deed": trial.suggest_categorical("deed", DEEDS), "score": trial.suggest_float("score", 0.0, 1.0)}


def load_data(data_dir: Path | None) -> Dataset:
    return Dataset(0.0, 0.0, 0.0, name="nothing")


def train(
    hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device, max_epochs: int
) -> Generator[dict[str, float], None, Callable[[Any], dict[str, float]]]:
    values = torch.full((1000,), hparams["score"], device=device)
    for epoch in range(max_epochs):
        if epoch == 1 and hparams["deed"] == "hoards":
            torch.empty(1 << 42, dtype=torch.uint8, device=device)
        if epoch == 1 and hparams["deed"] == "misindexes":
            float(values[torch.tensor([5000], device=device)])
        yield {"dev_score": float(values.mean()), "on_gpu": float(device.type == "cuda")}
    return lambda split: {"score": float(values.mean())}


TRAINABLE = train
