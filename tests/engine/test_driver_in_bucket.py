"""A whole study whose run lives in a bucket of a real S3 server (moto's, on loopback), on a real Ray."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from tests.environment import untouched_environment
from tuner.config import DataConfig, ResourceConfig, RetrainConfig, SearchConfig, StudyConfig, to_dict
from tuner.engine import driver
from tuner.errors import JournalError, StorageError
from tuner.io.files import hash_file
from tuner.io.mirror import Mirror
from tuner.io.storage import fetch, place
from tuner.journal.events import EpochReported, RetrainEnded, StudyEnded, StudyStarted, TrialEnded
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.replay import replay
from tuner.report import report, story

SPACE = """
from torch import nn

START = [{"learning_rate": 0.003}]

def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)}

def MODEL(hparams):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
TRIALS = 4
REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "space.py").write_text(SPACE)


def _study(tmp_path: Path, bucket: str, *, in_process: bool = False) -> StudyConfig:
    return StudyConfig(
        space=str(tmp_path / "space.py"),
        name="study",
        storage=f"{bucket}/runs",
        data=DataConfig(dataset="digits"),
        search=SearchConfig(trials=TRIALS, max_epochs=3, startup_trials=2),
        resources=ResourceConfig(workers=1, in_process=in_process),
        retrain=RetrainConfig(retrain_seeds=1),
    )


def _run(*arguments: str) -> None:
    """Run the command in a process of its own: workers of a Ray that runs already would not know this bucket."""
    command = [sys.executable, "-m", "tuner.run", *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=untouched_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_in_a_bucket_is_whole_there_and_can_go_on_from_another_machine(tmp_path: Path, bucket: str) -> None:
    here = _study(tmp_path, bucket, in_process=True)
    driver.run_new(here, Console(file=io.StringIO()))
    remote = place(f"{bucket}/runs/study")
    names = remote.names()
    assert {"config.json", "environment.json", "trials.parquet", "report.html", "best/model.safetensors"} <= set(names)
    assert [name for name in names if name.startswith("journal/")] == ["journal/00000001.jsonl"]
    assert not [name for name in names if name.startswith("checkpoints/")]
    fetch(remote, "trials.parquet", tmp_path / "trials.parquet")
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == TRIALS

    with pytest.raises(StorageError, match="s3://some-bucket/runs/study exists"):
        driver.run_new(_study(tmp_path, bucket), Console(file=io.StringIO()))

    fetch(remote, "journal/00000001.jsonl", tmp_path / "journal" / "00000001.jsonl")
    events = [entry.event for entry in read_journal(tmp_path / "journal")]
    assert len(story(f"{bucket}/runs/study").splitlines()) == len(events)
    assert replay(f"{bucket}/runs/study/")["TrialProposed"] == TRIALS
    fetch(remote, "report.txt", tmp_path / "report.txt")
    assert report(f"{bucket}/runs/study") == (tmp_path / "report.txt").read_text()
    assert remote.names() == names

    # A driver under Ray died after the sixth event: the bucket holds that part, and another machine knows nothing.
    begun = events[0]
    assert isinstance(begun, StudyStarted)
    under_ray = replace(begun, config=to_dict(_study(tmp_path, bucket)))
    with JournalWriter(tmp_path / "begun") as journal:
        journal.append(under_ray, *events[1:6])
    for name in set(names) - {"config.json", "environment.json"}:
        remote.delete(name)
    remote.put(tmp_path / "begun" / "00000001.jsonl", f"journal/00000001.jsonl.{0:012d}")
    shutil.rmtree(tmp_path / "cache")

    _run("--resume", f"{bucket}/runs/study")
    there = RunPaths(tmp_path / "there", f"{bucket}/runs/study")
    Mirror(there).pull()
    events = [entry.event for entry in read_journal(there.journal)]
    assert len([event for event in events if isinstance(event, TrialEnded)]) == TRIALS
    reports = [(event.trial, event.epoch) for event in events if isinstance(event, EpochReported)]
    assert len(reports) == len(set(reports))
    assert isinstance(events[-1], StudyEnded)
    [retrained] = [event for event in events if isinstance(event, RetrainEnded)]
    assert hash_file(there.best_model) == retrained.weights_sha256
    assert set(remote.names()) == {*names, "journal/00000002.jsonl"}


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_a_driver_that_never_began_leaves_what_another_has_made_of_the_run(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, is_taken_over: bool
) -> None:
    other = RunPaths(tmp_path / "there" / "study", f"{bucket}/runs/study")

    def interrupt(*arguments: Any) -> None:
        if is_taken_over:
            assert Mirror(other).pull()
            Mirror(other).publish(other.config)
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "InProcessExecutor", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept"):
        driver.run_new(_study(tmp_path, bucket, in_process=True), Console(file=io.StringIO()))
    names = place(f"{bucket}/runs/study").names()
    assert {"config.json", "journal/owner"} <= set(names) if is_taken_over else names == []
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_a_run_that_is_not_in_the_bucket_is_named(bucket: str) -> None:
    for read in (report, story, replay):
        with pytest.raises(JournalError, match="s3://some-bucket/runs/nothing holds no run"):
            read(f"{bucket}/runs/nothing")


def test_a_bucket_that_is_not_there_ends_it_at_once(tmp_path: Path, aws: str) -> None:
    with pytest.raises(StorageError, match="no-such-bucket"):
        driver.run_new(_study(tmp_path, "s3://no-such-bucket"), Console(file=io.StringIO()))
    assert not RunPaths(tmp_path / "runs/study").root.exists()
