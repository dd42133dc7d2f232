"""The LCBench surrogate of YAHPO Gym as learning curves: 34 OpenML tasks, a small network, seven hyperparameters.

Zimmer et al., Auto-PyTorch Tabular, 2021 (LCBench); Pfisterer et al., YAHPO Gym, 2022 (the surrogate).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import BaseTrial

from tuner.search.arrays import Floats
from tuner.search.simulator import Curve

if TYPE_CHECKING:
    import onnxruntime

EPOCHS = 52
"""Of one full training."""
TUNING_TASKS = (3945, 7593, 126026, 146212, 167152, 167168, 167185, 167200, 168330, 168868, 189354, 189865)
"""Methods may be chosen by these tasks."""
JUDGING_TASKS = (
    34539,
    126025,
    126029,
    167104,
    167149,
    167161,
    167181,
    167184,
    167190,
    167201,
    168329,
    168331,
    168335,
    168908,
    168910,
    189862,
    189866,
    189873,
    189905,
    189906,
    189908,
    189909,
)
"""On these they are judged."""

_COLUMNS = (
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
"""Of the surrogate's input, after the epoch."""
_SECONDS, _ACCURACY = 0, 1


def suggest(trial: BaseTrial) -> dict[str, Any]:
    """Return a configuration of LCBench."""
    return {
        "batch_size": trial.suggest_int("batch_size", 16, 512, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "momentum": trial.suggest_float("momentum", 0.1, 0.99),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1),
        "num_layers": trial.suggest_int("num_layers", 1, 5),
        "max_units": trial.suggest_int("max_units", 64, 1024, log=True),
        "max_dropout": trial.suggest_float("max_dropout", 0.0, 1.0),
    }


def suggest_before(trial: BaseTrial) -> dict[str, Any]:
    """Return a configuration of a space as it may have been before: two fixed, a third of the learning rates."""
    return {
        "batch_size": trial.suggest_int("batch_size", 16, 512, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        "momentum": trial.suggest_float("momentum", 0.1, 0.99),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1),
        "num_layers": 3,
        "max_units": trial.suggest_int("max_units", 64, 1024, log=True),
        "max_dropout": 0.5,
    }


class Surrogate:
    """The learning curves of one task."""

    def __init__(self, folder: Path, task: int) -> None:
        """Read the surrogate in `folder`."""
        self._session = _session(folder)
        self._task = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][str(task)]

    def curve(self, hparams: Mapping[str, Any]) -> Curve:
        """Return validation accuracy (a fraction) and seconds, epoch by epoch."""
        (values,), (seconds,) = self.curves([hparams])
        return Curve(values.tolist(), seconds.tolist())

    def curves(self, configurations: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
        """Return validation accuracies (fractions) and seconds [n, EPOCHS] of configurations."""
        columns = [[configuration[name] for name in _COLUMNS] for configuration in configurations]
        inputs = np.array([[epoch, *row] for row in columns for epoch in range(1, EPOCHS + 1)], dtype=np.float32)
        task = np.full((len(inputs), 1), self._task, dtype=np.int32)
        (outputs,) = self._session.run(None, {"x_cat": task, "x_cont": inputs})
        total = np.maximum.accumulate(outputs[:, _SECONDS].reshape(-1, EPOCHS), axis=1)
        seconds = np.maximum(np.diff(total, prepend=0.0, axis=1), 1e-3)
        return outputs[:, _ACCURACY].reshape(-1, EPOCHS) / 100, seconds


@lru_cache(maxsize=1)
def _session(folder: Path) -> onnxruntime.InferenceSession:
    import onnxruntime  # here, as it takes long and most tests of the benchmarks need no surrogate

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
