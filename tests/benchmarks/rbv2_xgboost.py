"""The `rbv2_xgboost` surrogate of YAHPO Gym as learning curves: XGBoost on OpenML tasks, over a conditional space.

The resource is the share of the training data, in 27 steps; a step costs what training on that much takes longer than
on less. Binder et al., "Collecting Empirical Data About Hyperparameters for Data Driven AutoML", 2020 (the data);
Pfisterer et al., YAHPO Gym, 2022 (the surrogate).
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

EPOCHS = 27
"""Steps of one full training."""
TUNING_TASKS = (23, 151, 1040, 1468, 1479, 1489, 4538, 23517, 40670, 40996, 41164, 41216)
"""Methods may be chosen by these tasks."""
JUDGING_TASKS = (
    *(3, 6, 11, 24, 31, 32, 46, 307, 554, 1111, 1457, 1461, 1464, 1475, 1478, 1486, 1493, 1510, 4134, 4534, 6332),
    *(40496, 40499, 40923, 40927, 40979, 41138, 41156, 41159, 41161),
)
"""On these they are judged."""

_NUMBERS = (
    "nrounds",
    "eta",
    "gamma",
    "lambda",
    "alpha",
    "subsample",
    "max_depth",
    "min_child_weight",
    "colsample_bytree",
    "colsample_bylevel",
    "rate_drop",
    "skip_drop",
)
"""Of the surrogate's input, before the share of the data and the replication."""
_REPLICATION = 10
_AUC, _SECONDS = 2, 6


def suggest(trial: BaseTrial) -> dict[str, Any]:
    """Return a configuration of XGBoost."""
    booster = trial.suggest_categorical("booster", ["gblinear", "gbtree", "dart"])
    hparams: dict[str, Any] = {
        "booster": booster,
        "impute": trial.suggest_categorical("impute", ["impute.mean", "impute.median", "impute.hist"]),
        "nrounds": trial.suggest_int("nrounds", 7, 2981, log=True),
        "lambda": trial.suggest_float("lambda", 0.000912, 1096.6, log=True),
        "alpha": trial.suggest_float("alpha", 0.000912, 1096.6, log=True),
        "subsample": trial.suggest_float("subsample", 0.1, 1.0),
    }
    if booster != "gblinear":
        hparams |= {
            "eta": trial.suggest_float("eta", 0.000912, 1.0, log=True),
            "gamma": trial.suggest_float("gamma", 4.54e-5, 7.389, log=True),
            "max_depth": trial.suggest_int("max_depth", 1, 15),
            "min_child_weight": trial.suggest_float("min_child_weight", 2.7183, 148.41, log=True),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.01, 1.0),
            "colsample_bylevel": trial.suggest_float("colsample_bylevel", 0.01, 1.0),
        }
    if booster == "dart":
        hparams |= {
            "rate_drop": trial.suggest_float("rate_drop", 0.0, 1.0),
            "skip_drop": trial.suggest_float("skip_drop", 0.0, 1.0),
        }
    return hparams


class Surrogate:
    """The learning curves of one task."""

    def __init__(self, folder: Path, task: int) -> None:
        """Read the surrogate in `folder`."""
        self._session, self._encoding = _session(folder)
        self._task = self._encoding["task_id"][str(task)]

    def curve(self, hparams: Mapping[str, Any]) -> Curve:
        """Return the area under the ROC curve and seconds, step by step."""
        (values,), (seconds,) = self.curves([hparams])
        return Curve(values.tolist(), seconds.tolist())

    def curves(self, configurations: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
        """Return values and seconds [n, EPOCHS] of configurations."""
        shares = np.arange(1, EPOCHS + 1) / EPOCHS
        numbers = np.array([[one.get(name, 0.0) for name in _NUMBERS] for one in configurations])
        repeated = np.repeat(numbers, EPOCHS, axis=0)
        resource = np.column_stack((np.tile(shares, len(numbers)), np.full(len(repeated), _REPLICATION)))
        boosters, imputes = self._encoding["booster"], self._encoding["num.impute.selected.cpo"]
        codes = [[self._task, boosters[one["booster"]], imputes[one["impute"]]] for one in configurations]
        (outputs,) = self._session.run(
            None,
            {
                "x_cat": np.repeat(np.array(codes, dtype=np.int32), EPOCHS, axis=0),
                "x_cont": np.hstack((repeated, resource)).astype(np.float32),
            },
        )
        by_step = outputs.astype(np.float64).reshape(len(numbers), EPOCHS, -1)
        total = np.maximum.accumulate(np.maximum(by_step[:, :, _SECONDS], 0.0), axis=1)
        return by_step[:, :, _AUC], np.maximum(np.diff(total, prepend=0.0, axis=1), 1e-3)


@lru_cache(maxsize=1)
def _session(folder: Path) -> tuple[onnxruntime.InferenceSession, dict[str, dict[str, int]]]:
    import onnxruntime  # here, as it takes long and most tests of the benchmarks need no surrogate

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return session, json.loads((folder / "encoding.json").read_text())
