"""Tests of `tuner.engine.stepper`: one assignment after another, a step at a time, and how each went."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tuner.data.predictions import Predictions
from tuner.engine import stepper
from tuner.engine.outcome import Concluded, Crashed, Failed, Reported, StorageAway
from tuner.engine.stepper import LostDeviceError, SpoiltProcessError, Stepper
from tuner.engine.worker import Assignment, Conclusion, Job
from tuner.io.arrays import read_arrays
from tuner.models import get_model
from tuner.training.classifier import classifier_of
from tuner.training.trainable import trainable_of

Begin = Callable[..., Stepper]


@pytest.fixture
def begin(job: Job, assign: Callable[..., Assignment]) -> Begin:
    """Begin an assignment in a new process' stepper, or in one that is used again."""

    def make(trial: int = 3, reused: Stepper | None = None, **changes: Any) -> Stepper:
        stepping = reused or Stepper(job)
        stepping.begin(assign(f"trial-{trial}", is_measured=True, **changes))
        return stepping

    return make


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "_SECONDS_WITHOUT_STORAGE", 0.0)


def reported(stepping: Stepper) -> Reported:
    outcome = stepping.step()
    assert isinstance(outcome, Reported), outcome
    return outcome


def test_a_step_is_an_epoch_with_its_report_and_who_made_it(begin: Begin) -> None:
    outcome = reported(begin())
    assert outcome.worker == f"{socket.gethostname()}:{os.getpid()}"
    assert outcome.report.epoch == 1
    assert outcome.finished is False


def test_every_report_comes_with_what_was_measured_of_the_model_at_its_begin(begin: Begin) -> None:
    stepping = begin()
    assert [reported(stepping).measures for _ in range(2)] == [{"num_params": 7850.0}] * 2


def test_what_was_measured_comes_although_the_first_report_could_not_be_saved(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "trial-3").touch()
    stepping = begin(3)
    assert isinstance(stepping.step(), StorageAway)
    (tmp_path / "trial-3").unlink()
    assert reported(stepping).measures == {"num_params": 7850.0}


def test_the_last_epoch_is_marked(begin: Begin) -> None:
    stepping = begin(max_epochs=2)
    assert [reported(stepping).finished for _ in range(2)] == [False, True]


def test_a_process_that_is_used_again_begins_the_next_training_from_its_start(begin: Begin) -> None:
    fresh = reported(begin(4, seed=9)).report
    stepping = begin(3)
    stepping.step()
    assert replace(reported(begin(5, reused=stepping, seed=9)).report, seconds=0) == replace(fresh, seconds=0)


@pytest.mark.parametrize(
    ("hparams", "reason"),
    [
        ({"learning_rate": 1e38}, " in epoch 1."),
        ({"batch_size": 1}, "batch_size is 1, but must be at least 2."),
    ],
)
def test_a_configurations_own_fault_is_an_outcome_with_a_reason_and_the_process_goes_on(
    begin: Begin, hparams: dict[str, Any], reason: str
) -> None:
    stepping = begin(3, hparams=hparams)
    outcome = stepping.step()
    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith(reason)
    assert reported(begin(4, reused=stepping)).report.epoch == 1


def test_a_full_disk_is_told_apart_from_a_bad_configuration_and_waited_for_by_who_has_it(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr(stepper, "_SECONDS_WITHOUT_STORAGE", 2.0)
    (tmp_path / "trial-3").touch()
    outcome = begin(3).step()
    assert isinstance(outcome, StorageAway)
    assert outcome.reason.startswith("no checkpoint can be written")
    assert waited == [2.0]


# What goes wrong in the user's code.


def raising(errors: list[BaseException]) -> Callable[[Mapping[str, Any]], nn.Module]:
    """Return a model's builder that raises the errors, one a call, and then builds."""

    def build(hparams: Mapping[str, Any]) -> nn.Module:
        if errors:
            raise errors.pop(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    return build


@pytest.fixture
def failing(job: Job, assign: Callable[..., Assignment]) -> Callable[[list[BaseException]], Stepper]:
    def make(errors: list[BaseException]) -> Stepper:
        stepping = Stepper(replace(job, trainable=classifier_of(get_model(raising(errors)))))
        stepping.begin(assign())
        return stepping

    return make


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such\nlayer"), "ValueError: no such layer"),
        (SystemExit("bad learning rate"), "SystemExit: bad learning rate"),  # as a script ends
    ],
)
def test_a_crash_of_the_users_code_comes_with_its_traceback_and_the_next_step_begins_again(
    failing: Callable[[list[BaseException]], Stepper], error: BaseException, reason: str
) -> None:
    stepping = failing([error])
    outcome = stepping.step()
    assert isinstance(outcome, Crashed)
    assert outcome.reason == reason
    assert "in build" in outcome.error
    assert not stepping.is_spoilt
    assert reported(stepping).report.epoch == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"),
            "needs more memory than the device has: CUDA out of memory. Tried to allocate 2.00 GiB.",
        ),
        (torch.AcceleratorError("CUDA error: device-side assert triggered\nCompile with"), "stopped the device: CUDA"),
        (
            RuntimeError("CUDA error: an illegal memory access was encountered"),
            "stopped the device: CUDA error: an ill",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "stopped the device: cuDNN error"),
    ],
    ids=["memory", "assertion", "address", "cudnn"],
)
def test_a_failure_of_the_device_fails_the_training_alone_and_its_process_is_not_used_again(
    failing: Callable[[list[BaseException]], Stepper], error: Exception, reason: str
) -> None:
    stepping = failing([error])
    outcome = stepping.step()
    assert isinstance(outcome, Failed)
    assert outcome.spoils_process
    assert reason in outcome.reason
    assert "\n" not in outcome.reason
    assert outcome.error is not None
    assert stepping.is_spoilt
    with pytest.raises(SpoiltProcessError):
        stepping.step()


def test_a_device_that_carried_the_training_before_may_be_full_by_anothers_doing(
    failing: Callable[[list[BaseException]], Stepper], assign: Callable[..., Assignment]
) -> None:
    errors: list[BaseException] = []
    stepping = failing(errors)
    assert reported(stepping).report.epoch == 1
    errors.append(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"))
    stepping.begin(assign(known_epochs=1))
    with pytest.raises(LostDeviceError, match=r"more memory than the device has: .* Tried to allocate 2\.00 GiB\.$"):
        stepping.step()
    assert stepping.is_spoilt


# What follows the last epoch.


def test_a_training_with_a_conclusion_is_measured_on_every_split_when_it_is_through(
    begin: Begin, job: Job, tmp_path: Path
) -> None:
    fetched: list[str] = []

    def test() -> Any:
        fetched.append("the test set")
        return job.splits.dev.first(0.5)

    place = tmp_path / "trial-3"
    conclusion = Conclusion(test, place, "model.safetensors", "answers.npz")
    stepping = begin(3, max_epochs=2, keep_best=True, conclusion=conclusion)
    assert [reported(stepping).finished for _ in range(2)] == [False, True]
    assert fetched == []
    outcome = stepping.step()
    assert isinstance(outcome, Concluded)
    assert {split: found["n"] for split, found in outcome.evaluations.items()} == {"train": 150, "dev": 60, "test": 30}
    assert (place / "model.safetensors").is_file()
    assert fetched == ["the test set"]
    answers = Predictions.from_arrays(read_arrays(place / "answers.npz"))
    assert answers.label.tolist() == job.splits.dev.labels.tolist()
    assert (answers.label == answers.predicted).mean() == pytest.approx(outcome.evaluations["dev"]["accuracy"])


class Telling:
    """A training whose probabilities are what a test puts here."""

    found: Any = None

    def __init__(self, hparams: Any, data: Any, *, seed: int, device: torch.device) -> None: ...

    def train_epoch(self) -> dict[str, float]:
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {"accuracy": 0.5}

    def probabilities(self, split: Any) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (np.full((60, 10), 0.1), None),
        (np.full((60, 9), 0.1), "probabilities are float32 [60, 9], but must be finite numbers [60, 10]"),
        (RuntimeError("no such column"), "RuntimeError: no such column"),
    ],
    ids=["right", "of another shape", "raises"],
)
def test_a_training_of_ones_own_may_tell_its_answers_and_failing_to_costs_nothing_else(
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: Any,
    complaint: str | None,
) -> None:
    monkeypatch.setattr(Telling, "found", found)
    stepping = Stepper(replace(job, trainable=trainable_of(Telling)))
    conclusion = Conclusion(lambda: None, tmp_path / "answers", "state.pt", "answers.npz")
    stepping.begin(Assignment({}, 1, 1, tmp_path / "checkpoints", keep_best=True, conclusion=conclusion))
    reported(stepping)
    assert isinstance(stepping.step(), Concluded)
    assert (tmp_path / "answers" / "answers.npz").exists() == (complaint is None)
    assert (complaint or "") in caplog.text


class Closing:
    """Says that it was closed, and fails at it if that is wanted."""

    closed: list[float]

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device) -> None:
        self._rate = hparams["learning_rate"]

    def train_epoch(self) -> dict[str, float]:
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {}

    def close(self) -> None:
        Closing.closed.append(self._rate)
        raise FileNotFoundError("it has gone already")


def test_every_training_is_closed_and_one_that_fails_at_it_spoils_no_other(
    job: Job, assign: Callable[..., Assignment]
) -> None:
    Closing.closed = []
    stepping = Stepper(replace(job, trainable=trainable_of(Closing)))
    for rate in (0.1, 0.2):
        stepping.begin(assign(f"trial-{rate}", hparams={"learning_rate": rate}))
        assert reported(stepping).report.epoch == 1
    assert Closing.closed == [0.1]
    stepping.close()
    stepping.close()
    assert Closing.closed == [0.1, 0.2]
