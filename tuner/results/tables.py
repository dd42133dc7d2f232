"""A history as Arrow tables, and those as Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tuner.io.files import write_whole
from tuner.journal.events import EnsembleMeasured, EpochReported, RetrainEnded, RetrainEpochReported
from tuner.journal.history import History, TrialHistory
from tuner.paths import RunPaths
from tuner.results.front import placed_trials
from tuner.results.schema import (
    CONDITIONS,
    EPOCHS,
    FINAL,
    MEASURE_COLUMNS,
    RETRAIN_EPOCHS,
    TRIALS,
    Column,
    best_column,
    epoch_columns,
    hparam_columns,
    schema,
    split_columns,
)
from tuner.results.selection import ENSEMBLE
from tuner.search.objective import LATENCY, NUM_PARAMS
from tuner.search.pace import Pace, recorded_resource

SPLITS = ("train", "dev", "test")

_INT64_LIMIT = 1 << 63


def trials_table(history: History) -> pa.Table:
    """Return one row per trial, with the hyperparameters as typed `hp_` columns."""
    trials = [history.trials[number] for number in sorted(history.trials)]
    hparams = hparam_columns(_hparam_types(trial.proposed.hparams for trial in trials))
    best = best_column(history.objective)
    on_front = {placed.trial: placed.is_on_front for placed in placed_trials(history)}
    rows = [
        trial_row(trial, best.name)
        | {"on_front": on_front.get(trial.number)}
        | _hparam_cells(trial.proposed.hparams, hparams)
        for trial in trials
    ]
    table = _table("trials", rows, [*_beside(TRIALS, "best_epoch", [best]), *hparams])
    return table.replace_schema_metadata({**table.schema.metadata, CONDITIONS: json.dumps(conditions(history))})


def conditions(history: History) -> dict[str, Any]:
    """Return what the trials have in common that an accuracy depends on, for a warm start; None where unknown."""
    return {
        "data_hashes": history.environment.get("data_hashes"),
        "model": history.environment.get("model"),
        "patience": (history.config.get("search") or {}).get("patience"),
        "max_epochs": history.plan["rungs"][-1] if history.plan else None,
        "seconds_per_epoch": (history.plan or {}).get("seconds_per_epoch"),
        "counts_epochs": Pace.of(recorded_resource(history.config), history.plan or {}).counts_epochs,
        "hardware": hardware_of_trials(history),
    }


def hardware_of_trials(history: History) -> list[Any] | None:
    """Return the hardware on which the trials trained; None if that is not known, or not of one kind."""
    nodes = {node.get("host"): node for driver in history.drivers for node in driver.nodes}
    if not nodes:
        return hardware(history.environment)
    reports = (report for trial in history.trials.values() for report in trial.epochs.values() if not report.reused)
    hosts = {report.worker.rpartition(":")[0] for report in reports}
    kinds = [hardware(nodes.get(host, {})) for host in hosts or nodes]
    return kinds[0] if all(kind == kinds[0] for kind in kinds) else None


def hardware(environment: Mapping[str, Any]) -> list[Any] | None:
    """Return what a latency depends on: processor, GPUs and number format; None if that is not known."""
    known = [environment.get(name) for name in ("cpu", "gpus", "precision")]
    return None if None in known else known


def epochs_table(history: History) -> pa.Table:
    """Return one row per (trial, epoch), with a column for each metric that any epoch of the run has."""
    reports = [report for _, trial in sorted(history.trials.items()) for _, report in sorted(trial.epochs.items())]
    columns = epoch_columns(_names(report.metrics for report in reports), history.objective, EPOCHS)
    rows = [
        {"trial": report.trial, "worker": report.worker, "reused": report.reused, **_epoch_cells(report, columns)}
        for report in reports
    ]
    return _table("epochs", rows, _beside(EPOCHS, "seconds", columns))


def final_table(history: History) -> pa.Table:
    """Return one row per (candidate, seed, split) of the retrainings that have ended, and of their ensemble."""
    ended: list[RetrainEnded | EnsembleMeasured] = [
        retrain.ended for _, retrain in sorted(history.retrains.items()) if retrain.ended is not None
    ]
    ended += [history.ensemble] if history.ensemble is not None else []
    columns = split_columns(_names(found for one in ended for found in one.evaluations.values()), history.objective)
    rows = [
        {
            **_who(one),
            "split": split,
            **_metric_cells(one.evaluations[split], columns),
        }
        for one in ended
        for split in SPLITS
        if split in one.evaluations
    ]
    return _table("final", rows, _beside(FINAL, "best_epoch", columns))


def _who(one: RetrainEnded | EnsembleMeasured) -> dict[str, Any]:
    if isinstance(one, EnsembleMeasured):
        return {"candidate": ENSEMBLE, "seed": None, "best_epoch": None}
    return {"candidate": one.candidate, "seed": one.seed, "best_epoch": one.best_epoch}


def retrain_epochs_table(history: History) -> pa.Table:
    """Return one row per (candidate, seed, epoch) of the retrainings."""
    reports = [report for _, one in sorted(history.retrains.items()) for _, report in sorted(one.epochs.items())]
    columns = epoch_columns(_names(report.metrics for report in reports), history.objective, RETRAIN_EPOCHS)
    rows = [{"candidate": report.candidate, "seed": report.seed, **_epoch_cells(report, columns)} for report in reports]
    return _table("retrain_epochs", rows, _beside(RETRAIN_EPOCHS, "seconds", columns))


def write_tables(history: History, paths: RunPaths) -> None:
    """Write the four tables as Parquet, each whole or not at all."""
    tables = {
        paths.trials: trials_table(history),
        paths.epochs: epochs_table(history),
        paths.final: final_table(history),
        paths.retrain_epochs: retrain_epochs_table(history),
    }
    for path, table in tables.items():
        write_whole(path, partial(_write_table, table))


def trial_row(trial: TrialHistory, best_column: str) -> dict[str, Any]:
    """Return a trial's cells by the columns of `TRIALS`; `best_column` is that of its best value."""
    best, ended = trial.best, trial.ended
    last = trial.epochs[max(trial.epochs)] if trial.epochs else None
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "origin": trial.proposed.origin.value,
        "seed": trial.proposed.seed,
        "epochs": len(trial.epochs),
        "reused_epochs": sum(report.reused for report in trial.epochs.values()),
        best_column: best and best.metrics[trial.objective.metric],
        "best_epoch": best and best.epoch,
        "seconds": float(trial.seconds),
        "worker": last and last.worker,
        "retries": len(trial.retries),
        "reason": ended and ended.reason,
        "error": ended and ended.error,
        MEASURE_COLUMNS[NUM_PARAMS.metric]: _whole(trial.measures.get(NUM_PARAMS.metric)),
        MEASURE_COLUMNS[LATENCY.metric]: trial.measures.get(LATENCY.metric),
        "params": json.dumps(trial.proposed.params),
        "hparams": json.dumps(trial.proposed.hparams),
    }


def _table(name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> pa.Table:
    """Return the rows as the table `name`."""
    arrow = schema(name, columns)
    try:
        return pa.Table.from_pylist(rows, arrow)
    except UnicodeEncodeError:
        # An error may name a file whose name is no UTF-8. That is rare, so only then is every string gone through.
        cells = [{column: _encodable(cell) for column, cell in row.items()} for row in rows]
        return pa.Table.from_pylist(cells, arrow)


def _encodable(cell: Any) -> Any:
    """Return a cell in which what UTF-8 cannot hold is written as an escape."""
    return cell.encode("utf-8", errors="backslashreplace").decode() if isinstance(cell, str) else cell


def _write_table(table: pa.Table, path: Path) -> None:
    # Given a path, Arrow takes only one that is UTF-8.
    with path.open("wb") as handle:
        pq.write_table(table, handle, write_page_checksum=True)


def _whole(value: float | None) -> int | None:
    """Return a count as the integer that it is; None for what no column of integers holds."""
    return None if value is None or not abs(value) < _INT64_LIMIT else round(value)


def _names(reported: Iterable[Mapping[str, float]]) -> list[str]:
    """Return the names of all metrics, each once, in the order in which they were first reported."""
    return list(dict.fromkeys(name for metrics in reported for name in metrics))


def _beside(fixed: Sequence[Column], before: str, metrics: Sequence[Column]) -> list[Column]:
    """Return the columns of a table: the fixed ones, with those of the metrics before one of them."""
    place = [column.name for column in fixed].index(before)
    return [*fixed[:place], *metrics, *fixed[place:]]


def _epoch_cells(report: EpochReported | RetrainEpochReported, columns: Sequence[Column]) -> dict[str, Any]:
    return {"epoch": report.epoch, "seconds": report.seconds, **_metric_cells(report.metrics, columns)}


def _metric_cells(metrics: Mapping[str, float], columns: Sequence[Column]) -> dict[str, Any]:
    """Return the metrics by column; one that this report lacks is null."""
    found = {column.name: metrics.get(column.metric or "") for column in columns}
    is_count = {column.name: pa.types.is_integer(column.type) for column in columns}
    return {name: _whole(value) if is_count[name] else value for name, value in found.items()}


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


def _hparam_cells(hparams: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    return {column.name: _as_type(hparams.get(column.hparam or ""), column.type) for column in columns}


def _as_type(value: Any, data_type: pa.DataType) -> Any:
    if value is None or isinstance(value, str):
        return value
    if pa.types.is_string(data_type):
        return json.dumps(value)
    return float(value) if pa.types.is_floating(data_type) else value
