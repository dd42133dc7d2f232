"""What is tracked is read back by Aim itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from aim import Repo, Run
from aim.storage.context import Context

from tests.integrations.trackers.conftest import EPOCHS, Tell, places
from tuner.integrations.trackers.aim import Tracker
from tuner.journal.events import EpochReported, TrialProposed

QUIET: dict[str, Any] = {"system_tracking_interval": None, "log_system_params": False, "capture_terminal_logs": False}


def test_a_study_that_was_killed_twice_has_every_epoch_once(tell_until: Tell, tmp_path: Path) -> None:
    for count in (places(EpochReported)[1], places(TrialProposed)[2]):
        _tell_and_die(tell_until, count)
    tell_until(Tracker(), None)
    time.sleep(0.6)  # Aim's own list of runs may be half a second old, also another object's
    repo = Repo(str(tmp_path / "trackers" / "aim"))
    names = repo.list_all_runs()
    # Not read-only, which would read Aim's index, and that does not know what was killed.
    runs = {run["tuner"]["trial"]: run for run in (Run(one, repo=repo, force_resume=True, **QUIET) for one in names)}
    assert len(names) == len(runs) == len(EPOCHS) + 1
    assert {trial: _epochs(runs[str(trial)]) for trial in EPOCHS} == EPOCHS
    assert {run.experiment for run in runs.values()} == {"study"}
    assert runs["0"]["hparams", "lr"] == 1
    assert runs["0"]["result", "best"] == {"dev_accuracy": 0.90}
    assert [runs[str(trial)]["tuner"].get("state") for trial in EPOCHS] == ["COMPLETE", "PRUNED", "FAILED", None]
    assert runs["study"]["result"]["scores"]["tuned-seed-1"]["test/accuracy"] == 0.92


def _tell_and_die(tell_until: Tell, count: int) -> None:
    child = os.fork()
    if child == 0:
        tell_until(Tracker(), count)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _epochs(run: Any) -> list[int]:
    found = run.get_metric("dev_accuracy", Context({}))
    return [] if found is None else sorted(int(epoch) for epoch in found.epochs.sparse_list()[1])
