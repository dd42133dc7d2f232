"""Tests of `tuner.engine.retrain`: every seed once, whatever happens, and the dev set alone chooses."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.metrics import metrics
from tuner.data.splits import Split
from tuner.engine import stepper
from tuner.engine.after_search import Retraining, RetrainTimes
from tuner.engine.in_process import InProcessExecutor
from tuner.engine.outcome import Failed, Infeasible, WorkerLost
from tuner.engine.retrain import RetrainPhase, failed_before, keep_best
from tuner.engine.worker import Job
from tuner.errors import StorageError, TunerError
from tuner.io import retry
from tuner.io.files import hash_file
from tuner.journal.events import (
    Event,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    StudyStarted,
)
from tuner.journal.history import History, fold
from tuner.journal.store import Entry
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.training.checkpoints import load_weights
from tuner.training.classifier import Classifier, classifier_of
from tuner.training.trainable import TrainableSpec

HPARAMS = {"learning_rate": 0.003, "batch_size": 32}
EPOCHS = 3


def crashing(hparams: Mapping[str, Any]) -> nn.Module:
    """A linear model that cannot be built the first times: as often as is wanted."""
    crashes = Path(hparams["crashes"])
    crashed = len(list(crashes.iterdir()))
    if crashed < hparams["times"]:
        (crashes / str(crashed)).touch()
        raise OSError("the lights went out")
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def without_seconds(event: Event) -> Event:
    return replace(event, seconds=0.0) if isinstance(event, RetrainEpochReported) else event


class Unhurried(RetrainTimes):
    """Time enough for everything, or for as many epochs as a test says."""

    def __init__(self, last_epoch: int | None = None, *, saves_state: bool = True) -> None:
        """Say of `last_epoch` that it must be the last."""
        self.last_epoch = last_epoch
        self.saves_state = saves_state
        self.said: list[str] = []
        self.say = self.said.append

    def fit(self, waiting: Sequence[Retraining]) -> list[Retraining]:
        return list(waiting)

    def begin(self, retraining: Retraining) -> None:
        pass

    def epoch(self, retraining: Retraining, epoch: int, seconds: float) -> bool:
        return epoch == self.last_epoch

    def end(self, retraining: Retraining) -> None:
        pass


class Books:
    """What was written down, and the run's folder."""

    def __init__(self, root: Path, job: Job) -> None:
        self.paths = RunPaths(root)
        self.paths.checkpoints.mkdir(parents=True)
        self.job = job
        self.test = Split(job.splits.dev.images[:40].copy(), job.splits.dev.labels[:40].copy())
        self.events: list[Event] = []
        self.said: list[str] = []
        self.times: RetrainTimes = Unhurried()

    @property
    def history(self) -> History:
        events = [StudyStarted({}, {}), *self.events]
        return fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate(events))

    def phase(self, *retrainings: Retraining, workers: int = 2, max_failures: int = 2) -> RetrainPhase:
        return RetrainPhase(
            retrainings,
            lambda: self.test,
            artefact="model.safetensors",
            workers=workers,
            max_failures=max_failures,
            history=self.history,
            record=self.record,
            paths=self.paths,
            times=self.times,
        )

    def record(self, *events: Event) -> None:
        self.events.extend(events)

    def retrain(self, *retrainings: Retraining, **options: Any) -> None:
        InProcessExecutor(self.said.append).run(self.job, iter([self.phase(*retrainings, **options)]))

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def books(tmp_path: Path, job: Job) -> Books:
    return Books(tmp_path / "run", job)


@pytest.fixture
def crashing_books(tmp_path: Path, job: Job) -> Books:
    """Books of a job whose trainings crash."""
    (tmp_path / "crashes").mkdir()
    return Books(tmp_path / "run", replace(job, trainable=classifier_of(get_model(crashing))))


def retraining(seed: int = 1, candidate: str = "tuned", **hparams: Any) -> Retraining:
    return Retraining(candidate, seed, HPARAMS | hparams, EPOCHS)


def test_every_retraining_has_all_its_epochs_and_is_measured_on_every_split(books: Books) -> None:
    books.retrain(retraining(1), retraining(2), retraining(1, "baseline", learning_rate=0.001))
    keys = {("tuned", 1), ("tuned", 2), ("baseline", 1)}
    assert {(ended.candidate, ended.seed) for ended in books.of(RetrainEnded)} == keys
    for key in keys:
        known = books.history.retrains[key]
        assert sorted(known.epochs) == list(range(1, EPOCHS + 1))
        assert known.ended is not None
        sizes = {split: found["n"] for split, found in known.ended.evaluations.items()}
        assert sizes == {"train": 150, "dev": 60, "test": 40}
        assert dict(known.ended.hparams) == HPARAMS | ({"learning_rate": 0.001} if key[0] == "baseline" else {})
    accuracies = {ended.evaluations["dev"]["loss"] for ended in books.of(RetrainEnded)}
    assert len(accuracies) == 3  # seeds and hyperparameters make a difference


def test_a_late_retraining_ends_with_the_epochs_it_has_had_and_is_measured(books: Books) -> None:
    books.times = Unhurried(last_epoch=2)
    books.retrain(retraining(1), retraining(2))
    assert {(ended.candidate, ended.seed) for ended in books.of(RetrainEnded)} == {("tuned", 1), ("tuned", 2)}
    for known in books.history.retrains.values():
        assert sorted(known.epochs) == [1, 2]
        assert known.ended is not None
        assert known.ended.best_epoch == known.best.epoch  # type: ignore[union-attr]
        assert set(known.ended.evaluations) == {"train", "dev", "test"}


def test_the_weights_are_those_of_the_best_dev_epoch_and_are_what_was_measured(books: Books) -> None:
    # A learning rate that jumps about, so that the last epoch need not be the best.
    books.retrain(*(retraining(seed, learning_rate=0.1) for seed in (1, 2, 3)))
    bests = []
    for ended in books.of(RetrainEnded):
        epochs = books.history.retrains["tuned", ended.seed].epochs
        best = max(epochs.values(), key=lambda report: (report.metrics["dev_accuracy"], -report.epoch))
        assert ended.best_epoch == best.epoch
        assert ended.evaluations["dev"]["accuracy"] == pytest.approx(best.metrics["dev_accuracy"])
        bests.append(best.epoch)

        path = books.paths.root / ended.weights
        assert hash_file(path) == ended.weights_sha256
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(784, 10)).eval()
        model.load_state_dict(load_weights(path))
        images = torch.from_numpy(books.test.images).unsqueeze(1) / 255
        mean, std = books.job.splits.train.moments
        logits = model((images - mean) / std)
        found = (logits.argmax(1) == torch.from_numpy(books.test.labels)).float().mean().item()
        assert ended.evaluations["test"]["accuracy"] == pytest.approx(found)
    assert any(best < EPOCHS for best in bests)  # else it could have been the last


def test_what_saves_no_state_begins_anew_under_a_later_driver_and_its_first_epochs_are_forgotten(books: Books) -> None:
    books.record(*(RetrainEpochReported("tuned", 1, epoch, metrics(), 1.0) for epoch in range(1, EPOCHS + 3)))
    books.times = Unhurried(saves_state=False)
    books.retrain(retraining(1))
    known = books.history.retrains["tuned", 1]
    assert sorted(known.epochs) == list(range(1, EPOCHS + 1))
    assert known.ended is not None
    assert known.best is not None
    assert known.ended.best_epoch == known.best.epoch


def test_one_retraining_after_another_is_as_each_alone(books: Books, tmp_path: Path, job: Job) -> None:
    books.retrain(retraining(1), retraining(2))
    alone = Books(tmp_path / "alone", job)
    alone.retrain(retraining(2))
    assert list(map(without_seconds, books.events[-EPOCHS - 1 :])) == list(map(without_seconds, alone.events))


def test_no_more_are_given_out_than_there_are_workers_until_one_is_through(books: Books) -> None:
    phase = books.phase(retraining(1), retraining(2), retraining(3))
    first, second = phase.next(), phase.next()
    assert first is not None
    assert second is not None
    assert phase.next() is None
    phase.give_back(second[0])
    assert phase.next() == second
    phase.take(first[0], Failed("it diverged"))
    third = phase.next()
    assert third is not None
    assert third[0] == ("tuned", 3)
    assert not phase.is_over


def test_a_retraining_whose_configuration_is_impossible_with_its_seed_has_failed_with_the_reason(books: Books) -> None:
    phase = books.phase(retraining(1))
    given = phase.next()
    assert given is not None
    assert not phase.take(given[0], Infeasible("too wide"))
    assert books.events == [RetrainFailed("tuned", 1, "too wide")]
    assert phase.is_over


def test_a_retraining_that_is_done_is_not_done_again(books: Books) -> None:
    books.retrain(retraining(1))
    before = list(books.events)
    books.retrain(retraining(1))
    assert books.events == before


@pytest.mark.parametrize("damaged", [True, False])
def test_a_retraining_whose_weights_are_gone_is_done_again(books: Books, damaged: bool) -> None:
    books.times = unhurried = Unhurried()
    books.retrain(retraining(1))
    (ended,) = books.of(RetrainEnded)
    weights = books.paths.root / ended.weights
    weights.write_bytes(b"") if damaged else shutil.rmtree(weights.parent)
    books.retrain(retraining(1))
    assert books.of(RetrainEnded) == [ended, ended]
    assert hash_file(weights) == ended.weights_sha256
    (notice,) = unhurried.said
    assert notice.startswith("NOTICE: tuned seed 1 is retrained once more, for ")
    keep_best(books.history, books.paths, {})


def test_a_retraining_that_failed_is_tried_again_by_the_driver_that_goes_on(books: Books) -> None:
    books.events.append(RetrainFailed("tuned", 1, "the node was lost"))
    books.retrain(retraining(1))
    assert [event.seed for event in books.of(RetrainEnded)] == [1]
    assert books.history.retrains["tuned", 1].failed is None


def test_a_retraining_that_was_broken_off_goes_on_from_its_checkpoint_to_the_same_end(
    books: Books, tmp_path: Path, job: Job
) -> None:
    books.retrain(retraining(1))
    expected = list(map(without_seconds, books.events))

    broken = Books(tmp_path / "broken", job)
    room = 2
    write = broken.record

    def full(*events: Event) -> None:
        if len(broken.events) == room:
            raise StorageError("the journal is full")
        write(*events)

    broken.record = full  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        broken.retrain(retraining(1))
    assert [event.epoch for event in broken.of(RetrainEpochReported)] == [1, 2]
    broken.record = write  # type: ignore[method-assign]
    broken.retrain(retraining(1))
    assert list(map(without_seconds, broken.events)) == expected


def test_a_retraining_that_diverges_has_failed_at_once_and_the_others_go_on(books: Books) -> None:
    books.retrain(retraining(1, learning_rate=1e38), retraining(2))
    (failed,) = books.of(RetrainFailed)
    assert failed.seed == 1
    assert failed.reason.endswith("in epoch 1.")
    assert [ended.seed for ended in books.of(RetrainEnded)] == [2]


class Diverging(Classifier):
    """Has no loss in its third epoch."""

    def train_epoch(self) -> dict[str, float]:
        found = super().train_epoch()
        return found | ({"dev_accuracy": math.nan} if self.state_dict()["epoch"] == 3 else {})


def test_a_retraining_that_diverges_late_ends_with_the_best_epoch_it_has_had(books: Books) -> None:
    make = partial(Diverging, get_model("cnn").build)
    books.job = replace(books.job, trainable=TrainableSpec("diverging", make, saves_state=True))
    books.retrain(retraining(1))
    (failed,) = books.of(RetrainFailed)
    assert failed.reason.endswith("; it ends with the best of its 2 epochs")
    (ended,) = books.of(RetrainEnded)
    assert ended.best_epoch in (1, 2)
    assert set(ended.evaluations) == {"train", "dev", "test"}
    assert not failed_before(books.history)


def test_a_late_retraining_keeps_the_schedule_that_it_was_planned_with(books: Books) -> None:
    books.times = Unhurried(last_epoch=1)
    books.retrain(retraining(1, lr_decay="cosine", warmup_epochs=2.0))  # as long as what it has had, or longer
    assert books.of(RetrainFailed) == []
    (ended,) = books.of(RetrainEnded)
    assert ended.best_epoch == 1


def test_a_retraining_whose_code_crashes_is_taken_up_again(crashing_books: Books, tmp_path: Path) -> None:
    crashing_books.retrain(retraining(1, crashes=str(tmp_path / "crashes"), times=1), max_failures=1)
    assert len(list((tmp_path / "crashes").iterdir())) == 1
    assert [ended.seed for ended in crashing_books.of(RetrainEnded)] == [1]
    assert [report.epoch for report in crashing_books.of(RetrainEpochReported)] == [1, 2, 3]


def test_a_retraining_whose_code_crashes_too_often_has_failed(crashing_books: Books, tmp_path: Path) -> None:
    crashing_books.retrain(retraining(1, crashes=str(tmp_path / "crashes"), times=9), max_failures=1)
    assert len(list((tmp_path / "crashes").iterdir())) == 2
    (failed,) = crashing_books.of(RetrainFailed)
    assert failed.reason == "its worker failed 2 times: OSError: the lights went out"
    assert any("in crashing" in text for text in crashing_books.said)


def test_the_deaths_of_processes_count_but_not_those_of_nodes(books: Books) -> None:
    phase = books.phase(retraining(1), max_failures=1)
    given = phase.next()
    assert given is not None
    lost, died = WorkerLost("its node has died", charged=False), WorkerLost("...\nkilled", charged=True)
    assert [phase.take(given[0], loss) for loss in (lost, died, lost, lost, died)] == [True] * 4 + [False]
    assert phase.is_over
    assert books.of(RetrainFailed) == [RetrainFailed("tuned", 1, "its worker failed 2 times: killed")]


def test_a_retraining_that_loses_node_after_node_has_failed(books: Books) -> None:
    phase = books.phase(retraining(1), max_failures=0)
    given = phase.next()
    assert given is not None
    lost = WorkerLost("its node has died", charged=False)
    assert [phase.take(given[0], lost) for _ in range(4)] == [True] * 3 + [False]
    assert books.of(RetrainFailed) == [RetrainFailed("tuned", 1, "its worker failed 1 times: its node has died")]


def test_a_disk_that_stays_full_ends_the_retraining_for_a_resume_to_go_on(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(stepper, "_SECONDS_WITHOUT_STORAGE", 0.1)
    folder = books.paths.retrain_checkpoints("tuned", 1)
    folder.touch()  # a file where the folder must be: nothing can be written there
    with pytest.raises(StorageError, match="no checkpoint can be written"):
        books.retrain(retraining(1))
    assert books.events == []
    assert books.said[0].startswith("WAITING: no checkpoint can be written")
    folder.unlink()
    books.retrain(retraining(1))
    assert [ended.seed for ended in books.of(RetrainEnded)] == [1]


# What is kept in the end.

DESCRIPTION = {"model": "linear", "space": "here"}


def ended(books: Books, seed: int, dev: float, candidate: str = "tuned") -> RetrainEnded:
    """A retraining that has ended, with a file for its weights."""
    path = books.paths.retrain_checkpoints(candidate, seed) / "model.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"weights of {candidate} {seed}")
    evaluations = {split: {"accuracy": dev, "loss": 0.1, "n": 60} for split in ("train", "dev")}
    evaluations["test"] = {
        "accuracy": 1.0 - dev,
        "loss": 0.1,
        "n": 60,
    }  # the dev set's losers are the test set's winners
    weights = str(path.relative_to(books.paths.root))
    event = RetrainEnded(candidate, seed, HPARAMS, 2, evaluations, weights, hash_file(path))
    books.events.append(event)
    return event


def test_the_best_seed_by_the_dev_set_is_kept_with_what_is_needed_to_use_it(books: Books) -> None:
    ended(books, 1, 0.90)
    ended(books, 2, 0.92)
    ended(books, 3, 0.91)
    ended(books, 1, 0.99, "baseline")
    for seed in (1, 2):
        answers = books.paths.retrain_checkpoints("tuned", seed) / "dev_predictions.npz"
        answers.write_text(f"answers of {seed}")
    keep_best(books.history, books.paths, DESCRIPTION)
    assert books.paths.best_model.read_text() == "weights of tuned 2"
    assert books.paths.best_predictions.read_text() == "answers of 2"
    assert json.loads(books.paths.best_hparams.read_text()) == {**DESCRIPTION, "hparams": HPARAMS, "seed": 2}


def test_a_better_seed_that_comes_later_brings_its_own_answers(books: Books) -> None:
    for seed, accuracy in ((1, 0.90), (2, 0.92)):  # the driver before had trained the first alone
        ended(books, seed, accuracy)
        (books.paths.retrain_checkpoints("tuned", seed) / "dev_predictions.npz").write_text(f"answers of {seed}")
        keep_best(books.history, books.paths, DESCRIPTION)
    assert books.paths.best_model.read_text() == "weights of tuned 2"
    assert books.paths.best_predictions.read_text() == "answers of 2"


def test_what_is_kept_already_needs_no_other_copy(books: Books) -> None:
    kept = ended(books, 1, 0.90)
    keep_best(books.history, books.paths, DESCRIPTION)
    (books.paths.root / kept.weights).unlink()
    keep_best(books.history, books.paths, DESCRIPTION)
    assert books.paths.best_model.read_text() == "weights of tuned 1"
    assert not books.paths.best_predictions.exists()  # nobody told


@pytest.mark.parametrize("damaged", [True, False])
def test_damaged_or_missing_weights_are_named(books: Books, damaged: bool) -> None:
    path = books.paths.root / ended(books, 1, 0.90).weights
    if damaged:
        path.write_text("damaged")
    else:
        path.unlink()
    with pytest.raises(TunerError, match=r"retrain-tuned-1/model\.safetensors is missing or damaged"):
        keep_best(books.history, books.paths, DESCRIPTION)
    assert not books.paths.best_model.exists()


def test_without_a_retraining_that_succeeded_there_is_nothing_to_keep(books: Books) -> None:
    ended(books, 1, 0.99, "baseline")
    with pytest.raises(TunerError, match="no retraining of the winner succeeded: none was run"):
        keep_best(books.history, books.paths, DESCRIPTION)
    books.events.append(RetrainFailed("tuned", 1, "the train loss is nan in epoch 1."))
    with pytest.raises(TunerError) as caught:
        keep_best(books.history, books.paths, DESCRIPTION)
    anew = f"after a change of the code a new run with --warm-start {books.paths.root} makes use of what was found."
    reason = "no retraining of the winner succeeded: the train loss is nan in epoch 1"
    assert str(caught.value) == f"{reason}; {anew}"
    books.events.append(RetrainFailed("tuned", 1, "its worker failed 1 times: killed"))
    with pytest.raises(TunerError, match="1 times: killed; --resume tries it again; after a change of the code a new"):
        keep_best(books.history, books.paths, DESCRIPTION)
