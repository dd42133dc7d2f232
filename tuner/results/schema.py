"""The schema of the result tables: every column's type, unit and meaning, in one place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tuner.config import DEFAULT_OBJECTIVE
from tuner.search.objective import LATENCY, NUM_PARAMS, Objective

SCHEMA_VERSION = 2
"""Changes when a column's name, meaning or type does; a new column alone does not change it.

Version 1 called the trials' `num_params` `model_params`, and took hyperparameters' names into columns' as they were.
"""

HPARAM_PREFIX = "hp_"
MEASURE_COLUMNS = {NUM_PARAMS.metric: "num_params", LATENCY.metric: "latency_seconds"}
"""The trials' columns that hold what was measured of the models, by the names of `MEASURES`."""
CONDITIONS = "conditions"
"""Key in the metadata of the trials: under what they were trained, as JSON (`tables.conditions`)."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    """Empty for names, texts and numbers that only count or identify."""
    nullable: bool = False
    metric: str | None = None
    """The metric that it holds, as the trainable calls it; None if it holds none."""
    hparam: str | None = None
    """The hyperparameter that it holds, as the search space calls it; None if it holds none."""

    def field(self) -> pa.Field:
        """Return the Arrow field; what the column does not say by its name is in the field's metadata."""
        metadata = {"description": self.description, "unit": self.unit, _METRIC: self.metric, _HPARAM: self.hparam}
        metadata = {key: value for key, value in metadata.items() if value is not None}
        return pa.field(self.name, self.type, self.nullable, metadata)


_METRIC, _HPARAM = "metric", "hparam"
_NATS = "nats per example"
_FRACTION = "fraction of examples"

_TRIAL = Column("trial", pa.int64(), "Number of the trial, from 0 in the order of proposal.")
_EPOCH = Column("epoch", pa.int64(), "Finished epochs, from 1.", "epochs")
_CANDIDATE = Column("candidate", pa.string(), "tuned (the winner) or baseline (the first start configuration).")
_SEED = Column("seed", pa.int64(), "Seeds initial weights, batch order, augmentation and dropout.")
_SECONDS = Column("seconds", pa.float64(), "Time of training and evaluation.", "seconds")

_CLASSIFIER_EPOCH = {
    "train_loss": ("Mean training loss of the epoch's batches, as they were trained.", _NATS),
    "train_accuracy": ("Accuracy on the epoch's batches, as they were trained.", _FRACTION),
    "dev_loss": ("Cross-entropy on the dev set after the epoch.", _NATS),
    "dev_accuracy": ("Accuracy on the dev set after the epoch.", _FRACTION),
    "lr": ("Learning rate of the epoch.", ""),
}
_CLASSIFIER_SPLIT = {
    "accuracy": ("Accuracy of the restored best-dev weights.", _FRACTION),
    "loss": ("Cross-entropy of the restored best-dev weights.", _NATS),
    "n": ("Examples in the split.", "examples"),
}
"""What the metrics of the built-in classifier mean. Who reports just these is taken for it."""

TRIALS = (
    _TRIAL,
    Column("state", pa.string(), "RUNNING, PAUSED, COMPLETE, PRUNED or FAILED."),
    Column("origin", pa.string(), "Who proposed the configuration: start, random or model."),
    _SEED,
    Column("epochs", pa.int64(), "Epochs trained, those taken over from an earlier run included.", "epochs"),
    Column("reused_epochs", pa.int64(), "Epochs taken over from an equal trial of an earlier run.", "epochs"),
    Column(
        "best_epoch",
        pa.int64(),
        "The epoch that reached it; of equals that of the lower dev loss.",
        "epochs",
        nullable=True,
    ),
    Column("seconds", pa.float64(), "Time of training and evaluation, all epochs together.", "seconds"),
    Column("worker", pa.string(), "Host and process that trained the last epoch.", nullable=True),
    Column("retries", pa.int64(), "Times the trial was taken up again after its worker died."),
    Column("reason", pa.string(), "Why the trial ended.", nullable=True),
    Column("error", pa.string(), "The worker's traceback, for a failed trial.", nullable=True),
    Column("num_params", pa.int64(), "Trainable parameters of the model; null if not measured.", nullable=True),
    Column(
        "latency_seconds",
        pa.float64(),
        "Median time of one example's forward pass; measured where it is an objective, else null.",
        "seconds",
        nullable=True,
    ),
    Column(
        "on_front",
        pa.bool_(),
        "Whether no other trial is at least as good in every objective and better in one, by its best epoch so far; "
        "null with one objective, and for a trial that failed, finished no epoch or was not measured.",
        nullable=True,
    ),
    Column("params", pa.string(), "What the search space asked for, as a JSON object."),
    Column("hparams", pa.string(), "The hyperparameters it made of that, as a JSON object; hp_ columns hold the same."),
)
EPOCHS = (
    _TRIAL,
    _EPOCH,
    _SECONDS,
    Column("worker", pa.string(), "Host and process that trained the epoch."),
    Column("reused", pa.bool_(), "Whether it was taken over from an equal trial of an earlier run."),
)
FINAL = (
    Column("candidate", pa.string(), "tuned, baseline, or ensemble: the mean of the tuned ones' probabilities."),
    Column("seed", pa.int64(), "The seed of its random numbers; null for the ensemble.", nullable=True),
    Column("split", pa.string(), "train, dev or test."),
    Column(
        "best_epoch",
        pa.int64(),
        "The epoch whose weights were restored; of a training that saves no state the last.",
        "epochs",
        nullable=True,
    ),
)
RETRAIN_EPOCHS = (_CANDIDATE, _SEED, _EPOCH, _SECONDS)


def best_column(objective: Objective) -> Column:
    """Return the trials' column of the objective's best value: `best_dev_accuracy`."""
    (name,) = column_names([objective.metric], TRIALS, prefix="best_").values()
    unit = _FRACTION if objective.proportion else ""
    description = f"{objective.best_word.capitalize()} {objective.words} of any epoch."
    return Column(name, pa.float64(), description, unit, nullable=True, metric=objective.metric)


def epoch_columns(metrics: Collection[str], objective: Objective, fixed: Sequence[Column]) -> list[Column]:
    """Return a column for each metric of an epoch, beside the `fixed` ones.

    While no epoch is known, they are the classifier's if it is compared by the classifier's objective, so that the
    columns of a run do not change under its readers.
    """
    if not metrics:
        metrics = list(_CLASSIFIER_EPOCH) if objective == DEFAULT_OBJECTIVE else [objective.metric]
    meanings = _CLASSIFIER_EPOCH if set(metrics) == set(_CLASSIFIER_EPOCH) else {}
    return _metric_columns(metrics, meanings, fixed)


def split_columns(metrics: Collection[str], objective: Objective) -> list[Column]:
    """Return a column for each metric of an evaluation of a split, likewise."""
    if not metrics:
        metrics = list(_CLASSIFIER_SPLIT) if objective == DEFAULT_OBJECTIVE else []
    meanings = _CLASSIFIER_SPLIT if set(metrics) == set(_CLASSIFIER_SPLIT) else {}
    return _metric_columns(metrics, meanings, FINAL, whole=("n",))


def column_names(names: Iterable[str], fixed: Iterable[Column], prefix: str = "") -> dict[str, str]:
    """Return a column's name for each name: of letters, digits and `_` alone, and no two alike but for their case.

    A dot means a nested field to Arrow and to SQL, and many readers of tables ignore case.
    """
    taken = {column.name.casefold() for column in fixed}
    found: dict[str, str] = {}
    for name in names:
        safe = prefix + (re.sub(r"\W", "_", name) or "_")
        column, count = safe, 1
        while column.casefold() in taken:
            count += 1
            column = f"{safe}_{count}"
        taken.add(column.casefold())
        found[name] = column
    return found


def metric_columns(schema: pa.Schema) -> dict[str, str]:
    """Return by metric the column of a table of epochs that holds it; of an older table, every column that is free."""
    fixed = {column.name for column in EPOCHS}
    named = {
        field.metadata[_METRIC.encode()].decode(): field.name
        for field in schema
        if field.metadata and _METRIC.encode() in field.metadata
    }
    return named or {field.name: field.name for field in schema if field.name not in fixed}


def _metric_columns(
    metrics: Collection[str],
    meanings: Mapping[str, tuple[str, str]],
    fixed: Sequence[Column],
    whole: Collection[str] = (),
) -> list[Column]:
    return [
        Column(
            column,
            pa.int64() if metric in whole else pa.float64(),
            *meanings.get(metric, (f"{metric}, as the trainable reports it.", "")),
            nullable=True,
            metric=metric,
        )
        for metric, column in column_names(metrics, fixed).items()
    ]


def hparam_columns(types: Mapping[str, pa.DataType]) -> list[Column]:
    """Return a column for each hyperparameter, given their types by name."""
    return [
        Column(
            column,
            types[name],
            f"Hyperparameter {name}; null where the trial's configuration has none.",
            nullable=True,
            hparam=name,
        )
        for name, column in column_names(types, TRIALS, HPARAM_PREFIX).items()
    ]


def schema(table: str, columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of `table`."""
    return pa.schema([column.field() for column in columns], {"table": table, "schema_version": str(SCHEMA_VERSION)})
