"""The events of a small search and its retraining, as the tests of the live view need them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.metrics import metrics
from tuner.engine.live.state import LiveState
from tuner.engine.plan import Plan
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    WinnerSelected,
)
from tuner.search.trial import Origin, TrialState

PLAN = Plan(
    workers=2,
    rungs=(1, 3, 9),
    reduction_factor=3,
    seconds_per_epoch=12.34,
    max_trials=None,
    expected_trials=17,
    search_seconds=1500.0,
    retrain_seconds=280.0,
    budget_seconds=1800.0,
)
_LOG = json.dumps({"name": "FloatDistribution", "attributes": {"low": 1e-5, "high": 1e-1, "log": True, "step": None}})
_WIDTHS = json.dumps({"name": "IntDistribution", "attributes": {"low": 8, "high": 64, "log": False, "step": 8}})


def started(dataset: str = "digits", model: str = "small-cnn", **plan: Any) -> list[Event]:
    values = {**PLAN.to_dict(), **plan}
    environment = {"dataset": dataset, "model": model}
    return [StudyStarted({"space": "cnn"}, environment), DriverStarted("desk", None, 2), PlanMade(values)]


def proposed(trial: int, lr: float = 0.001, width: int = 16, origin: Origin = Origin.RANDOM) -> TrialProposed:
    params = {"width": width, "lr": lr}
    return TrialProposed(trial, params, {"width": _WIDTHS, "lr": _LOG}, params, origin, trial)


def epoch(trial: int, number: int, dev_accuracy: float) -> EpochReported:
    return EpochReported(trial, number, metrics(dev_accuracy=dev_accuracy), 2.0, "desk:1")


def retrained(candidate: str, seed: int, number: int, dev_accuracy: float) -> RetrainEpochReported:
    return RetrainEpochReported(candidate, seed, number, metrics(dev_accuracy=dev_accuracy), 2.0)


SEARCH: list[Event] = [
    proposed(0, origin=Origin.START),
    proposed(1, lr=0.01),
    epoch(0, 1, 0.70),
    RungDecided(0, 1, "CONTINUE", "protected"),
    epoch(1, 1, 0.80),
    RungDecided(1, 1, "PAUSE", "waits"),
    proposed(2, lr=0.1),
    epoch(2, 1, 0.10),
    RungDecided(2, 1, "STOP", "worse"),
    TrialEnded(2, TrialState.PRUNED, "worse"),
    epoch(0, 2, 0.72),
    epoch(0, 3, 0.75),
    RungDecided(0, 3, "PAUSE", "waits"),
    TrialPromoted(1),
    epoch(1, 2, 0.85),
    proposed(3),
    TrialEnded(3, TrialState.FAILED, "the loss is nan", "Traceback\nValueError: nan"),
    proposed(4, lr=0.003, width=32),
]
"""Trial 1 runs and is best, trial 0, the baseline, waits, trial 2 was given up, trial 3 failed, trial 4 begins."""
AFTER: list[Event] = [
    TrialEnded(0, TrialState.PRUNED, "the search is over"),
    TrialEnded(1, TrialState.COMPLETE, "0.8500 after all epochs"),
    TrialEnded(4, TrialState.PRUNED, "the search is over"),
    SearchEnded("all trials have ended"),
    WinnerSelected(1, {"lr": 0.01}, "dev_accuracy", 0.85, 2, "the rule"),
    RetrainingPlanned(
        [
            {"candidate": candidate, "seed": seed, "max_epochs": 4, "hparams": {}}
            for candidate, seed in (("tuned", 1), ("tuned", 2), ("baseline", 1))
        ],
        {"tuned": 1.0, "baseline": 1.0},
        None,
    ),
    *(retrained("tuned", 1, number, 0.5 + number / 10) for number in range(1, 5)),
    RetrainEnded("tuned", 1, {}, 4, {"dev": {"accuracy": 0.9}, "test": {"accuracy": 0.88}}, "weights", "5ha"),
    retrained("tuned", 2, 1, 0.6),
]
"""One retraining is through, one runs, one waits."""


def state_of(*groups: Iterable[Event]) -> LiveState:
    """Return the state after the events."""
    state = LiveState()
    for group in groups:
        for event in group:
            state.take(event)
    return state
