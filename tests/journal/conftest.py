"""Events to fill journals with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.metrics import metrics
from tuner.journal.events import (
    EpochReported,
    Event,
    ModelMeasured,
    RungDecided,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
)
from tuner.search.trial import Origin, TrialState


def proposed(trial: int) -> TrialProposed:
    """A proposal of one hyperparameter."""
    return TrialProposed(trial, {"x": 0.5}, {"x": "{}"}, {"x": 0.5}, Origin.START, seed=trial)


def reported(trial: int, epoch: int, **changes: Any) -> EpochReported:
    """A report of an epoch."""
    return EpochReported(trial, epoch, metrics(**{"dev_accuracy": 0.1 * epoch, **changes}), 2.0, "host:1")


@pytest.fixture
def history_events() -> list[Event]:
    """Two trials: one complete, one failed after a retry; of the first, measures and second epoch are told twice."""
    return [
        StudyStarted({"seed": 0}, {"host": "here"}),
        proposed(0),
        ModelMeasured(0, {"num_params": 100.0}),
        reported(0, 1),
        reported(0, 2, dev_accuracy=0.7),
        RungDecided(0, 2, "PAUSE", "0.7 is number 1 of 1, of which none goes on yet"),
        proposed(1),
        TrialPromoted(0),
        TrialRetried(1, "killed"),
        ModelMeasured(0, {"num_params": 200.0}),
        reported(0, 2, dev_accuracy=0.1),
        reported(0, 3, dev_accuracy=0.7),
        RungDecided(0, 3, "COMPLETE", "0.7 after all 3 epochs"),
        TrialEnded(0, TrialState.COMPLETE, "0.7 after all 3 epochs"),
        TrialEnded(1, TrialState.FAILED, "diverged"),
        SearchEnded("all trials have ended"),
    ]


@pytest.fixture
def opening() -> StudyStarted:
    """The first event of a journal."""
    return StudyStarted({"seed": 0}, {"host": "here"})
