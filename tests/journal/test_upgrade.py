"""Tests of `tuner.journal.upgrade`: what older versions wrote is read as today's version would have written it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import JournalError
from tuner.journal import events
from tuner.journal.events import from_record, to_record
from tuner.journal.history import read_history
from tuner.journal.upgrade import upgraded
from tuner.search.earlier import EarlierEpoch

OLD_RUN = Path(__file__).parent / "version_2" / "run"
"""A whole run of eight trials, written by version 2."""


def old(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "seq": 1, "time": 0.0, "elapsed": 1.0, **fields}


METRICS = {"train_loss": 0.1, "train_accuracy": 0.2, "dev_loss": 0.3, "dev_accuracy": 0.4, "lr": 0.5}


def test_the_numbers_beside_an_old_epochs_other_fields_are_its_metrics() -> None:
    trial = from_record(old("EpochReported", trial=0, epoch=1, **METRICS, seconds=0.6, worker="h:1", finished=True))
    assert trial == events.EpochReported(0, 1, METRICS, 0.6, "h:1", finished=True)
    retrained = from_record(old("RetrainEpochReported", candidate="tuned", seed=1, epoch=1, **METRICS, seconds=0.6))
    assert retrained == events.RetrainEpochReported("tuned", 1, 1, METRICS, 0.6)


def test_a_metric_that_is_no_finite_number_is_left_out() -> None:
    record = old("EpochReported", trial=0, epoch=1, **METRICS | {"train_loss": float("nan")}, seconds=0.6, worker="h:1")
    event = from_record(record)
    assert isinstance(event, events.EpochReported)
    assert set(event.metrics) == set(METRICS) - {"train_loss"}


def test_an_old_winner_names_its_metric_and_value() -> None:
    event = from_record(old("WinnerSelected", trial=0, hparams={"x": 1}, dev_accuracy=0.9, epoch=3, rule="the best"))
    assert event == events.WinnerSelected(0, {"x": 1}, "dev_accuracy", 0.9, 3, "the best")


def test_parameters_of_a_model_have_the_name_that_is_not_optunas() -> None:
    event = from_record(old("ModelMeasured", trial=0, measures={"params": 7.0, "latency": 0.1}))
    assert event == events.ModelMeasured(0, {"num_params": 7.0, "latency": 0.1})
    search = {"search": {"objectives": ["dev_accuracy", "params"], "trials": 3}}
    started = from_record(old("StudyStarted", config=search, environment={}, schema_version=2))
    assert isinstance(started, events.StudyStarted)
    assert started.config == {"search": {"objectives": ["dev_accuracy", "num_params"], "trials": 3}}
    assert started.objective == DEFAULT_OBJECTIVE


def test_the_trials_of_an_old_warm_start_are_read() -> None:
    epoch = {"epoch": 1, **METRICS, "seconds": 0.6, "worker": "h:1"}
    trial = {
        "number": 3, "params": {"x": 1}, "hparams": {"x": 1}, "seed": 7, "state": "PRUNED", "epochs": [epoch],
        "stalled": False, "measures": {"params": 7.0},
    }  # fmt: skip
    event = from_record(old("WarmStarted", source="runs/first", trials=[trial], defaults={}, reusable=True))
    assert isinstance(event, events.WarmStarted)
    (earlier,) = event.warm_start().trials
    assert list(earlier.epochs) == [EarlierEpoch(1, METRICS, 0.6, "h:1")]
    assert earlier.measures == {"num_params": 7.0}


@pytest.mark.parametrize(
    "record",
    [
        old("WinnerSelected", trial=0, hparams={}, epoch=1, rule=""),
        old("WinnerSelected", trial=0, hparams={}, epoch=1, rule="", one=0.1, other=0.2),
        old("EpochReported", trial=0, epoch=1, seconds="long", worker="h:1"),
        old("ModelMeasured", trial=0, measures=[7.0]),
        old("WarmStarted", source="", trials=[7], defaults={}, reusable=True),
        old("StudyStarted", config=7, environment={}),
    ],
)
def test_what_never_was_an_event_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(JournalError):
        from_record(record)


def test_what_this_version_writes_needs_no_change() -> None:
    event = events.EpochReported(0, 1, METRICS, 0.6, "h:1")
    record = json.loads(json.dumps(to_record(event)))
    assert upgraded(record) is record


def test_a_whole_run_of_version_2_is_read() -> None:
    history = read_history(OLD_RUN / "journal")
    assert history.objective == DEFAULT_OBJECTIVE
    assert history.ended
    assert len(history.trials) == 8
    assert history.winner is not None
    best = history.trials[history.winner.trial].best
    assert best is not None
    assert (history.winner.metric, history.winner.value) == ("dev_accuracy", best.metrics["dev_accuracy"])
    assert all(trial.measures.keys() == {"num_params"} for trial in history.trials.values())
