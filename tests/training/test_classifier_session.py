"""Tests of `tuner.training.session` with the built-in loop: the best weights kept, patience, prefixes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.metrics import metrics
from tests.training.states import assert_identical
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.search.report import EpochReport
from tuner.training import checkpoints
from tuner.training.batches import Batches, Normalisation
from tuner.training.evaluate import evaluate
from tuner.training.session import Session

MakeTraining = Callable[..., Session]
CPU = torch.device("cpu")


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def fit(training: Session) -> Iterator[EpochReport]:
    while not training.finished:
        yield training.run_epoch()


def report_of(epoch: int, dev_accuracy: float) -> EpochReport:
    return EpochReport(epoch, metrics(1.0, 0.5, 1.0, dev_accuracy, 0.01), 1.0)


def test_a_stopped_training_is_a_prefix_of_the_longer_one(make_training: MakeTraining) -> None:
    short, long = make_training(max_epochs=2), make_training(max_epochs=4)
    short_reports, long_reports = list(fit(short)), list(fit(long))
    assert [replace(report, seconds=0.0) for report in short_reports] == [
        replace(report, seconds=0.0) for report in long_reports[:2]
    ]


def test_fit_yields_every_epoch_up_to_the_last(make_training: MakeTraining) -> None:
    training = make_training(max_epochs=3)
    assert [report.epoch for report in fit(training)] == [1, 2, 3]
    assert training.finished
    assert list(fit(training)) == []


@pytest.mark.parametrize(
    ("accuracies", "best_epoch", "finished"),
    # Patience 2, at most 6 epochs.
    [
        ([], None, False),
        ([0.3], 1, False),
        ([0.3, 0.2], 1, False),
        ([0.3, 0.2, 0.1], 1, True),
        ([0.3, 0.5, 0.5], 2, False),  # an equal is nothing better
        ([0.3, 0.5, 0.5, 0.4], 2, True),
        ([0.3, 0.5, 0.4, 0.6], 4, False),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, True),
    ],
)
def test_patience_counts_the_epochs_since_the_best(
    make_training: MakeTraining, accuracies: list[float], best_epoch: int | None, finished: bool
) -> None:
    training = make_training(patience=2, max_epochs=6)
    training.reports = [report_of(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, 1)]
    assert (training.best and training.best.epoch) == best_epoch
    assert training.finished is finished


def test_without_patience_only_the_epochs_end_a_training(make_training: MakeTraining) -> None:
    training = make_training(patience=None, max_epochs=6)
    training.reports = [report_of(epoch, 1.0 / epoch) for epoch in range(1, 6)]
    assert not training.finished


def misleading(splits: SearchData) -> SearchData:
    """Dev is train with every label one too high: whoever learns train gets dev wrong, soon always."""
    return replace(splits, dev=Split(splits.train.images, (splits.train.labels + 1) % 10))


@pytest.mark.parametrize("resumed", [False, True])
def test_early_stopping_restores_the_best_dev_weights(
    make_training: MakeTraining, splits: SearchData, tmp_path: Path, resumed: bool
) -> None:
    arguments = {"model": linear(), "data": misleading(splits), "patience": 3, "max_epochs": 50}
    hparams = {"learning_rate": 0.0003, "decay_epochs": 1000.0}
    training = make_training(hparams, **arguments)
    weights = []
    for _ in fit(training):
        weights.append(copy.deepcopy(training.model.state_dict()))
    assert training.best is not None
    assert training.epoch == training.best.epoch + 3 < 50
    if resumed:
        sha256 = checkpoints.save(training, tmp_path / "last.pt")
        training = make_training(hparams, **{**arguments, "model": linear()})
        training.load_state_dict(checkpoints.load_state(tmp_path / "last.pt", sha256))
    assert_identical(dict(training.model.state_dict()), dict(weights[-1]))
    training.restore_best()
    best = training.best
    assert best is not None
    assert_identical(dict(training.model.state_dict()), dict(weights[best.epoch - 1]))
    dev = Batches(misleading(splits).dev, Normalisation.of(splits.train), CPU)
    found = evaluate(training.model, dev, device=CPU, precision=torch.float32)
    assert (found.accuracy, found.loss) == (best.metrics["dev_accuracy"], best.metrics["dev_loss"])
    assert found.accuracy > training.reports[-1].metrics["dev_accuracy"]


def test_weights_of_the_best_epoch_are_kept_only_if_wanted(make_training: MakeTraining) -> None:
    training = make_training(keep_best=False)
    training.run_epoch()
    assert training.state_dict()["best"] is None
