"""Tests of the Lightning adapter, with a real module and Lightning's own trainer."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tuner.errors import SpaceError
from tuner.integrations.lightning import LightningTask
from tuner.training.trainable import TrainingOver


def layers_of(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))


class Module(pl.LightningModule):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = layers_of(width)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        logits = self.layers(batch[0])
        self.log("dev_loss", functional.cross_entropy(logits, batch[1]))
        self.log("dev_accuracy", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)]


class Task(LightningTask):
    def make_module(self, hparams: Mapping[str, Any]) -> pl.LightningModule:
        return Module(hparams["width"])

    def make_loader(self, split: Any, hparams: Mapping[str, Any], *, shuffle: bool) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*split), batch_size=64, shuffle=shuffle)


@pytest.fixture(scope="module")
def data() -> Any:
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    return SimpleNamespace(train=(x[:1000], y[:1000]), dev=(x[1000:1400], y[1000:1400]))


@pytest.fixture
def task(data: Any) -> Iterator[Callable[[], Task]]:
    """Makes equal trainings."""
    made: list[Task] = []

    def make() -> Task:
        torch.manual_seed(0)
        made.append(Task({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=4))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert not any(thread.name == "taking turns" for thread in threading.enumerate())


def epoch(of: Task, number: int) -> dict[str, float]:
    torch.manual_seed(100 + number)  # as the session seeds each epoch
    return of.train_epoch()


def test_an_epoch_s_metrics_are_what_the_module_logged(task: Callable[[], Task]) -> None:
    metrics = epoch(task(), 1)
    assert metrics.keys() == {"train_loss", "dev_loss", "dev_accuracy"}
    assert metrics["dev_accuracy"] > 0.5


def test_nothing_runs_ahead_of_the_epoch_that_was_asked_for(task: Callable[[], Task]) -> None:
    trained = task()
    epoch(trained, 1)
    before = [parameter.clone() for parameter in trained.module.parameters()]
    assert all(torch.equal(*pair) for pair in zip(before, trained.module.parameters(), strict=True))
    epoch(trained, 2)
    assert not all(torch.equal(*pair) for pair in zip(before, trained.module.parameters(), strict=True))


class Plateau(Module):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        # The loss never falls by so much, so each step of it halves the rate.
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "dev_loss"}}


class Late(Module):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._width = width
        del self.layers

    def configure_model(self) -> None:
        if not hasattr(self, "layers"):
            self.layers = layers_of(self._width)


@pytest.mark.parametrize("module", [Module, Plateau, Late])
def test_a_training_that_goes_on_from_a_checkpoint_equals_one_that_was_never_stopped(
    module: type[Module], task: Callable[[], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "make_module", lambda self, hparams: module(hparams["width"]))
    whole = task()
    expected = [epoch(whole, number) for number in range(1, 5)]
    first = task()
    assert [epoch(first, number) for number in (1, 2)] == expected[:2]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = task()
    second.load_state_dict(torch.load(file, weights_only=True))
    assert [epoch(second, number) for number in (3, 4)] == expected[2:]


def test_a_callback_that_ended_one_training_does_not_end_the_next(data: Any) -> None:
    class Stopping(Task):
        # At once, for the loss never falls by so much.
        trainer_options: ClassVar[Mapping[str, Any]] = {
            "callbacks": [pl.callbacks.EarlyStopping("dev_loss", min_delta=100.0, patience=2)]
        }

    for _ in range(2):
        training = Stopping({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=9)
        assert [bool(epoch(training, number)) for number in (1, 2, 3)] == [True] * 3
        with pytest.raises(TrainingOver):
            epoch(training, 4)
        training.close()


def test_a_checkpoint_callback_of_ones_own_does_not_hinder_the_evaluation(data: Any, tmp_path: Path) -> None:
    class Keeping(Task):
        trainer_options: ClassVar[Mapping[str, Any]] = {
            "callbacks": pl.callbacks.ModelCheckpoint(tmp_path, monitor="dev_loss"),
            "enable_checkpointing": False,  # as one writes who wants none
        }

    training = Keeping({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=1)
    metrics = epoch(training, 1)
    assert training.evaluate(data.dev)["loss"] == pytest.approx(metrics["dev_loss"])
    training.close()


def test_an_option_that_the_study_decides_is_refused(data: Any) -> None:
    class Deciding(Task):
        trainer_options: ClassVar[Mapping[str, Any]] = {"accelerator": "cpu"}

    with pytest.raises(SpaceError, match="trainer_options of Deciding holds 'accelerator', which the study decides"):
        Deciding({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=1)


def test_a_module_that_leaves_weights_out_of_its_checkpoint_goes_on_from_it(data: Any) -> None:
    class Frozen(Module):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.strict_loading = False

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            del checkpoint["state_dict"]["layers.0.weight"]

    class Leaving(Task):
        def make_module(self, hparams: Mapping[str, Any]) -> pl.LightningModule:
            return Frozen(hparams["width"])

    made = [Leaving({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=2) for _ in range(2)]
    epoch(made[0], 1)
    made[1].load_state_dict(made[0].state_dict())
    assert epoch(made[1], 2).keys() == epoch(made[0], 2).keys()
    for one in made:
        one.close()


def test_a_split_is_evaluated_by_the_validation_step(task: Callable[[], Task], data: Any) -> None:
    trained = task()
    metrics = epoch(trained, 1)
    found = trained.evaluate(data.dev)
    assert found == pytest.approx({"loss": metrics["dev_loss"], "accuracy": metrics["dev_accuracy"]})
