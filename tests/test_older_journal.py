"""A run that an older version began: replayed, reported on, started warm from, and gone on with under real Ray."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tests.conftest import REPOSITORY
from tuner import tune
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine import driver
from tuner.engine.recorded import remember
from tuner.io.sources import Sources
from tuner.journal.events import DriverStarted, EpochReported, StudyEnded, StudyStarted, TrialEnded, TrialPromoted
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.replay import replay
from tuner.report import report, story
from tuner.results.earlier import read_earlier
from tuner.search.rules import Rules

VERSION_2 = Path("tests/journal/version_2/run")
"""Eight trials and four retrainings, as version 2 wrote them; its space lies beside it."""


TASK = Path("tests/engine/own_task.py")


@pytest.fixture
def old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A copy of the run, in the folder in which it was begun."""
    monkeypatch.chdir(REPOSITORY)
    remember(Sources.read(Path("tests/journal/version_2/space.py")))
    return RunPaths(Path(shutil.copytree(VERSION_2, tmp_path / "old")))


def test_its_decisions_are_derived_again(old_run: RunPaths) -> None:
    counts = replay(old_run.root)
    assert (counts["TrialProposed"], counts["RungDecided"], counts["WinnerSelected"]) == (8, 14, 1)


def test_its_tables_and_reports_are_written(old_run: RunPaths) -> None:
    text = report(old_run.root)
    assert "tuned, mean      2 seeds  0.9511 ±0.0362  0.9429 ±0.0098  0.8462 ±0.0350" in text
    assert "3 of 8 trials are on the front of best dev accuracy and num params" in text
    trials = pd.read_parquet(old_run.trials)
    assert trials["best_dev_accuracy"].max() == pytest.approx(0.9471, abs=1e-4)
    assert trials["num_params"].tolist()[:2] == [6370, 25450]
    assert len(story(old_run.root).splitlines()) == 84


def test_its_trials_start_another_run_warm_from_its_journal_and_from_its_tables(old_run: RunPaths) -> None:
    report(old_run.root)
    environment = dict(read_history(old_run.journal).environment)
    found = [read_earlier(str(path), environment, 10, {}, DEFAULT_OBJECTIVE) for path in (old_run.root, old_run.trials)]
    assert found[0].trials == found[1].trials
    assert found[0].reusable
    trials = found[0].warm_start().trials
    assert [len(trial.epochs) for trial in trials] == [1, 4, 2, 1, 1, 4, 1, 2]
    assert all(trial.measures.keys() == {"num_params"} for trial in trials)


@pytest.mark.timeout(180)
def test_it_is_gone_on_with_and_read_again(ray_running: None, old_run: RunPaths) -> None:
    segment = old_run.journal / "00000001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:30]))  # two trials are paused, one is in its first epoch
    driver.resume(old_run.root, Console(quiet=True))
    entries = read_journal(old_run.journal)
    assert isinstance(entries[30].event, DriverStarted)
    assert isinstance(entries[-1].event, StudyEnded)
    assert sum(isinstance(entry.event, TrialEnded) for entry in entries) == 8
    reports = [(entry.event.trial, entry.event.epoch) for entry in entries if isinstance(entry.event, EpochReported)]
    assert len(reports) == len(set(reports))
    assert len((old_run.journal / "00000002.jsonl").read_bytes().splitlines()) == len(entries) - 30
    assert replay(old_run.root)["DriverStarted"] == 2


def test_a_run_that_version_6_began_goes_on_by_its_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    rules = Rules.of(6)
    with monkeypatch.context() as older:
        older.setattr(Rules, "of", lambda version: rules)
        tune(
            "smoke",
            space=str(TASK),
            trials=2,
            max_epochs=9,
            retrain_seeds=1,
            retrain_epochs=2,
            in_process=True,
            storage=str(tmp_path),
            name="old",
        )
    paths = RunPaths(tmp_path / "old")
    opening, *events = [entry.event for entry in read_journal(paths.journal)]
    assert isinstance(opening, StudyStarted)
    cut = next(place for place, event in enumerate(events) if isinstance(event, TrialEnded))
    shutil.rmtree(paths.journal)
    with JournalWriter(paths.journal) as journal:
        journal.append(replace(opening, schema_version=6), *events[:cut])
    driver.resume(paths.root, Console(quiet=True))
    found = [entry.event for entry in read_journal(paths.journal)]
    assert isinstance(found[-1], StudyEnded)
    assert not any(isinstance(event, TrialPromoted) for event in found)
    assert max(event.epoch for event in found if isinstance(event, EpochReported)) == 3
    assert replay(paths.root)["DriverStarted"] == 2
