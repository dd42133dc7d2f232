"""A journal written by hand: four trials, two retrainings, with numbers that can be followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.metrics import metrics
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    ModelMeasured,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RungDecided,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
    WinnerSelected,
)
from tuner.journal.history import History, fold
from tuner.journal.store import Entry, JournalWriter
from tuner.paths import RunPaths
from tuner.search.trial import Origin, TrialState

HOSTILE = "<script>alert('x')</script>"

OPENING: list[Event] = [
    StudyStarted(
        {"space": HOSTILE, "storage": "runs", "data": {"dataset": "auto"}},
        {"dataset": "fashion-mnist", "model": f"cnn of {0:064x}", "packages": {"torch": "2.15.0"}},
    ),
    DriverStarted("desk", "c0ffee"),
    PlanMade({"workers": 2, "rungs": [1, 3]}),
]


def epoch(trial: int, number: int, dev_accuracy: float, dev_loss: float = 0.5, worker: str = "desk:1") -> EpochReported:
    return EpochReported(trial, number, metrics(0.6, 0.8, dev_loss, dev_accuracy, 0.01), 2.0, worker)


def proposed(trial: int, **hparams: object) -> TrialProposed:
    origin = Origin.RANDOM if trial else Origin.START
    return TrialProposed(trial, {}, {}, hparams, origin, 100 + trial)


def retrained(candidate: str, seed: int, train: float, dev: float, test: float) -> RetrainEnded:
    sizes = {"train": (train, 50_000), "dev": (dev, 10_000), "test": (test, 10_000)}
    found = {split: {"accuracy": value, "loss": 0.25, "n": n} for split, (value, n) in sizes.items()}
    return RetrainEnded(candidate, seed, {"lr": 0.01, "widths": [8, 16]}, 2, found, "weights", "5ha")


def three_of_which_one_diverged() -> list[Event]:
    """Return retrainings of the winner; of the third the accuracy was no finite number on the test set."""
    third = retrained("tuned", 3, 0.97, 0.92, 0.90)
    del third.evaluations["test"]["accuracy"]  # type: ignore[attr-defined]
    return [retrained("tuned", 1, 0.96, 0.93, 0.92), retrained("tuned", 2, 0.98, 0.94, 0.91), third]


SEARCH: list[Event] = [
    proposed(0, lr=1, flip=True, widths=[8, 16], mixed=1),
    proposed(1, lr=0.5, flip=False, mixed="one", decay=3),
    ModelMeasured(0, {"num_params": 1000.0, "latency": 0.0025}),
    epoch(0, 1, 0.80),
    RungDecided(0, 1, "PAUSE", "0.8000 is number 1 of 1, of which none goes on yet"),
    ModelMeasured(1, {"num_params": 400.0, "latency": 0.00125}),
    epoch(1, 1, 0.70),
    RungDecided(1, 1, "STOP", "0.7000 < 0.8000"),
    TrialEnded(1, TrialState.PRUNED, "0.7000 < 0.8000"),
    TrialPromoted(0),
    TrialRetried(0, "Traceback\nActorDiedError: gone"),
    epoch(0, 1, 0.80),
    epoch(0, 2, 0.90, worker="desk:2"),
    epoch(0, 3, 0.85, worker="desk:2"),
    RungDecided(0, 3, "COMPLETE", "0.9000 after all 3 epochs"),
    TrialEnded(0, TrialState.COMPLETE, "0.9000 after all 3 epochs"),
    proposed(2, lr=2.5, flip=True, widths=[4]),
    ModelMeasured(2, {"num_params": 50.0, "latency": 0.0005}),
    epoch(2, 1, 0.99),
    TrialEnded(2, TrialState.FAILED, f"loss is nan {HOSTILE}", f"Traceback\n{HOSTILE}\nValueError: \x1b[31mred"),
    proposed(3, lr=0.25),
]
AFTER: list[Event] = [
    SearchEnded("all trials have ended"),
    WinnerSelected(0, {"lr": 1, "widths": [8, 16]}, "dev_accuracy", 0.90, 2, "the rule"),
    RetrainEpochReported("tuned", 1, 1, metrics(0.5, 0.81, 0.4, 0.88, 0.01), 3.0),
    RetrainEpochReported("tuned", 1, 2, metrics(0.4, 0.86, 0.3, 0.92, 0.009), 3.0),
    retrained("tuned", 1, 0.96, 0.93, 0.92),
    RetrainEpochReported("tuned", 2, 1, metrics(0.5, 0.82, 0.4, 0.89, 0.01), 3.0),
    retrained("tuned", 2, 0.98, 0.94, 0.91),
    RetrainEpochReported("baseline", 1, 1, metrics(0.6, 0.80, 0.5, 0.85, 0.01), 3.0),
    retrained("baseline", 1, 0.95, 0.90, 0.89),
    RetrainFailed("baseline", 2, "the loss is inf"),
    StudyEnded(),
]

Build = Callable[[Sequence[Event]], History]


@pytest.fixture
def build() -> Build:
    """Return a function that folds events into a history, one second of work each."""

    def fold_events(events: Sequence[Event]) -> History:
        return fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(events))

    return fold_events


@pytest.fixture
def nothing(build: Build) -> History:
    """A run that has a plan and no trial."""
    return build(OPENING)


@pytest.fixture
def searching(build: Build) -> History:
    """A run in the middle of its search: one trial each COMPLETE, PRUNED, FAILED and RUNNING."""
    return build(OPENING + SEARCH)


@pytest.fixture
def finished(build: Build) -> History:
    """The same run at its end."""
    return build(OPENING + SEARCH + AFTER)


@pytest.fixture
def finished_entries() -> list[Entry]:
    """The journal of the finished run."""
    return [Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(OPENING + SEARCH + AFTER)]


@pytest.fixture
def two_objectives() -> list[Event]:
    """The events of the finished run, had it looked for few parameters too."""
    started = OPENING[0]
    assert isinstance(started, StudyStarted)
    config = {**started.config, "search": {"objectives": ["dev_accuracy", "num_params"]}}
    return [replace(started, config=config), *OPENING[1:], *SEARCH, *AFTER]


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[[Sequence[Event] | None], RunPaths]:
    """Return a function that writes a journal (the finished run's by default) into a folder called `study`."""

    def write(events: Sequence[Event] | None = None) -> RunPaths:
        paths = RunPaths(tmp_path / "study")
        with JournalWriter(paths.journal) as journal:
            journal.append(*(OPENING + SEARCH + AFTER if events is None else events))
        return paths

    return write
