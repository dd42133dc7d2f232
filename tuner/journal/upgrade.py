"""Events of older versions of the journal, as today's would be.

A record is known to be old by what it lacks, not by the version that the journal begins with: a run may have been begun
by an older version and gone on with by a newer one.

1. had no `ModelMeasured`,
2. knew one objective, one list of metrics, which stood beside an event's other fields, and `params` for `num_params`,
3. has metrics as a mapping, and the objective in its opening,
4. and later ones have the same records, from which other proposals, ends and promotions follow: see
   `tuner.engine.replay`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tuner.search.objective import NUM_PARAMS

_OLD_NAMES = {"params": NUM_PARAMS.metric}

Record = Mapping[str, Any]


def upgraded(record: Record) -> Record:
    """Return the record as today's version would write it; one that has nothing old is returned as it is."""
    change = _CHANGES.get(str(record.get("kind")))
    return record if change is None else change(record)


def _with_metrics(record: Record, others: frozenset[str]) -> Record:
    """Return a report whose numbers, but for `others`, are its metrics."""
    if "metrics" in record:
        return record
    kept = {name: value for name, value in record.items() if name in others}
    found = {name: value for name, value in record.items() if name not in others and _is_finite(value)}
    return {**kept, "metrics": found}


def _epoch_reported(record: Record) -> Record:
    return _with_metrics(record, _HEADER | {"trial", "epoch", "seconds", "worker", "finished", "reused"})


def _retrain_epoch_reported(record: Record) -> Record:
    return _with_metrics(record, _HEADER | {"candidate", "seed", "epoch", "seconds"})


def _winner_selected(record: Record) -> Record:
    """Return the winner with its value under one name, whatever the metric."""
    if "metric" in record:
        return record
    metrics = record.keys() - _HEADER - {"trial", "hparams", "epoch", "rule"}
    if len(metrics) != 1:
        return record  # which is then refused for what it lacks
    (metric,) = metrics
    return {**record, "metric": metric, "value": record[metric]}


def _model_measured(record: Record) -> Record:
    measures = record.get("measures")
    return {**record, "measures": _renamed(measures)} if isinstance(measures, Mapping) else record


def _study_started(record: Record) -> Record:
    config = record.get("config")
    if "objective" in record or not isinstance(config, Mapping):
        return record
    search = config.get("search")
    if not isinstance(search, Mapping) or "objectives" not in search:
        return record
    objectives = [_OLD_NAMES.get(name, name) for name in search["objectives"]]
    return {**record, "config": {**config, "search": {**search, "objectives": objectives}}}


def _warm_started(record: Record) -> Record:
    trials = record.get("trials")
    if not isinstance(trials, list) or not all(isinstance(trial, Mapping) for trial in trials):
        return record
    return {**record, "trials": [_earlier_trial(trial) for trial in trials]}


def _earlier_trial(trial: Record) -> Record:
    changed = dict(trial)
    if isinstance(trial.get("measures"), Mapping):
        changed["measures"] = _renamed(trial["measures"])
    if isinstance(trial.get("epochs"), list):
        changed["epochs"] = [_with_metrics(epoch, _EARLIER_EPOCH) for epoch in trial["epochs"]]
    return changed


def _renamed(measures: Record) -> Record:
    return {_OLD_NAMES.get(name, name): value for name, value in measures.items()}


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


_HEADER = frozenset({"kind", "seq", "time", "elapsed"})
"""What every line of a journal has."""
_EARLIER_EPOCH = frozenset({"epoch", "seconds", "worker"})
_CHANGES: Mapping[str, Callable[[Record], Record]] = {
    "StudyStarted": _study_started,
    "WarmStarted": _warm_started,
    "ModelMeasured": _model_measured,
    "EpochReported": _epoch_reported,
    "RetrainEpochReported": _retrain_epoch_reported,
    "WinnerSelected": _winner_selected,
}
