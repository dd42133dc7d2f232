"""Tests of the Lightning adapter, with a real module and Lightning's own trainer."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from tuner.errors import SpaceError
from tuner.models.summary import trainable_parameters
from tuner.training.packing import pack, unpack
from tuner.training.trainable import TrainingOver

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from tests.integrations.lightning_task import Task

pytestmark = pytest.mark.timeout(180)  # Lightning takes long to import


@pytest.fixture(scope="module")
def data() -> Any:
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    return SimpleNamespace(train=(x[:1000], y[:1000]), dev=(x[1000:1400], y[1000:1400]))


@pytest.fixture
def task(data: Any) -> Iterator[Callable[[], Task]]:
    """Makes equal trainings."""
    from tests.integrations.lightning_task import Task

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


@pytest.mark.parametrize("name", ["Module", "Plateau", "Late", "Weighted"])
def test_a_training_that_goes_on_from_a_checkpoint_equals_one_that_was_never_stopped(
    name: str, task: Callable[[], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integrations import lightning_task

    module = getattr(lightning_task, name)
    monkeypatch.setattr(lightning_task.Task, "make_module", lambda self, hparams: module(hparams["width"]))
    whole = task()
    expected = [epoch(whole, number) for number in range(1, 5)]
    first = task()
    assert [epoch(first, number) for number in (1, 2)] == expected[:2]
    file = io.BytesIO()
    torch.save(pack(first.state_dict()), file)  # as a checkpoint holds it
    file.seek(0)
    second = task()
    second.load_state_dict(unpack(torch.load(file, weights_only=True)))
    assert [epoch(second, number) for number in (3, 4)] == expected[2:]


def test_layers_that_a_module_makes_late_are_there_to_be_measured(
    task: Callable[[], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integrations import lightning_task

    monkeypatch.setattr(lightning_task.Task, "make_module", lambda self, hparams: lightning_task.Late(hparams["width"]))
    assert trainable_parameters(task().model) == 64 * 32 + 32 + 32 * 10 + 10


def test_a_callback_that_ended_one_training_does_not_end_the_next(data: Any) -> None:
    import lightning.pytorch as pl

    from tests.integrations.lightning_task import Task

    class Stopping(Task):
        # At once, for the loss never falls by so much.
        trainer_options: ClassVar[Mapping[str, Any]] = {
            "callbacks": [pl.callbacks.EarlyStopping("dev_loss", min_delta=100.0, patience=2)]
        }

    for _ in range(2):
        training = Stopping({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=9)
        assert [bool(epoch(training, number)) for number in (1, 2, 3)] == [True] * 3
        state = training.state_dict()
        with pytest.raises(TrainingOver):
            epoch(training, 4)
        training.load_state_dict(state)  # as of a trial that was paused there and is promoted
        with pytest.raises(TrainingOver):
            epoch(training, 4)
        training.close()


def test_a_checkpoint_callback_of_ones_own_does_not_hinder_the_evaluation(data: Any, tmp_path: Path) -> None:
    import lightning.pytorch as pl

    from tests.integrations.lightning_task import Task

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
    from tests.integrations.lightning_task import Task

    class Deciding(Task):
        trainer_options: ClassVar[Mapping[str, Any]] = {"accelerator": "cpu"}

    with pytest.raises(SpaceError, match="trainer_options of Deciding holds 'accelerator', which the study decides"):
        Deciding({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=1)


def test_a_module_that_leaves_weights_out_of_its_checkpoint_goes_on_from_it(data: Any) -> None:
    from tests.integrations.lightning_task import Module, Task

    class Frozen(Module):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.strict_loading = False

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            del checkpoint["state_dict"]["layers.0.weight"]

    class Leaving(Task):
        def make_module(self, hparams: Mapping[str, Any]) -> pl.LightningModule:
            return Frozen(hparams["width"])

    def weight(of: Task, layer: int) -> Tensor:
        found: Tensor = of.module.state_dict()[f"layers.{layer}.weight"]
        return found.clone()

    first, second = (Leaving({"width": 32}, data, seed=0, device=torch.device("cpu"), max_epochs=2) for _ in range(2))
    epoch(first, 1)
    left_out = weight(second, 0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(weight(second, 3), weight(first, 3))
    assert torch.equal(weight(second, 0), left_out)
    assert not torch.equal(left_out, weight(first, 0))
    assert epoch(second, 2).keys() == epoch(first, 2).keys()
    for one in (first, second):
        one.close()


def test_a_split_is_evaluated_by_the_validation_step(task: Callable[[], Task], data: Any) -> None:
    trained = task()
    metrics = epoch(trained, 1)
    found = trained.evaluate(data.dev)
    assert found == pytest.approx(
        {"loss": metrics["dev_loss"], "accuracy": metrics["dev_accuracy"], "n": len(data.dev[1])}
    )
