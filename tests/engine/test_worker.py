"""Tests of `tuner.engine.worker`: one training after another, each resumable after every epoch."""

from __future__ import annotations

import os
import re
import socket
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.outcome import Failed, Reported, StepOutcome
from tuner.engine.stepper import Stepper
from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import ConfigError, StorageError, TrialFailedError
from tuner.io import storage
from tuner.models import get_model
from tuner.search.objective import objectives_of
from tuner.search.report import EpochReport
from tuner.training.classifier import NonFiniteLossError, classifier_of
from tuner.training.trainable import trainable_of

Assign = Callable[..., Assignment]


def train(job: Job, assignment: Assignment, epochs: int | None = None) -> tuple[Worker, list[EpochReport]]:
    """Train to the end, or for some epochs."""
    worker = Worker(job)
    worker.begin(assignment)
    reports: list[EpochReport] = []
    while not worker.finished and len(reports) != epochs:
        reports.append(worker.next_report())
    return worker, reports


def without_seconds(reports: list[EpochReport]) -> list[EpochReport]:
    return [replace(report, seconds=0.0) for report in reports]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_trains_with_the_threads_of_its_job(job: Job, threads: int) -> None:
    Worker(replace(job, threads=threads))
    assert torch.get_num_threads() == threads


def test_a_worker_is_named_by_host_and_process(job: Job) -> None:
    assert Worker(job).name == f"{socket.gethostname()}:{os.getpid()}"


def test_a_training_has_its_epochs_and_is_then_finished(job: Job, assign: Assign) -> None:
    worker, reports = train(job, assign(max_epochs=3))
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert worker.finished


def test_a_training_without_progress_is_finished_early(job: Job, assign: Assign) -> None:
    # A learning rate too small to change a prediction.
    assignment = assign(max_epochs=9, hparams={"learning_rate": 1e-9})
    _, reports = train(replace(job, patience=2), assignment)
    assert [report.epoch for report in reports] == [1, 2, 3]


def test_a_training_taken_up_again_equals_an_uninterrupted_one_bit_for_bit(job: Job, assign: Assign) -> None:
    whole, expected = train(job, assign("whole"))
    train(job, assign("broken"), epochs=2)
    resumed, reports = train(job, assign("broken"))
    assert without_seconds(reports) == without_seconds(expected)
    for name, weights in whole.training.model.state_dict().items():
        assert torch.equal(resumed.training.model.state_dict()[name], weights)


def test_the_epochs_in_the_checkpoint_are_reported_again_before_new_ones(job: Job, assign: Assign) -> None:
    _, first = train(job, assign(), epochs=2)
    worker = Worker(job)
    worker.begin(assign())
    assert [worker.next_report(), worker.next_report()] == first
    assert not worker.finished
    assert worker.next_report().epoch == 3


def test_a_finished_training_is_finished_again_only_when_all_is_reported(job: Job, assign: Assign) -> None:
    _, first = train(job, assign(max_epochs=2))
    worker = Worker(job)
    worker.begin(assign(max_epochs=2))
    assert not worker.finished
    assert worker.next_report() == first[0]
    assert not worker.finished
    assert worker.next_report() == first[1]
    assert worker.finished


def test_a_damaged_newest_checkpoint_costs_one_epoch_and_no_difference(
    job: Job, assign: Assign, tmp_path: Path
) -> None:
    _, expected = train(job, assign("whole"))
    train(job, assign("broken"), epochs=3)
    newest = max((tmp_path / "broken").iterdir())
    newest.write_bytes(newest.read_bytes()[:-50])
    _, reports = train(job, assign("broken"))
    assert without_seconds(reports) == without_seconds(expected)


def test_nothing_of_a_damaged_checkpoint_gets_into_the_training(job: Job, assign: Assign, tmp_path: Path) -> None:
    _, expected = train(job, assign("whole"))
    train(job, assign("broken"), epochs=3)
    for path in (tmp_path / "broken").iterdir():
        path.write_bytes(path.read_bytes()[:-50])
    _, reports = train(job, assign("broken"))
    assert without_seconds(reports) == without_seconds(expected)


class Keeping:
    """A training of one's own that keeps its weights; whether they can be taken back is a hyperparameter."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> None:
        self.name = "weights" if hparams["takes_back"] else "wieghts"
        self.weights = torch.zeros(1)

    def train_epoch(self) -> dict[str, float]:
        self.weights += 1
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = state[self.name]


def rehearsed(job: Job, assignment: Assignment) -> Worker:
    worker = Worker(replace(job, trainable=trainable_of(Keeping)))
    worker.begin(replace(assignment, is_rehearsed=True))
    assert worker.next_report().epoch == 1
    return worker


def test_a_state_that_is_not_taken_back_is_found_before_the_search(job: Job, assign: Assign) -> None:
    worker = rehearsed(job, assign(max_epochs=2, hparams={"takes_back": False}))
    with pytest.raises(TrialFailedError, match=r"load_state_dict\(\) cannot take .* KeyError: 'wieghts'"):
        worker.next_report()


def no_evaluation(split: Any) -> Any:
    raise SystemExit("no")


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (
            lambda split: {"accuracy": dict[str, float]()["zzz"]},
            r"evaluate\(\) of .* raised KeyError: 'zzz', on the dev",
        ),
        (
            lambda split: {"accuracy": [1, 2]},
            r"the metric 'accuracy' is \[1, 2\] in evaluate\(\), but must be a number",
        ),
        (lambda split: 0.5, r"evaluate\(\) brought 0.5, but must bring a dictionary"),
        ({"accuracy": 0.5}, r"evaluate\(\) of .* raised TypeError: 'dict' object is not callable"),
        (no_evaluation, r"evaluate\(\) of .* raised SystemExit: no"),
    ],
)
def test_a_mistake_in_evaluate_is_found_before_the_search(
    job: Job, assign: Assign, evaluate: Any, message: str
) -> None:
    outcome = rehearsal(job, assign, told_its_epochs(evaluate))
    assert isinstance(outcome, Failed)
    assert outcome.is_rehearsal
    assert re.match(message, outcome.reason)


def test_what_may_lie_in_so_few_epochs_is_only_told(job: Job, assign: Assign) -> None:
    outcome = rehearsal(job, assign, told_its_epochs(lambda split: {"accuracy": 1 / 0}))
    assert isinstance(outcome, Reported)
    assert outcome.evaluation == "evaluate() of train raised ZeroDivisionError: division by zero, on the dev split."


class Folding(Keeping):
    """Its `evaluate` leaves another model than it has trained, as who fuses layers does."""

    is_folded = False

    def evaluate(self, split: Any) -> dict[str, float]:
        self.is_folded = True
        return {"accuracy": 0.5}

    def state_dict(self) -> dict[str, Any]:
        return {} if self.is_folded else super().state_dict()


def test_what_is_evaluated_may_be_another_model_thereafter(job: Job, assign: Assign) -> None:
    worker = Worker(replace(job, trainable=trainable_of(Folding)))
    worker.begin(replace(assign(max_epochs=1, hparams={"takes_back": True}), is_rehearsed=True))
    assert worker.next_report().epoch == 1
    assert worker.evaluation == {"accuracy": 0.5}


def test_a_generator_that_takes_whatever_there_is_need_not_end(job: Job, assign: Assign) -> None:
    def train(hparams: Any, data: Any, *, seed: int, device: Any, **rest: Any) -> Any:
        for _ in range(5):
            yield {"dev_accuracy": 0.5}
        return lambda split: {"accuracy": 0.5}

    outcome = rehearsal(job, assign, train)
    assert isinstance(outcome, Reported)
    assert outcome.evaluation is None


def test_a_training_is_evaluated_before_the_search_on_dev_alone(job: Job, assign: Assign) -> None:
    seen = []

    def evaluate(split: Any) -> dict[str, float]:
        seen.append(split)
        return {"accuracy": 0.5}

    outcome = rehearsal(job, assign, told_its_epochs(evaluate))
    assert isinstance(outcome, Reported)
    assert outcome.evaluation == {"accuracy": 0.5}
    assert [split is job.splits.dev for split in seen] == [True]


@pytest.mark.parametrize(("epochs", "found"), [(1, {"accuracy": 0.5}), (2, None)])
def test_a_generator_that_is_not_told_its_epochs_is_evaluated_only_if_it_has_ended(
    job: Job, assign: Assign, epochs: int, found: dict[str, float] | None
) -> None:
    def train(hparams: Any, data: Any, *, seed: int, device: Any) -> Any:
        for _ in range(epochs):
            yield {"dev_accuracy": 0.5}
        return lambda split: {"accuracy": 0.5}

    outcome = rehearsal(job, assign, train)
    assert isinstance(outcome, Reported)
    assert outcome.evaluation == found


def told_its_epochs(evaluate: Any) -> Any:
    def train(hparams: Any, data: Any, *, seed: int, device: Any, max_epochs: int) -> Any:
        for _ in range(max_epochs):
            yield {"dev_accuracy": 0.5}
        return evaluate

    return train


def rehearsal(job: Job, assign: Assign, train: Any, enough_seconds: float | None = None) -> StepOutcome:
    """Return the last outcome of a training whose end is rehearsed, after two epochs or fewer."""
    stepper = Stepper(replace(job, trainable=trainable_of(train)))
    stepper.begin(replace(assign(max_epochs=2), is_rehearsed=True, enough_seconds=enough_seconds))
    outcome = stepper.step()
    while isinstance(outcome, Reported) and not outcome.finished:
        assert outcome.evaluation is None
        outcome = stepper.step()
    return outcome


@pytest.mark.parametrize("is_begun_again", [False, True])
def test_a_training_of_which_a_long_epoch_is_enough_is_rehearsed_after_that(
    job: Job, assign: Assign, is_begun_again: bool
) -> None:
    own = replace(job, trainable=trainable_of(Keeping))
    enough = replace(assign(max_epochs=2, hparams={"takes_back": True}), enough_seconds=0.0)
    if is_begun_again:
        train(own, enough, epochs=1)
    worker = Worker(own)
    worker.begin(replace(enough, is_rehearsed=True))
    assert worker.next_report().epoch == 1
    assert worker.finished
    assert worker.evaluation == {}
    assert not worker.training.is_over
    taken_back = worker.training.trainable
    assert isinstance(taken_back, Keeping)
    assert taken_back.weights == 1


def test_a_state_that_is_not_taken_back_is_found_after_a_long_first_epoch_too(job: Job, assign: Assign) -> None:
    worker = Worker(replace(job, trainable=trainable_of(Keeping)))
    mistaken = assign(max_epochs=2, hparams={"takes_back": False})
    worker.begin(replace(mistaken, is_rehearsed=True, enough_seconds=0.0))
    with pytest.raises(TrialFailedError, match=r"load_state_dict\(\) cannot take .* KeyError: 'wieghts'"):
        worker.next_report()


def test_a_training_whose_epochs_are_not_long_enough_has_them_all(job: Job, assign: Assign) -> None:
    _, reports = train(job, assign(max_epochs=2, enough_seconds=1000.0))
    assert len(reports) == 2


def test_a_training_without_a_state_goes_on_after_a_long_epoch_to_its_end(job: Job, assign: Assign) -> None:
    outcome = rehearsal(job, assign, told_its_epochs(lambda split: {"accuracy": 0.5}), enough_seconds=0.0)
    assert isinstance(outcome, Reported)
    assert (outcome.report.epoch, outcome.evaluation, outcome.is_over) == (2, {"accuracy": 0.5}, False)


def test_a_training_that_takes_its_state_back_is_where_it_was(job: Job, assign: Assign) -> None:
    worker = rehearsed(job, assign(max_epochs=2, hparams={"takes_back": True}))
    assert worker.next_report().epoch == 2
    assert worker.finished
    taken_back = worker.training.trainable
    assert isinstance(taken_back, Keeping)
    assert taken_back.weights == 2


def test_a_worker_takes_one_training_after_another(job: Job, assign: Assign) -> None:
    worker, _ = train(job, assign("first", seed=1))
    _, alone = train(job, assign("alone", seed=2))
    worker.begin(assign("second", seed=2))
    after_another = [worker.next_report() for _ in range(4)]
    assert without_seconds(after_another) == without_seconds(alone)


def test_a_training_is_built_once_and_after_the_one_before_has_gone(job: Job, assign: Assign) -> None:
    alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    others: list[int] = []

    def counted(hparams: Mapping[str, Any]) -> nn.Module:
        others.append(len(alive))
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        alive.add(model)
        return model

    worker = Worker(replace(job, trainable=classifier_of(get_model(counted))))
    for folder in ("first", "second"):
        worker.begin(assign(folder))
        worker.next_report()
    assert others == [0, 0]


def test_slow_storage_is_no_hanging_of_the_trial(
    job: Job, assign: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Path] = []

    def slow(place: object, *names: object) -> None:
        watched.extend(tmp_path.glob("*.hanging"))  # what the watchdog keeps while it watches

    for method in (storage.FolderPlace.put, storage.FolderPlace.local):
        monkeypatch.setattr(storage.FolderPlace, method.__name__, seen_by(slow, method))
    patient = replace(job, trial_timeout=60.0)
    train(patient, assign(), epochs=1)
    train(patient, assign(), epochs=2)
    assert watched == []


def seen_by(spy: Callable[..., None], method: Callable[..., Any]) -> Callable[..., Any]:
    def spied(*arguments: Any) -> Any:
        spy(*arguments)
        return method(*arguments)

    return spied


def test_seeds_make_trainings_differ(job: Job, assign: Assign) -> None:
    (_, one), (_, other) = train(job, assign("a", seed=1)), train(job, assign("b", seed=2))
    assert without_seconds(one) != without_seconds(other)


def test_a_training_that_diverges_says_so_and_leaves_no_checkpoint_of_it(
    job: Job, assign: Assign, tmp_path: Path
) -> None:
    worker = Worker(job)
    worker.begin(assign(hparams={"learning_rate": 1e38}))
    with pytest.raises(NonFiniteLossError, match="in epoch 1"):
        worker.next_report()
    assert not (tmp_path / "trial").exists()


def test_a_hyperparameter_that_breaks_its_law_says_so(job: Job, assign: Assign) -> None:
    with pytest.raises(ConfigError, match="batch_size is 1, but must be at least 2"):
        Worker(job).begin(assign(hparams={"batch_size": 1}))


def test_a_checkpoint_that_cannot_be_written_is_a_storage_error(job: Job, assign: Assign, tmp_path: Path) -> None:
    (tmp_path / "trial").touch()
    worker = Worker(job)
    worker.begin(assign())
    with pytest.raises(StorageError, match="no checkpoint can be written"):
        worker.next_report()


@pytest.mark.parametrize("keep_best", [True, False])
def test_the_best_weights_are_kept_where_they_are_wanted(job: Job, assign: Assign, keep_best: bool) -> None:
    worker, _ = train(job, assign(keep_best=keep_best))
    assert (worker.training.state_dict()["best"] is not None) == keep_best


# What a model costs.


def measured(job: Job, assignment: Assignment) -> dict[str, float]:
    worker = Worker(job)
    worker.begin(assignment)
    return worker.measure()


def test_a_models_parameters_are_always_measured_and_its_latency_where_it_is_wanted(job: Job, assign: Assign) -> None:
    assert measured(job, assign()) == {"num_params": 7850.0}
    both = measured(replace(job, measures_latency=True), assign())
    assert both["num_params"] == 7850.0
    assert 0 < both["latency"] < 1


def test_a_latency_that_the_driver_knows_is_not_measured_again(job: Job, assign: Assign) -> None:
    assert measured(replace(job, measures_latency=True), assign(known_epochs=1)) == {"num_params": 7850.0}


def test_a_measurement_changes_nothing_of_the_training(job: Job, assign: Assign) -> None:
    _, expected = train(job, assign("other"))
    worker = Worker(replace(job, measures_latency=True))
    worker.begin(assign())
    worker.measure()
    assert without_seconds([worker.next_report() for _ in range(4)]) == without_seconds(expected)


class Growing:
    """A training whose layers learn their sizes from the first batch."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any, max_epochs: int) -> None:
        self.model = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

    def train_epoch(self) -> dict[str, float]:
        self.model(torch.zeros(1, 28, 28))
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {"accuracy": 0.5}


def test_a_model_without_sizes_is_trained_and_not_measured(job: Job, assign: Assign) -> None:
    growing = replace(job, trainable=trainable_of(Growing), measures_latency=True)
    assert measured(growing, assign()) == {}
    with pytest.raises(TrialFailedError, match="num_params is an objective, but the model has lazy layers"):
        measured(
            replace(growing, objectives=objectives_of(["dev_accuracy", "num_params"], DEFAULT_OBJECTIVE)), assign()
        )
