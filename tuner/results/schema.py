"""The schema of the result tables: every column's type, unit and meaning, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tuner.search.objectives import LATENCY, PARAMS

SCHEMA_VERSION = 1
"""Changes when a column's meaning or type does; a new column alone does not change it."""

HPARAM_PREFIX = "hp_"
MEASURES = {PARAMS.name: "model_params", LATENCY.name: "latency_seconds"}
"""The trials' columns that hold what was measured of the models, by the names of `OBJECTIVES`."""
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

    def field(self) -> pa.Field:
        """Return the Arrow field, with unit and description as metadata."""
        return pa.field(self.name, self.type, self.nullable, {"description": self.description, "unit": self.unit})


_NATS = "nats per image"
_FRACTION = "fraction of images"

_TRIAL = Column("trial", pa.int64(), "Number of the trial, from 0 in the order of proposal.")
_EPOCH = Column("epoch", pa.int64(), "Finished epochs, from 1.", "epochs")
_CANDIDATE = Column("candidate", pa.string(), "tuned (the winner) or baseline (the first start configuration).")
_SEED = Column("seed", pa.int64(), "Seeds initial weights, batch order, augmentation and dropout.")
_CURVES = (
    Column("train_loss", pa.float64(), "Mean training loss of the epoch's batches, as they were trained.", _NATS),
    Column("train_accuracy", pa.float64(), "Accuracy on the epoch's batches, as they were trained.", _FRACTION),
    Column("dev_loss", pa.float64(), "Cross-entropy on the dev set after the epoch.", _NATS),
    Column("dev_accuracy", pa.float64(), "Accuracy on the dev set after the epoch.", _FRACTION),
    Column("lr", pa.float64(), "Learning rate of the epoch."),
    Column("seconds", pa.float64(), "Time of training and evaluation.", "seconds"),
)

TRIALS = (
    _TRIAL,
    Column("state", pa.string(), "RUNNING, PAUSED, COMPLETE, PRUNED or FAILED."),
    Column("origin", pa.string(), "Who proposed the configuration: start, random or model."),
    _SEED,
    Column("epochs", pa.int64(), "Epochs trained, those taken over from an earlier run included.", "epochs"),
    Column("reused_epochs", pa.int64(), "Epochs taken over from an equal trial of an earlier run.", "epochs"),
    Column("best_dev_accuracy", pa.float64(), "Highest dev accuracy of any epoch.", _FRACTION, nullable=True),
    Column("best_epoch", pa.int64(), "The epoch that reached it, the earliest of equals.", "epochs", nullable=True),
    Column("seconds", pa.float64(), "Time of training and evaluation, all epochs together.", "seconds"),
    Column("worker", pa.string(), "Host and process that trained the last epoch.", nullable=True),
    Column("retries", pa.int64(), "Times the trial was taken up again after its worker died."),
    Column("reason", pa.string(), "Why the trial ended.", nullable=True),
    Column("error", pa.string(), "The worker's traceback, for a failed trial.", nullable=True),
    Column("model_params", pa.int64(), "Trainable parameters of the model; null if not measured.", nullable=True),
    Column(
        "latency_seconds",
        pa.float64(),
        "Median time of one image's forward pass; measured where it is an objective, else null.",
        "seconds",
        nullable=True,
    ),
    Column(
        "on_front",
        pa.bool_(),
        "Whether no other trial is at least as good in every objective and better in one, by its best dev accuracy so "
        "far; null with one objective, and for a trial that failed, finished no epoch or was not measured.",
        nullable=True,
    ),
    Column("params", pa.string(), "What the search space asked for, as a JSON object."),
    Column("hparams", pa.string(), "What it made of that, the hyperparameters, as a JSON object; see also hp_."),
)
EPOCHS = (
    _TRIAL,
    _EPOCH,
    *_CURVES,
    Column("worker", pa.string(), "Host and process that trained the epoch."),
    Column("reused", pa.bool_(), "Whether it was taken over from an equal trial of an earlier run."),
)
FINAL = (
    _CANDIDATE,
    _SEED,
    Column("split", pa.string(), "train, dev or test."),
    Column("accuracy", pa.float64(), "Accuracy of the restored best-dev weights.", _FRACTION),
    Column("loss", pa.float64(), "Cross-entropy of the restored best-dev weights.", _NATS),
    Column("n", pa.int64(), "Images in the split.", "images"),
    Column("best_epoch", pa.int64(), "The epoch whose weights were restored.", "epochs"),
)
RETRAIN_EPOCHS = (_CANDIDATE, _SEED, _EPOCH, *_CURVES)


def schema(table: str, columns: tuple[Column, ...], hparams: dict[str, pa.DataType] | None = None) -> pa.Schema:
    """Return the Arrow schema of `table`; `hparams` are the hyperparameters' types, each an `hp_` column."""
    fields = [column.field() for column in columns]
    for name, data_type in (hparams or {}).items():
        description = f"Hyperparameter {name}; null where the trial's configuration has none."
        fields.append(Column(HPARAM_PREFIX + name, data_type, description, nullable=True).field())
    return pa.schema(fields, {"table": table, "schema_version": str(SCHEMA_VERSION)})
