"""Studies on a GPU: who gets it, who shares it, and what becomes of a trial that breaks it. Skipped without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine import gpu_task
from tuner import tune
from tuner.engine.processors import usable_cpus
from tuner.journal.events import DriverStarted
from tuner.journal.store import read_journal
from tuner.loaded_run import LoadedRun

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.timeout(300),
]

FEW: dict[str, Any] = {"preset": "smoke", "trials": 12, "max_epochs": 3, "startup_trials": 12, "retrain_seeds": 1}


def tuned(folder: Path, **changed: Any) -> LoadedRun:
    values = FEW | {"space": gpu_task.__file__, "storage": str(folder / "runs"), "name": "study"}
    return tune(**{**values, **changed})


def workers(run: LoadedRun) -> int | None:
    return next(
        entry.event.workers for entry in read_journal(run.path / "journal") if isinstance(entry.event, DriverStarted)
    )


def test_a_trial_that_breaks_the_gpu_fails_alone_and_its_process_is_not_used_again(tmp_path: Path) -> None:
    run = tuned(tmp_path, scheduler="none", trials=6, startup_trials=6)
    assert workers(run) == torch.cuda.device_count()
    assert (run.epochs["on_gpu"] == 1).all()
    has_failed = run.trials["state"] == "FAILED"
    failed, others = run.trials[has_failed], run.trials[~has_failed]
    assert set(failed["hp_deed"]) == {"hoards", "misindexes"}
    assert set(others["hp_deed"]) == {"computes"}
    reasons = failed.groupby("hp_deed")["reason"].first()
    assert "needs more memory than the device has" in reasons["hoards"]
    assert "its training stopped the device" in reasons["misindexes"]
    began_in = run.trials.sort_values("trial")["worker"].tolist()
    for trial in failed["trial"]:
        assert began_in[trial] not in began_in[trial + 1 :]
    assert set(run.final["split"]) == {"train", "dev", "test"}


def test_a_study_that_is_told_to_leaves_the_gpu_alone(tmp_path: Path) -> None:
    run = tuned(tmp_path, gpus_per_trial=0, workers=1, trials=1, startup_trials=1)
    assert (run.epochs["on_gpu"] == 0).all()


def test_small_trainings_of_the_built_in_loop_share_a_gpu_and_learn_on_it(tmp_path: Path) -> None:
    run = tune("smoke", storage=str(tmp_path / "runs"), name="study")
    if torch.cuda.get_device_properties(0).total_memory > 8 << 30 and usable_cpus() >= 4 * torch.cuda.device_count():
        assert workers(run) == 4 * torch.cuda.device_count()
    machine = json.loads((run.path / "environment.json").read_text())
    assert machine["gpus"][0] == torch.cuda.get_device_name(0)
    tuned_on_test = run.final.query("candidate == 'tuned' and split == 'test'")["accuracy"]
    assert (tuned_on_test >= 0.95).all()
