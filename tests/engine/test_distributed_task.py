"""A training may spread over several processes of its own: the CPUs that a trial is given are its author's to use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import distributed_task
from tuner import tune
from tuner.engine.processors import usable_cpus


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("ray_running")
def test_a_training_spread_over_two_processes_is_tuned_to_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "spread.py"
    path.write_text(Path(distributed_task.__file__).read_text(encoding="utf-8"))
    run = tune(
        "smoke",
        space=str(path),
        storage=str(tmp_path / "runs"),
        name="run",
        trials=2,
        max_epochs=2,
        retrain_epochs=2,
        retrain_seeds=1,
        workers=1,
        cpus_per_trial=min(2, usable_cpus()),
    )
    assert (run.epochs["processes"] == distributed_task.PROCESSES).all()
    final = run.final.set_index(["candidate", "split"])["mse"]
    assert final["tuned", "test"] < 3  # untrained: 14
