"""Tests of `tuner.engine.trainable`: what Ray calls, called directly."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner.engine.trainable import TrialTrainable
from tuner.engine.worker import Assignment, Job
from tuner.search.report import EpochReport

Begin = Callable[..., TrialTrainable]


def config(assignment: Assignment, trial: int) -> dict[str, Any]:
    """The assignment as the bridge hands it to Ray."""
    return {
        "trial": trial,
        "seed": assignment.seed,
        "hparams": dict(assignment.hparams),
        "max_epochs": assignment.max_epochs,
        "checkpoints": str(assignment.checkpoints),
        "known_epochs": assignment.known_epochs,
    }


@pytest.fixture
def begin(job: Job, assign: Callable[..., Assignment]) -> Begin:
    """Set up a trainable as Ray does, or a reused one for another trial."""

    def make(trial: int = 3, reused: TrialTrainable | None = None, **changes: Any) -> TrialTrainable:
        of_trial = config(assign(f"trial-{trial}", **changes), trial)
        if reused is not None:
            assert reused.reset_config(of_trial)
            return reused
        trainable = TrialTrainable.__new__(TrialTrainable)
        trainable.setup(of_trial, job)
        return trainable

    return make


def test_a_step_is_an_epoch_with_its_report_and_who_made_it(begin: Begin) -> None:
    result = begin().step()
    assert (result["trial"], result["worker"]) == (3, f"{socket.gethostname()}:{os.getpid()}")
    assert isinstance(result["report"], EpochReport)
    assert result["report"].epoch == 1
    assert result["finished"] is False


def test_every_report_comes_with_what_was_measured_of_the_model_at_its_begin(begin: Begin, tmp_path: Path) -> None:
    trainable = begin()
    assert [trainable.step()["measures"] for _ in range(2)] == [{"num_params": 7850.0}] * 2


def test_what_was_measured_comes_although_the_first_report_could_not_be_saved(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "trial-3").touch()
    trainable = begin(3)
    assert "measures" not in trainable.step()
    (tmp_path / "trial-3").unlink()
    assert trainable.step()["measures"] == {"num_params": 7850.0}


def test_the_last_epoch_is_marked(begin: Begin) -> None:
    trainable = begin(max_epochs=2)
    assert [trainable.step()["finished"] for _ in range(2)] == [False, True]


def test_a_reused_trainable_begins_the_next_trial_from_its_start(begin: Begin) -> None:
    fresh = begin(4, seed=9).step()
    trainable = begin(3)
    trainable.step()
    reused = begin(5, reused=trainable, seed=9).step()
    assert reused["trial"] == 5
    assert replace(reused["report"], seconds=0.0) == replace(fresh["report"], seconds=0.0)


@pytest.mark.parametrize(
    ("hparams", "reason"),
    [
        ({"learning_rate": 1e38}, " in epoch 1."),
        ({"batch_size": 1}, "batch_size is 1, but must be at least 2."),
    ],
)
def test_a_configurations_own_fault_is_a_result_with_a_reason_and_the_process_goes_on(
    begin: Begin, hparams: dict[str, Any], reason: str
) -> None:
    trainable = begin(3, hparams=hparams)
    result = trainable.step()
    assert result["reason"].endswith(reason)
    assert result["storage"] is False
    assert "report" not in result
    assert begin(4, reused=trainable).step()["report"].epoch == 1


def test_a_full_disk_is_told_apart_from_a_bad_configuration(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "trial-3").touch()
    result = begin(3).step()
    assert result["storage"] is True
    assert result["reason"].startswith("no checkpoint can be written")
