"""Tests of `tuner.engine.training_logs`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuner.engine.outcome import (
    Concluded,
    Crashed,
    Failed,
    Infeasible,
    Reported,
    StepOutcome,
    StorageAway,
    WorkerLost,
)
from tuner.engine.training_logs import TrainingLogs
from tuner.paths import RunPaths
from tuner.search.report import EpochReport

REPORT = Reported(EpochReport(3, {"dev_accuracy": 0.5}, 0.1), "here:1", finished=False, measures={})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def logs(tmp_path: Path, said: list[str]) -> TrainingLogs:
    return TrainingLogs(RunPaths(tmp_path), said.append)


def test_a_training_that_prints_nothing_has_no_log(logs: TrainingLogs, tmp_path: Path) -> None:
    logs.take("s3://runs/checkpoints/trial-00001", REPORT, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("outcome", "heading", "trouble"),
    [
        (REPORT, "epoch 3, here:1", ""),
        (Concluded({}, "", 2), "evaluation of epoch 2", ""),
        (StorageAway("no bucket"), "the storage is away", ""),
        (Failed("it diverged"), "failed", "it diverged\n"),
        (Failed("out of memory", "Traceback\n"), "failed", "out of memory\nTraceback\n"),
        (Crashed("ValueError: no", "Traceback\nValueError: no\n"), "failed", "Traceback\nValueError: no\n"),
        (Infeasible("too wide"), "infeasible", "too wide\n"),
        (WorkerLost("killed by the system\n\n", charged=True), "the process was lost", "killed by the system\n"),
    ],
)
def test_a_log_says_what_was_printed_when_and_what_went_wrong(
    logs: TrainingLogs, tmp_path: Path, outcome: StepOutcome | WorkerLost, heading: str, trouble: str
) -> None:
    logs.take(tmp_path / "checkpoints" / "trial-00003", outcome, "printed \udc80\n")
    text = (tmp_path / "logs" / "trial-00003.log").read_text()
    assert re.fullmatch(rf"--- {heading}, \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\nprinted \?\n{re.escape(trouble)}", text)


def test_what_is_measured_before_the_plan_has_one_log(logs: TrainingLogs, tmp_path: Path) -> None:
    for name in ("measured-1", "measured-2", "retrain-tuned-1"):
        logs.take(f"checkpoints/{name}", REPORT, f"{name}\n")
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"measured.log", "retrain-tuned-1.log"}
    assert (tmp_path / "logs" / "measured.log").read_text().count("measured-") == 2


def test_a_log_grows_no_longer_than_it_may_but_says_why_its_training_failed(logs: TrainingLogs, tmp_path: Path) -> None:
    for number in range(60):
        logs.take("checkpoints/trial-00001", REPORT, f"number {number}" + "x" * 30_000 + "\n")
    logs.take("checkpoints/trial-00001", Crashed("ValueError: no", "ValueError: no\n"), "about to fail\n")
    text = (tmp_path / "logs" / "trial-00001.log").read_text()
    assert 900_000 < len(text) < 1_010_000
    assert text.count("number") == text.count("--- epoch") - 1
    assert "number 32" in text
    assert "number 33" not in text
    assert text.count("this file is full") == 1
    assert text.endswith("\nValueError: no\n")


def test_blank_lines_alone_are_no_log(logs: TrainingLogs, tmp_path: Path) -> None:
    logs.take("checkpoints/trial-00001", REPORT, "\n  \n")
    assert not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_written_costs_no_training_and_is_told_once(
    logs: TrainingLogs, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "logs").touch()
    for _ in range(2):
        logs.take("checkpoints/trial-00001", REPORT, "printed\n")
    assert said == [f"NOTICE: what trainings print cannot be kept in {tmp_path / 'logs'}: File exists."]
