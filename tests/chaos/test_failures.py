"""Failures in flight with real Ray: each study is started by the command, and judged by what it leaves."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.chaos.study import ChaosStudy
from tuner.config import StudyConfig, to_dict
from tuner.engine.begun import check_begun
from tuner.errors import JournalError
from tuner.io.files import write_json
from tuner.journal.events import EpochReported, RetrainEpochReported, StudyStarted, TrialRetried
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.replay import replay

_SHARE_FOR_RAY = 0.2
"""Of the machine's memory, what Ray and well-behaved trials may take; above it Ray ends a process."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for Ray's sockets."""
    path = Path(tempfile.mkdtemp(prefix="fail-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def share_of_memory_used() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return 1 - kib["MemAvailable"] / kib["MemTotal"]


def wait_for(condition: Callable[[], bool], seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def epochs_of(study: ChaosStudy) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for entry in study.journal():
        match entry.event:
            case EpochReported() as event:
                found.append((event.trial, event.epoch))
            case RetrainEpochReported() as event:
                found.append((event.candidate, event.seed, event.epoch))
    return found


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_trials_that_hang_die_raise_or_eat_all_memory_are_retried_and_fail_with_where_it_happened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", str(share_of_memory_used() + _SHARE_FOR_RAY))
    space = str(Path(__file__).with_name("misbehaving.py"))
    study = ChaosStudy(folder, 5, space=space, max_epochs="3", scheduler="none", max_failures="1", trial_timeout="20s")
    study.run_undisturbed()
    trials = pd.read_parquet(study.paths.trials).set_index("hp_how")
    wrong = ("hangs", "dies", "raises", "eats")
    assert dict(trials["state"]) == {"well": "COMPLETE"} | dict.fromkeys(wrong, "FAILED")
    assert dict(trials["retries"]) == {"well": 0} | dict.fromkeys(wrong, 1)
    assert "in forward" in trials["error"]["hangs"]
    assert trials["reason"]["hangs"] == (
        "its worker failed 2 times: it hung: its epoch took more than --trial-timeout allows"
    )
    assert "ArithmeticError: seven is not a colour" in trials["error"]["raises"]
    assert "misbehaving.py" in trials["error"]["raises"]
    assert trials["error"]["dies"]
    assert "memory" in trials["reason"]["eats"]
    assert not study.paths.checkpoints.exists()
    replay(study.paths.root)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_storage_that_goes_away_is_waited_for_and_a_termination_leaves_a_run_that_can_be_resumed(folder: Path) -> None:
    study = ChaosStudy(folder, 5)
    driver = study.start()
    wait_for(lambda: study.reported() >= 2)
    # Moved away, the folder is gone for whoever opens a file in it.
    away = study.paths.root.with_name("away")
    study.paths.root.rename(away)
    wait_for(lambda: "WAITING: " in study.output.read_text())
    away.rename(study.paths.root)
    wait_for(lambda: "The storage is back." in study.output.read_text())
    known = study.reported()
    wait_for(lambda: study.reported() > known)

    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=120) == 130
    assert "Stopped. Nothing is lost: go on with --resume" in study.output.read_text()
    assert study.start().wait() == 0

    epochs = epochs_of(study)
    assert len(epochs) == len(set(epochs))
    assert not any(isinstance(entry.event, TrialRetried) for entry in study.journal())
    # An epoch that could not be saved was not trained again; the one under way at the termination was.
    measured = 2
    assert len(study.evidence()) <= len(epochs) + measured + 1
    replay(study.paths.root)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_run_killed_while_it_wrote_the_beginning_of_its_journal_is_resumed_from_the_start(folder: Path) -> None:
    study = ChaosStudy(folder, 2, max_epochs="1")
    study.run_undisturbed()
    (segment,) = study.paths.journal.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + lines[1][:40])
    study.paths.trials.unlink()
    assert study.start().wait() == 0
    assert len(pd.read_parquet(study.paths.trials)) == 2
    replay(study.paths.root)


def test_a_run_killed_before_its_journal_began_is_known_by_its_configuration(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    with pytest.raises(JournalError, match="holds no journal"):
        check_begun(paths)  # it is no run
    write_json(paths.config, to_dict(StudyConfig()))
    check_begun(paths)
    with JournalWriter(paths.journal) as journal:
        assert journal.entries == ()
    (paths.journal / "00000001.jsonl").write_bytes(b"0123abcd {")
    check_begun(paths)
    with JournalWriter(paths.journal) as journal:
        assert journal.entries == ()
        journal.append(StudyStarted({}, {}))
    check_begun(paths)
    with JournalWriter(paths.journal) as journal:
        assert len(journal.entries) == 1
