from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pytest

from tests.metrics import metrics
from tuner.errors import JournalError
from tuner.journal import events
from tuner.journal.events import Event, TrialEnded, from_record, to_record
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.trial import Origin, TrialState

EXAMPLES: list[Event] = [
    events.StudyStarted({"a": [1, 2]}, {"host": "h"}),
    events.DriverStarted("h", None),
    events.WarmStarted("runs/first", [{"number": 0, "params": {"x": 1}}], {"decay": 0.1}, True),
    events.PlanMade({"rungs": [1, 3]}),
    events.TrialProposed(0, {"x": 1}, {"x": "{}"}, {"x": 1}, Origin.MODEL, 7),
    events.TrialProposed(0, {"x": 1}, {"x": "{}"}, {"x": 1}, Origin.MODEL, 7, expected_improvement=0.000412),
    events.ModelMeasured(0, {"num_params": 1e6, "latency": 0.001}),
    events.EpochReported(0, 1, metrics(0.1, 0.2, 0.3, 0.4, 0.5), 0.6, "h:1"),
    events.RungDecided(0, 1, "STOP", "0.1 < 0.2"),
    events.TrialPromoted(0),
    events.TrialRetried(0, "killed"),
    events.TrialEnded(0, TrialState.FAILED, "diverged", "Traceback ..."),
    events.SearchEnded("done"),
    events.SearchEnded("converged", 90.5),
    events.WinnerSelected(0, {"x": 1}, "dev_accuracy", 0.9, 3, "the best"),
    events.RetrainingPlanned(
        [{"candidate": "tuned", "seed": 1, "max_epochs": 9, "hparams": {"x": 1}}], {"tuned": 2.5}, 60.0
    ),
    events.RetrainEpochReported("tuned", 1, 1, metrics(0.1, 0.2, 0.3, 0.4, 0.5), 0.6),
    events.RetrainEnded("tuned", 1, {"x": 1}, 3, {"test": {"accuracy": 0.9, "loss": 0.1, "n": 10}}, "w", "00"),
    events.RetrainFailed("tuned", 1, "diverged"),
    events.EnsembleMeasured([1, 2], {"test": {"accuracy": 0.91, "n": 10000}}, "checkpoints/w.safetensors", "00"),
    events.ParamsAsked(0, {"x": 1}, {"x": "{}"}),
    events.StudyEnded(),
]


def test_there_is_an_example_of_every_event() -> None:
    assert {type(example) for example in EXAMPLES} == set(Event.__args__)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_survives_json(event: Event) -> None:
    back = from_record(json.loads(json.dumps(to_record(event))))
    assert back == event
    assert type(back) is type(event)


def test_states_come_back_as_enumerations() -> None:
    (failed,) = (example for example in EXAMPLES if isinstance(example, TrialEnded))
    back = from_record(json.loads(json.dumps(to_record(failed))))
    assert isinstance(back, TrialEnded)
    assert back.state is TrialState.FAILED


def test_a_field_of_a_newer_version_is_ignored() -> None:
    assert from_record(to_record(events.SearchEnded("done")) | {"mood": "good"}) == events.SearchEnded("done")


def test_what_an_older_version_did_not_tell_of_a_converged_search_is_none() -> None:
    proposed = events.TrialProposed(0, {"x": 1}, {"x": "{}"}, {"x": 1}, Origin.MODEL, 7)
    for event, later in ((proposed, "expected_improvement"), (events.SearchEnded("done"), "seconds_left")):
        record = to_record(event)
        assert record.pop(later) is None
        assert from_record(record) == event


def test_the_trials_of_a_warm_start_come_back_as_the_search_wants_them() -> None:
    trial = EarlierTrial(
        3, {"x": 1}, {"x": 1}, 7, TrialState.PRUNED, [EarlierEpoch(1, {"dev_accuracy": 0.5}, 2.0, "h:1")], False
    )
    event = events.WarmStarted("runs/first", [asdict(trial)], {}, reusable=True)
    back = from_record(json.loads(json.dumps(to_record(event))))
    assert isinstance(back, events.WarmStarted)
    assert back.warm_start() == WarmStart([trial], {}, reusable=True)
    assert type(back.warm_start().trials[0].state) is TrialState


@pytest.mark.parametrize("changes", [{"state": "MAYBE"}, {"number": None, "mood": "good"}])
def test_a_trial_of_a_warm_start_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    trial = asdict(EarlierTrial(3, {}, {}, 7, TrialState.PRUNED, [], False)) | changes
    with pytest.raises(JournalError, match="a trial of the warm start from runs/first cannot be read"):
        events.WarmStarted("runs/first", [trial], {}, reusable=True).warm_start()


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": 3},
        {"kind": "Unheard"},
        {"kind": "SearchEnded"},
        {"kind": "SearchEnded", "reason": "converged", "seconds_left": "90"},
        {"kind": "TrialEnded", "trial": 0, "state": "MAYBE", "reason": ""},
        {"kind": "ModelMeasured", "trial": 0, "measures": {"params": "many"}},
        {"kind": "ModelMeasured", "trial": 0, "measures": {"params": math.nan}},
        {"kind": "ModelMeasured", "trial": 0, "measures": {"params": math.inf}},
    ],
)
def test_what_is_no_event_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(JournalError):
        from_record(record)
