"""A damaged checkpoint costs an epoch, never the training, and is never believed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import StorageError
from tuner.search.report import EpochReport
from tuner.training.session import Session

Assign = Callable[..., Assignment]


def train(job: Job, assignment: Assignment, epochs: int) -> list[EpochReport]:
    worker = Worker(job)
    worker.begin(assignment)
    return [replace(worker.next_report(), seconds=0.0) for _ in range(epochs)]


@pytest.fixture
def trained(job: Job, assign: Assign, tmp_path: Path) -> tuple[Path, list[EpochReport]]:
    """The checkpoints after three epochs, and the reports of all four."""
    expected = train(job, assign("whole"), 4)
    train(job, assign("broken"), 3)
    return tmp_path / "broken", expected


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_checkpoints_fall_back_to_the_one_before_and_the_training_ends_the_same(
    job: Job, assign: Assign, trained: tuple[Path, list[EpochReport]], tmp_path: Path, data: st.DataObject
) -> None:
    original, expected = trained
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    files = sorted(folder.glob("epoch-*.pt"))
    assert len(files) == 2
    for file in data.draw(st.lists(st.sampled_from(files), unique=True)):
        content = file.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        damage = data.draw(st.sampled_from(["cut", "flip", "empty", "gone", "text"]))
        damaged = {
            "cut": content[:place],
            "flip": content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
            "empty": b"",
            "text": b"not a checkpoint",
        }
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(damaged[damage])
    assert train(job, assign("copy"), 4) == expected


def test_one_damaged_checkpoint_costs_one_epoch(
    job: Job, assign: Assign, trained: tuple[Path, list[EpochReport]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected = trained
    newest = max(folder.glob("epoch-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-1])
    worker = Worker(job)
    worker.begin(assign("broken"))
    assert worker.training.epoch == 2
    assert [replace(worker.next_report(), seconds=0.0) for _ in range(4)] == expected


def test_a_training_that_cannot_take_an_undamaged_one_says_so_and_does_not_begin_again(
    job: Job, assign: Assign, trained: tuple[Path, list[EpochReport]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(self: Session, state: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    worker = Worker(job)
    with monkeypatch.context() as for_now:
        for_now.setattr(Session, "load_state_dict", out_of_memory)
        with pytest.raises(torch.OutOfMemoryError):
            worker.begin(assign("broken"))
    worker.begin(assign("broken"))
    assert worker.training.epoch == 3


def test_a_training_does_not_begin_again_because_its_storage_is_away(
    job: Job, assign: Assign, trained: tuple[Path, list[EpochReport]], tmp_path: Path
) -> None:
    assignment = replace(assign(), checkpoints=tmp_path / "storage" / "trial")
    with pytest.raises(StorageError, match=r"storage/trial on .+ cannot be read: .*/storage is gone"):
        Worker(job).begin(assignment)
    folder, _ = trained
    shutil.copytree(folder, assignment.checkpoints)
    worker = Worker(job)
    worker.begin(assignment)
    assert worker.training.epoch == 3


def test_an_epoch_that_could_not_be_saved_is_saved_later_and_not_trained_again(
    job: Job, assign: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(job, assign("whole"), 3)
    worker = Worker(job)
    worker.begin(assign("broken"))
    reports = [worker.next_report()]
    trained: list[EpochReport] = []
    real = worker.training.run_epoch

    def run_epoch() -> EpochReport:
        trained.append(real())
        return trained[-1]

    monkeypatch.setattr(worker.training, "run_epoch", run_epoch)
    (tmp_path / "broken").rename(tmp_path / "away")
    (tmp_path / "broken").touch()
    for _ in range(3):
        with pytest.raises(StorageError):
            worker.next_report()
    (tmp_path / "broken").unlink()
    (tmp_path / "away").rename(tmp_path / "broken")
    reports += [worker.next_report(), worker.next_report()]
    assert len(trained) == 2
    assert [replace(report, seconds=0.0) for report in reports] == expected
