"""From the worker that measures to the front in the tables: all that lies between, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.in_process import InProcessExecutor
from tuner.engine.search_phase import SearchPhase
from tuner.engine.task import load_task
from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import TrialFailedError
from tuner.journal.events import EpochReported, Event, ModelMeasured, StudyStarted
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.results.tables import trials_table
from tuner.search.objective import objectives_of
from tuner.search.registry import build_search
from tuner.search.space import load_space
from tuner.training.trainable import trainable_of

SPACE = """
START = [{"hidden": 4, "learning_rate": 0.003}]


def suggest(trial):
    return {
        "hidden": trial.suggest_int("hidden", 1, 16),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "batch_size": 32,
    }


def MODEL(hparams):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(784, hparams["hidden"]), nn.Linear(hparams["hidden"], 10))
"""


def params(hidden: int) -> int:
    return (784 + 1) * hidden + (hidden + 1) * 10


def run_study(root: Path, job: Job, objectives: list[str]) -> RunPaths:
    """Run a study of eight trials, one after the other, on the journal in `root`."""
    space_file = root.parent / "space.py"
    space_file.write_text(SPACE)
    space = load_space(str(space_file))
    paths = RunPaths(root)
    paths.checkpoints.mkdir(parents=True)
    found = objectives_of(objectives, DEFAULT_OBJECTIVE)
    search = build_search(
        space,
        searcher="tpe",
        scheduler="asha-promote",
        min_epochs=1,
        max_epochs=3,
        reduction_factor=3,
        startup_trials=4,
        max_trials=8,
        objectives=found,
        seed=0,
    )
    with JournalWriter(paths.journal) as journal:
        journal.append(StudyStarted({"search": {"objectives": objectives}}, {}))
        clock = BudgetClock(None, RetrainLoad(1, 0, 3, 1), 2.0, lambda: 0.0)
        coordinator = Coordinator(
            search, journal.append, clock, objectives=found, workers=1, seed=0, discard=lambda _: None
        )
        job = replace(job, trainable=load_task(str(space_file)).trainable, measures_latency="latency" in objectives)
        InProcessExecutor(print).run(job, iter([SearchPhase(coordinator, paths, max_failures=0)]))
        coordinator.finish()
    return paths


@pytest.mark.parametrize("objectives", ["dev_accuracy", "dev_accuracy,num_params", "dev_accuracy,latency,num_params"])
def test_what_the_worker_measures_decides_in_the_search_and_stands_in_the_tables(
    job: Job, tmp_path: Path, objectives: str
) -> None:
    paths = run_study(tmp_path / "run", job, objectives.split(","))
    events: list[Event] = [entry.event for entry in read_journal(paths.journal)]
    for place, event in enumerate(events):
        if isinstance(event, EpochReported) and event.epoch == 1:
            assert isinstance(events[place - 1], ModelMeasured)
    rows = trials_table(read_history(paths.journal)).to_pylist()
    assert [row["num_params"] for row in rows] == [params(row["hp_hidden"]) for row in rows]
    assert [row["latency_seconds"] is not None for row in rows] == ["latency" in objectives] * 8
    assert {row["on_front"] for row in rows} == ({None} if objectives == "dev_accuracy" else {True, False})
    assert {row["origin"] for row in rows} == {"start", "random", "model"}


class Nameless:
    """A training that keeps its model to itself."""

    def __init__(self, hparams: dict[str, Any], data: object, *, seed: int, device: torch.device) -> None:
        self._network = nn.Linear(1, 1)

    def train_epoch(self) -> dict[str, float]:
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: object) -> dict[str, float]:
        return {}


def test_an_objective_that_cannot_be_measured_is_refused_at_once(job: Job, assign: Callable[..., Assignment]) -> None:
    objectives = objectives_of(["dev_accuracy", "num_params"], DEFAULT_OBJECTIVE)
    worker = Worker(replace(job, trainable=trainable_of(Nameless), objectives=objectives))
    worker.begin(assign())
    with pytest.raises(TrialFailedError, match=r"num_params is an objective, but .* no attribute 'model'"):
        worker.measure()
