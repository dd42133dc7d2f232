"""Reading an earlier run for a warm start: from its journal, or from its tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tuner.errors import ConfigError
from tuner.io import parquet, storage
from tuner.io.reading import reading_run
from tuner.journal.events import EpochReported, WarmStarted
from tuner.journal.history import History, read_history
from tuner.paths import RunPaths
from tuner.results.foreign import is_foreign, read_foreign
from tuner.results.schema import CONDITIONS, MEASURE_COLUMNS, metric_columns
from tuner.results.tables import conditions, hardware
from tuner.search.earlier import EarlierEpoch, EarlierTrial
from tuner.search.objective import LATENCY, NUM_PARAMS, Objective
from tuner.search.pace import COST_EPOCHS
from tuner.search.scheduler import had_all
from tuner.search.trial import TrialState, canonical

_OLD_COLUMNS = {MEASURE_COLUMNS[NUM_PARAMS.metric]: "model_params"}
"""What version 1 of the tables called a column."""
_EPOCH = ("epoch", "seconds", "worker")
_GPUS = 1
"""Place in what `hardware` returns."""


def read_earlier(
    source: str,
    environment: Mapping[str, Any],
    patience: int,
    defaults: Mapping[str, Any],
    objective: Objective,
    reference: Mapping[str, Any] | None = None,
) -> WarmStarted:
    """Return what a run with this `environment`, `patience` and `objective` takes from the run that `source` names.

    `source` is a run's folder or `s3://` address, whose journal is read, or a `trials.parquet` with the
    `epochs.parquet` beside it; or another tool's results, as in `foreign`. `defaults` are what model and training take
    where a configuration is silent, `reference` is the run's first configuration: what a trial cost is known only where
    that one was trained too, on devices of the same kind.

    Raises:
        ConfigError: if there is nothing to read, nothing in it, it was trained on other data, or it does not report the
            objective: results on two data sets cannot be compared.
        JournalError: if the folder holds no journal, or a damaged one.
    """
    if is_foreign(source):
        return read_foreign(source, defaults, objective)
    found, trials = _read_anywhere(source)
    if not found["data_hashes"] or found["data_hashes"] != environment["data_hashes"]:
        raise ConfigError(
            f"--warm-start is {source!r}, which was trained on other data ({found['data_hashes']} there, "
            f"{environment['data_hashes']} here): results on two data sets cannot be compared."
        )
    if not any(trial["epochs"] for trial in trials):
        raise ConfigError(f"--warm-start is {source!r}, but no trial there has finished an epoch.")
    trials = [trial for trial in trials if all(objective.metric in epoch["metrics"] for epoch in trial["epochs"])]
    if not any(trial["epochs"] for trial in trials):
        raise ConfigError(f"--warm-start is {source!r}, but no trial there reports {objective.metric!r}.")
    is_as_patient = found["patience"] is not None and found["patience"] >= patience
    here = hardware(environment)
    there = found.get("hardware")
    is_as_fast = here is not None and there == here
    are_devices_alike = here is not None and there is not None and there[_GPUS] == here[_GPUS]
    unit = _cost_of(reference, trials, defaults) if are_devices_alike else None
    return WarmStarted(
        source,
        [
            trial
            | {
                "stalled": trial["stalled"] and is_as_patient,
                "measures": _lasting(trial["measures"], is_as_fast),
                "relative_cost": None
                if unit is None or trial["relative_cost"] is None
                else trial["relative_cost"] / unit,
            }
            for trial in trials
        ],
        defaults,
        reusable=found["model"] is not None and found["model"] == environment["model"],
        horizon=found["max_epochs"],
    )


def unmeasured(found: WarmStarted, objectives: Sequence[Objective]) -> str | None:
    """Return a sentence about the trials that inform no model of these objectives; None if all do."""
    beside = {one.metric for one in objectives[1:]}
    lacking = [beside - _known_of(trial) for trial in found.warm_start().trials]
    missing = sorted(set().union(*lacking))
    if not missing:
        return None
    return (
        f"{sum(map(bool, lacking))} of the {len(lacking)} trials of --warm-start {found.source!r} do not inform the "
        f"search, for want of {' and '.join(missing)}: not measured, or on other hardware."
    )


def _known_of(trial: EarlierTrial) -> set[str]:
    """Return the names of the measures, and of the metrics that every epoch has."""
    metrics = [set(epoch.metrics) for epoch in trial.epochs]
    return set(trial.measures).union(set.intersection(*metrics) if metrics else ())


def _cost_of(
    reference: Mapping[str, Any] | None, trials: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> float | None:
    """Return what a trial of these hyperparameters cost; None if there is none, or that is not known."""
    if reference is None:
        return None
    wanted = canonical({**defaults, **reference})
    costs = (trial["relative_cost"] for trial in trials if canonical({**defaults, **trial["hparams"]}) == wanted)
    return next((cost for cost in costs if cost), None)


def _lasting(measures: Mapping[str, float], is_as_fast: bool) -> dict[str, float]:
    """Return the measures that hold here: a latency measured on other hardware does not."""
    return {name: value for name, value in measures.items() if is_as_fast or name != LATENCY.metric}


def _read_anywhere(source: str) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    if not storage.is_bucket(source):
        return _read(Path(source))
    run = source.removesuffix("/trials.parquet")
    with reading_run(run) as paths:
        return _read(paths.root if run == source else paths.trials)


def _read(path: Path) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """Return under what conditions the trials were trained, and the trials."""
    if path.is_dir():
        history = read_history(RunPaths(path).journal)
        found = conditions(history)
        return found, [_of_history(history, number, found) for number in sorted(history.trials)]
    if not path.is_file():
        raise ConfigError(f"--warm-start is {str(path)!r}, but there is no such folder or file.")
    return _read_tables(path, path.with_name("epochs.parquet"))


def _of_history(history: History, number: int, found: Mapping[str, Any]) -> dict[str, Any]:
    trial = history.trials[number]
    reports = [_epoch_of(trial.epochs[epoch]) for epoch in sorted(trial.epochs)]
    proposed = trial.proposed
    known = number, dict(proposed.params), dict(proposed.hparams), proposed.seed, trial.state
    reason = "" if trial.ended is None else trial.ended.reason
    first = trial.epochs.get(1)
    if first is not None and first.reused:
        relative_cost = first.relative_cost
    else:
        trained = {epoch: report.seconds for epoch, report in trial.epochs.items() if not report.reused}
        relative_cost = _relative_cost(trained, found)
    return _record(*known, reason, reports, found, dict(trial.measures), relative_cost)


def _relative_cost(seconds: Mapping[int, float], found: Mapping[str, Any]) -> float | None:
    """Return what an epoch of a trial cost, that of the run's first configuration being 1, as `Pace` tells it here.

    `seconds` are those of the epochs that the run trained itself, by their number. None if it is not known.
    """
    unit: float | None = found.get("seconds_per_epoch")  # tables written earlier do not tell
    if not unit or 1 not in seconds:
        return None
    return min(seconds[epoch] for epoch in range(1, COST_EPOCHS + 1) if epoch in seconds) / unit


def _epoch_of(report: EpochReported) -> EarlierEpoch:
    return EarlierEpoch(report.epoch, report.metrics, report.seconds, report.worker)


def _read_tables(trials_path: Path, epochs_path: Path) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    trials = _read_table(trials_path, trials_path, ("trial", "params", "hparams", "seed", "state"))
    epochs = _read_table(trials_path, epochs_path, ("trial", *_EPOCH))
    found = (trials.schema.metadata or {}).get(CONDITIONS.encode())
    if found is None:
        raise ConfigError(
            f"--warm-start is {str(trials_path)!r}, which does not say on what data it was trained: "
            "give the run's folder, or write the table again with tuner report."
        )
    known = json.loads(found)
    metrics = metric_columns(epochs.schema)
    reports: dict[int, list[EarlierEpoch]] = {}
    trained: dict[int, dict[int, float]] = {}
    """By trial and epoch, the seconds; without those taken over, of which the tables tell what they took elsewhere."""
    for row in epochs.to_pylist():
        found_there = {name: row[column] for name, column in metrics.items() if row[column] is not None}
        epoch = EarlierEpoch(row["epoch"], found_there, row["seconds"], row["worker"])
        reports.setdefault(row["trial"], []).append(epoch)
        if not row.get("reused"):
            trained.setdefault(row["trial"], {})[row["epoch"]] = row["seconds"]
    return known, [
        _of_row(row, reports.get(row["trial"], []), known, _relative_cost(trained.get(row["trial"], {}), known))
        for row in trials.to_pylist()
    ]


def _of_row(
    row: Mapping[str, Any], reports: list[EarlierEpoch], found: Mapping[str, Any], relative_cost: float | None
) -> dict[str, Any]:
    params, hparams = json.loads(row["params"]), json.loads(row["hparams"])
    reports.sort(key=lambda report: report.epoch)
    # Tables from before anything was measured lack the columns.
    measured = {
        name: row.get(column, row.get(_OLD_COLUMNS.get(column, column))) for name, column in MEASURE_COLUMNS.items()
    }
    measures = {name: float(value) for name, value in measured.items() if value is not None}
    known = row["trial"], params, hparams, row["seed"], TrialState(row["state"])
    return _record(*known, row.get("reason") or "", reports, found, measures, relative_cost)


def _read_table(given: Path, path: Path, columns: Iterable[str]) -> Any:
    try:
        table = pq.read_table(parquet.content(path), **parquet.READING)
    # Damage makes Arrow raise almost anything.
    except Exception as error:
        raise ConfigError(f"--warm-start is {str(given)!r}, but {path} cannot be read as a table.") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ConfigError(
            f"--warm-start is {str(given)!r}, but {path} has no column {missing[0]!r}: give the folder of a run, "
            "or its trials.parquet with epochs.parquet beside it."
        )
    return table


def _record(
    number: int,
    params: Mapping[str, Any],
    hparams: Mapping[str, Any],
    seed: int,
    state: TrialState,
    reason: str,
    reports: Sequence[EarlierEpoch],
    found: Mapping[str, Any],
    measures: Mapping[str, float],
    relative_cost: float | None,
) -> dict[str, Any]:
    """Return a trial as `WarmStarted` holds it; of a broken sequence of epochs, the beginning."""
    whole = [report for place, report in enumerate(reports, 1) if report.epoch == place]
    made_no_progress = state is TrialState.COMPLETE and not had_all(reason)
    # Where rungs come by cost, a cheap trial may have had more epochs than the last rung says.
    max_epochs, counts_epochs = found["max_epochs"], found.get("counts_epochs", True)
    is_short = max_epochs is not None and (not counts_epochs or len(whole) < max_epochs)
    stalled = made_no_progress and is_short
    trial = EarlierTrial(number, params, hparams, seed, state, whole, stalled, measures, relative_cost)
    return asdict(trial) | {"state": state.value}
