"""A task of one's own: a line through points, with a state that can be saved; and the same as a generator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import Dataset, Objective

OBJECTIVE = Objective("dev_rmse", "minimize")
START = [{"step": 0.1}]

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def suggest(trial: Any) -> dict[str, Any]:
    return {"step": trial.suggest_float("step", 0.01, 0.5, log=True)}


def load_data(data_dir: Path | None) -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(points(rng, 200), points(rng, 100), points(rng, 100), name="line")


def points(rng: np.random.Generator, n: int) -> Points:
    x = rng.normal(size=(n, 3))
    return x, x @ np.array([1.0, -2.0, 3.0]) + 0.1 * rng.normal(size=n)


class Task:
    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: object) -> None:
        self.step, self.data, self.weights = hparams["step"], data, np.random.normal(size=3)

    def train_epoch(self) -> dict[str, float]:
        x, y = self.data.train
        for row in np.random.permutation(len(x)):
            self.weights = self.weights + self.step / 10 * (y[row] - x[row] @ self.weights) * x[row]
        return {"dev_rmse": self.evaluate(self.data.dev)["rmse"], "norm": float(np.linalg.norm(self.weights))}

    def evaluate(self, split: Points) -> dict[str, float]:
        x, y = split
        return {"rmse": float(np.sqrt(np.mean((x @ self.weights - y) ** 2)))}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = state["weights"]


def train(
    hparams: Mapping[str, Any], data: Any, *, seed: int, device: object, max_epochs: int
) -> Generator[dict[str, float], None, Callable[[Points], dict[str, float]]]:
    task = Task(hparams, data, seed=seed, device=device)
    for _ in range(max_epochs):
        yield task.train_epoch()
    return task.evaluate


TRAINABLE = Task
