"""Tests of `tuner.engine.callbacks`, and of callbacks in whole studies, which here train without Ray."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.environment import untouched_environment
from tests.results.conftest import AFTER, OPENING, SEARCH
from tuner import tune
from tuner.engine import callbacks
from tuner.engine.callbacks import Callbacks
from tuner.errors import SpaceError
from tuner.integrations.callback import Callback, Epoch, StudyEnd, StudyStart, TrialEnd, TrialStart
from tuner.integrations.trackers.tensorboard import Tracker
from tuner.journal.history import read_history
from tuner.journal.store import Entry
from tuner.paths import RunPaths

TASK = Path(__file__).with_name("own_task.py")
SMALL: dict[str, Any] = {"space": str(TASK), "trials": 3, "max_epochs": 4, "retrain_seeds": 1, "in_process": True}

pytestmark = pytest.mark.timeout(180)  # none takes long, but all together: begun early


class Noting(Callback):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_study_start(self, study: StudyStart) -> None:
        self.told.append(study)

    def on_trial_start(self, trial: TrialStart) -> None:
        self.told.append(trial)

    def on_epoch(self, epoch: Epoch) -> None:
        self.told.append(epoch)

    def on_trial_end(self, trial: TrialEnd) -> None:
        self.told.append(trial)

    def on_study_end(self, study: StudyEnd) -> None:
        self.told.append(study)

    @property
    def epochs(self) -> list[tuple[int, int]]:
        return [(one.trial, one.epoch) for one in self.told if isinstance(one, Epoch)]


class Replaying(Noting):
    replays = True


class Raising(Callback):
    def on_epoch(self, epoch: Epoch) -> None:
        raise SystemExit(f"no epoch {epoch.epoch} for me")


class Slow(Noting):
    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def on_study_start(self, study: StudyStart) -> None:
        self.may_go_on.wait()


def _entries() -> list[Entry]:
    return [Entry(seq, 0.0, float(seq), event) for seq, event in enumerate([*OPENING, *SEARCH, *AFTER])]


def _tell(
    given: Sequence[Callback], entries: Sequence[Entry], earlier: Sequence[Entry] = (), stopped: bool = False
) -> list[str]:
    """Tell as a driver would; return what it says."""
    said: list[str] = []
    try:
        with Callbacks(given, "study", Path("study"), said.append) as telling:
            telling.restore(earlier)
            for entry in entries:
                telling.take([entry])
            if stopped:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    return said


def test_what_a_callback_raises_is_said_once_and_the_others_are_told_all() -> None:
    noting = Noting()
    said = _tell([Raising(), noting], _entries())
    assert len(said) == 1
    assert said[0].startswith("NOTICE: callback Raising raised SystemExit in on_epoch: no epoch 1 for me")
    assert len(noting.epochs) == 5
    assert noting.told[-1].finished


def test_a_password_in_what_a_tracker_raises_is_neither_shown_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Refused(Callback):
        def on_study_start(self, study: StudyStart) -> None:
            try:
                raise OSError("http://me:secret@there:5000/api is away")
            except OSError as error:
                raise RuntimeError("Invalid url: http://me:se/cret@there:5000/api") from error

    with caplog.at_level(logging.INFO):
        (said,) = _tell([Refused()], _entries()[:1])
    for text in (said, caplog.text):
        assert "Invalid url: http://***@there:5000/api" in text
        assert "cret" not in text
    assert "OSError: http://***@there:5000/api is away" in caplog.text


def test_a_slow_callback_holds_nobody_up_and_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "_MOST_WAITING", 3)
    monkeypatch.setattr(callbacks, "_SECONDS_HELD_UP", 0.05)
    monkeypatch.setattr(callbacks, "_SECONDS_AT_THE_END", 0.05)
    monkeypatch.setattr(callbacks, "_SECONDS_WITHOUT_A_WORD", 0.01)
    slow = Slow()
    before = time.monotonic()
    said = _tell([slow], _entries())
    assert time.monotonic() - before < 5
    slow.may_go_on.set()
    assert said[0].startswith("NOTICE: callback Slow is 3 events behind and is told no more")
    assert said[1] == "WAITING: callback Slow must be told the rest, which may take 0.05 seconds at most."
    assert said[-1].startswith("NOTICE: callback Slow has not taken the last 4 events in time")


def test_a_driver_that_goes_on_tells_what_is_new_and_a_tracker_everything() -> None:
    entries, noting, replaying = _entries(), Noting(), Replaying()
    _tell([noting, replaying], entries[15:], earlier=entries[:15])
    assert noting.told[0].resumed
    assert replaying.told[0].resumed
    assert len(replaying.epochs) == 5
    assert noting.epochs == replaying.epochs[-len(noting.epochs) :]
    assert len(noting.epochs) < 5


def test_a_driver_that_is_stopped_says_so() -> None:
    noting = Noting()
    _tell([noting], _entries()[:12], stopped=True)
    assert isinstance(noting.told[-1], StudyEnd)
    assert not noting.told[-1].finished


def test_tune_tells_what_the_journal_has(tmp_path: Path) -> None:
    noting = Noting()
    run = tune(**SMALL, callbacks=[noting], storage=str(tmp_path), name="told", track=["tensorboard"])
    history = read_history(RunPaths(run.path).journal)
    assert sorted(noting.epochs) == sorted((n, e) for n, trial in history.trials.items() for e in trial.epochs)
    assert noting.told[0].folder == run.path
    assert noting.told[-1].winner == history.trials[noting.told[-1].winner].number
    assert len(list((run.path / "trackers" / "tensorboard").glob("trial-*"))) == 3


def test_a_space_file_brings_callbacks(tmp_path: Path) -> None:
    file = tmp_path / "my_space.py"
    file.write_text(
        f"{TASK.read_text()}\n\nimport tuner\n\nclass Log(tuner.Callback):\n    def on_trial_end(self, trial):\n"
        "        with open(Path(__file__).with_name('ended'), 'a') as log:\n"
        "            print(trial.trial, trial.state, file=log)\n\nCALLBACKS = [Log()]\n"
    )
    tune(**{**SMALL, "space": str(file)}, storage=str(tmp_path), name="own")
    assert len((tmp_path / "ended").read_text().splitlines()) == 3
    file.write_text(f"{TASK.read_text()}\n\nCALLBACKS = [print]\n")
    with pytest.raises(SpaceError, match=r"CALLBACKS of space .* must be a list of tuner.Callback, but holds"):
        tune(**{**SMALL, "space": str(file)}, storage=str(tmp_path), name="wrong")


def test_a_run_that_was_killed_has_every_epoch_once_in_its_tracker(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    code = (
        "import os, signal, tuner\n"
        "class Kill(tuner.Callback):\n"
        "    def on_trial_end(self, trial):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"tuner.tune(**{SMALL!r}, callbacks=[Kill()], storage={str(tmp_path)!r}, name='killed', track=['tensorboard'])"
    )
    died = subprocess.run([sys.executable, "-c", code], env=untouched_environment(), check=False)
    assert died.returncode == -signal.SIGKILL
    run = tune(resume=tmp_path / "killed")
    for number, trial in read_history(RunPaths(run.path).journal).trials.items():
        read = EventAccumulator(str(run.path / "trackers" / "tensorboard" / f"trial-{number:05d}")).Reload()
        assert [event.step for event in read.Scalars("dev_rmse")] == sorted(trial.epochs)


def test_a_tracker_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Tracker, study: StudyStart) -> None:
        raise PermissionError("not there")

    monkeypatch.setattr(Tracker, "on_study_start", refuse)
    assert _tell([Tracker()], _entries()[:1])[0].startswith("NOTICE: tracker tensorboard raised PermissionError")
