"""A history as Arrow tables, and those as Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tuner.io.files import write_whole
from tuner.journal.events import EpochReported, RetrainEpochReported
from tuner.journal.history import History, TrialHistory
from tuner.paths import RunPaths
from tuner.results.front import placed_trials
from tuner.results.schema import CONDITIONS, EPOCHS, FINAL, HPARAM_PREFIX, RETRAIN_EPOCHS, TRIALS, schema
from tuner.search.objectives import LATENCY, PARAMS

SPLITS = ("train", "dev", "test")

_CURVE_FIELDS = ("train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "lr", "seconds")
_INT64_LIMIT = 1 << 63


def trials_table(history: History) -> pa.Table:
    """Return one row per trial, with the hyperparameters as typed `hp_` columns."""
    trials = [history.trials[number] for number in sorted(history.trials)]
    types = _hparam_types(trial.proposed.hparams for trial in trials)
    on_front = {placed.trial: placed.is_on_front for placed in placed_trials(history)}
    rows = [
        _trial_row(trial) | {"on_front": on_front.get(trial.number)} | _hparam_cells(trial.proposed.hparams, types)
        for trial in trials
    ]
    table = pa.Table.from_pylist(rows, schema("trials", TRIALS, types))
    return table.replace_schema_metadata({**table.schema.metadata, CONDITIONS: json.dumps(conditions(history))})


def conditions(history: History) -> dict[str, Any]:
    """Return what the trials have in common that an accuracy depends on, for a warm start; None where unknown."""
    return {
        "data_hashes": history.environment.get("data_hashes"),
        "model": history.environment.get("model"),
        "patience": (history.config.get("search") or {}).get("patience"),
        "max_epochs": history.plan["rungs"][-1] if history.plan else None,
        "hardware": hardware(history.environment),
    }


def hardware(environment: Mapping[str, Any]) -> list[Any] | None:
    """Return what a latency depends on: processor, GPUs and number format; None if that is not known."""
    known = [environment.get(name) for name in ("cpu", "gpus", "precision")]
    return None if None in known else known


def epochs_table(history: History) -> pa.Table:
    """Return one row per (trial, epoch)."""
    rows = [
        {"trial": number, "worker": report.worker, "reused": report.reused, **_curve_cells(report)}
        for number, trial in sorted(history.trials.items())
        for _, report in sorted(trial.epochs.items())
    ]
    return pa.Table.from_pylist(rows, schema("epochs", EPOCHS))


def final_table(history: History) -> pa.Table:
    """Return one row per (candidate, seed, split) of the retrainings that have ended."""
    return pa.Table.from_pylist(list(_final_rows(history)), schema("final", FINAL))


def retrain_epochs_table(history: History) -> pa.Table:
    """Return one row per (candidate, seed, epoch) of the retrainings."""
    rows = [
        {"candidate": candidate, "seed": seed, **_curve_cells(report)}
        for (candidate, seed), retrain in sorted(history.retrains.items())
        for _, report in sorted(retrain.epochs.items())
    ]
    return pa.Table.from_pylist(rows, schema("retrain_epochs", RETRAIN_EPOCHS))


def write_tables(history: History, paths: RunPaths) -> None:
    """Write the four tables as Parquet, each whole or not at all."""
    tables = {
        paths.trials: trials_table(history),
        paths.epochs: epochs_table(history),
        paths.final: final_table(history),
        paths.retrain_epochs: retrain_epochs_table(history),
    }
    for path, table in tables.items():
        write_whole(path, partial(pq.write_table, table, write_page_checksum=True))


def _trial_row(trial: TrialHistory) -> dict[str, Any]:
    best, ended = trial.best, trial.ended
    last = trial.epochs[max(trial.epochs)] if trial.epochs else None
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "origin": trial.proposed.origin.value,
        "seed": trial.proposed.seed,
        "epochs": len(trial.epochs),
        "reused_epochs": sum(report.reused for report in trial.epochs.values()),
        "best_dev_accuracy": best and best.dev_accuracy,
        "best_epoch": best and best.epoch,
        "seconds": float(trial.seconds),
        "worker": last and last.worker,
        "retries": len(trial.retries),
        "reason": ended and ended.reason,
        "error": ended and ended.error,
        "model_params": _whole(trial.measures.get(PARAMS.name)),
        "latency_seconds": trial.measures.get(LATENCY.name),
        "params": json.dumps(trial.proposed.params),
        "hparams": json.dumps(trial.proposed.hparams),
    }


def _whole(value: float | None) -> int | None:
    """Return a count as the integer that it is; None for what no column of integers holds."""
    return None if value is None or not abs(value) < _INT64_LIMIT else round(value)


def _curve_cells(report: EpochReported | RetrainEpochReported) -> dict[str, Any]:
    return {"epoch": report.epoch, **{name: getattr(report, name) for name in _CURVE_FIELDS}}


def _final_rows(history: History) -> Iterator[dict[str, Any]]:
    for (candidate, seed), retrain in sorted(history.retrains.items()):
        if retrain.ended is None:
            continue
        for split in SPLITS:
            found = retrain.ended.evaluations[split]
            yield {
                "candidate": candidate,
                "seed": seed,
                "split": split,
                "accuracy": found["accuracy"],
                "loss": found["loss"],
                "n": int(found["n"]),
                "best_epoch": retrain.ended.best_epoch,
            }


# Hyperparameters: a column's type is what all its values have in common.


def _hparam_types(configurations: Iterable[Mapping[str, Any]]) -> dict[str, pa.DataType]:
    values: dict[str, list[Any]] = {}
    for hparams in configurations:
        for name, value in hparams.items():
            values.setdefault(name, []).append(value)
    return {name: _common_type(column) for name, column in values.items()}


def _common_type(values: list[Any]) -> pa.DataType:
    """Return the Arrow type of a column; what is neither bool, int nor float throughout is a string."""
    kinds = {type(value) for value in values if value is not None}
    fits = all(abs(value) < _INT64_LIMIT for value in values if isinstance(value, int))
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and fits:
        return pa.int64()
    if kinds and kinds <= {int, float} and fits:
        return pa.float64()
    return pa.string()


def _hparam_cells(hparams: Mapping[str, Any], types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    return {HPARAM_PREFIX + name: _as_type(value, types[name]) for name, value in hparams.items()}


def _as_type(value: Any, data_type: pa.DataType) -> Any:
    if value is None or isinstance(value, str):
        return value
    if pa.types.is_string(data_type):
        return json.dumps(value)
    return float(value) if pa.types.is_floating(data_type) else value
