"""Tests of `tuner.engine.search_phase`: how Ray gives trials to processes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from tuner.config import DEFAULT_OBJECTIVE, ResourceConfig
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.search_phase import run_search
from tuner.engine.trainable import FINISHED, REPORT, TRIAL, WORKER
from tuner.journal.events import Event, TrialEnded
from tuner.paths import RunPaths
from tuner.search.registry import build_search
from tuner.search.space import load_space

WORKERS, TRIALS = 2, 8
EPOCH = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "dev_loss": 1.0, "dev_accuracy": 0.6, "lr": 0.1}


def slow_to_start(folder: Path) -> type[tune.Trainable]:
    """Return a trainable whose process takes longer to start than its trials to end; each leaves its number."""

    class SlowToStart(tune.Trainable):
        def setup(self, config: dict[str, Any], job: None = None) -> None:
            time.sleep(2)
            (folder / str(os.getpid())).touch()
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._trial = new_config["trial"]
            return True

        def step(self) -> dict[str, Any]:
            return {TRIAL: self._trial, WORKER: "nobody:0", REPORT: EPOCH | {"seconds": 0.0}, FINISHED: True}

    return SlowToStart


@pytest.mark.timeout(120)
def test_as_many_processes_as_workers_start_and_none_is_ended_for_one_that_is_free(
    ray_running: None, tmp_path: Path
) -> None:
    events: list[Event] = []
    search = build_search(
        load_space("cnn"),
        searcher="random",
        scheduler="none",
        min_epochs=1,
        max_epochs=1,
        reduction_factor=3,
        startup_trials=0,
        max_trials=TRIALS,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
    )
    clock = BudgetClock(None, RetrainLoad(0, 0, 1, WORKERS), 1.0, lambda: 0.0)
    coordinator = Coordinator(
        search,
        lambda *new: events.extend(new),
        clock,
        objectives=(DEFAULT_OBJECTIVE,),
        workers=WORKERS,
        seed=0,
        discard=lambda trial: None,
    )
    paths = RunPaths(tmp_path / "run")
    (tmp_path / "processes").mkdir()
    nothing: Any = ray.put(None)
    run_search(coordinator, nothing, ResourceConfig(), paths, print, slow_to_start(tmp_path / "processes"))
    assert sorted(event.trial for event in events if isinstance(event, TrialEnded)) == list(range(TRIALS))
    assert len(list((tmp_path / "processes").iterdir())) == WORKERS
