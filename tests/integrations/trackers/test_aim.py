"""What is tracked is read back by Aim itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.trackers.conftest import EPOCHS, Tell, places
from tuner.integrations.trackers.aim import Tracker
from tuner.journal.events import EpochReported, TrialProposed

pytestmark = pytest.mark.timeout(180)  # Aim takes long to import, here in three processes

# Killed in a process of its own, and not in a fork of the tests' own, whose threads may hold locks.
A_DRIVER = """
import os, signal, sys
from pathlib import Path
from tests.integrations.trackers.conftest import tell_in
from tuner.integrations.trackers.aim import Tracker
tell_in(Path(sys.argv[1]), Tracker(), int(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""
QUIET: dict[str, Any] = {"system_tracking_interval": None, "log_system_params": False, "capture_terminal_logs": False}


def test_a_study_that_was_killed_twice_has_every_epoch_once(tell_until: Tell, tmp_path: Path) -> None:
    from aim import Repo, Run

    for count in (places(EpochReported)[1], places(TrialProposed)[2]):
        driver = subprocess.run([sys.executable, "-c", A_DRIVER, str(tmp_path), str(count)], check=False)
        assert driver.returncode == -signal.SIGKILL
    tell_until(Tracker(), None)
    time.sleep(0.6)  # Aim's own list of runs may be half a second old, also another object's
    repo = Repo(str(tmp_path / "trackers" / "aim"))
    names = repo.list_all_runs()
    # Not read-only, which would read Aim's index, and that does not know what was killed.
    runs = {run["tuner"]["trial"]: run for run in (Run(one, repo=repo, force_resume=True, **QUIET) for one in names)}
    assert len(names) == len(runs) == len(EPOCHS) + 3 + 1
    assert _epochs(runs["tuned-seed-1"]) == [1, 2]
    assert {trial: _epochs(runs[str(trial)]) for trial in EPOCHS} == EPOCHS
    assert {run.experiment for run in runs.values()} == {"study"}
    assert runs["0"]["hparams", "lr"] == 1
    assert runs["0"]["result", "best"] == {"dev_accuracy": 0.90}
    assert [runs[str(trial)]["tuner"].get("state") for trial in EPOCHS] == ["COMPLETE", "PRUNED", "FAILED", None]
    assert runs["study"]["result"]["scores"]["tuned-seed-1"]["test/accuracy"] == 0.92


def _epochs(run: Any) -> list[int]:
    from aim.storage.context import Context

    found = run.get_metric("dev_accuracy", Context({}))
    return [] if found is None else sorted(int(epoch) for epoch in found.epochs.sparse_list()[1])
