"""Tests of the Transformers adapter."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tuner.training.trainable import TrainingOver

if TYPE_CHECKING:
    from tests.integrations.transformers_task import Task

pytestmark = pytest.mark.timeout(180)  # Transformers takes long to import


def sentences(seed: int, n: int) -> list[dict[str, Any]]:
    """Sentences of 8 words; the label is whether word 3 occurs."""
    words = np.random.default_rng(seed).integers(4, 16, (n, 8))
    words[::2, 0] = 3
    return [{"input_ids": torch.tensor(one), "labels": int(3 in one)} for one in words]


DATA = SimpleNamespace(train=sentences(0, 64), dev=sentences(1, 32))


@pytest.fixture
def task() -> Iterator[Callable[[], Task]]:
    """Makes equal trainings."""
    from tests.integrations.transformers_task import Task

    made: list[Task] = []

    def make() -> Task:
        torch.manual_seed(0)
        made.append(Task({"width": 16}, DATA, seed=5, device=torch.device("cpu"), max_epochs=3))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert not any(thread.name == "taking turns" for thread in threading.enumerate())


def epoch(of: Task, number: int) -> dict[str, float]:
    torch.manual_seed(100 + number)  # as the session seeds each epoch
    return of.train_epoch()


def test_an_epoch_s_metrics_are_those_of_its_evaluation_and_its_loss(
    task: Callable[[], Task], capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = task().train_epoch()
    assert metrics.keys() == {"train_loss", "dev_loss", "dev_accuracy"}
    assert capsys.readouterr().out == ""


def test_a_training_that_goes_on_from_a_checkpoint_equals_one_that_was_never_stopped(task: Callable[[], Task]) -> None:
    whole = task()
    expected = [epoch(whole, number) for number in (1, 2, 3)]
    first = task()
    assert epoch(first, 1) == expected[0]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = task()
    second.load_state_dict(torch.load(file, weights_only=True))
    assert [epoch(second, number) for number in (2, 3)] == expected[1:]


def test_what_a_callback_ended_stays_so_where_it_is_taken_up_again() -> None:
    from transformers import TrainerCallback

    from tests.integrations.transformers_task import Task

    class Ending(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = True

    class Ended(Task):
        def make_trainer(self, hparams: Mapping[str, Any], data: Any, **arguments: Any) -> Any:
            trainer = super().make_trainer(hparams, data, **arguments)
            trainer.add_callback(Ending())
            return trainer

    first, second = (Ended({"width": 16}, DATA, seed=5, device=torch.device("cpu"), max_epochs=3) for _ in range(2))
    assert epoch(first, 1)
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        with pytest.raises(TrainingOver):
            epoch(one, 2)
        one.close()


def test_what_went_back_to_an_earlier_epoch_saves_that_one(task: Callable[[], Task]) -> None:
    trained = task()
    trained.train_epoch()
    first = trained.state_dict()
    trained.train_epoch()
    trained.load_state_dict(first)
    found = trained.state_dict()
    assert found.keys() == first.keys()
    assert all(torch.equal(found[name], content) for name, content in first.items())


def test_a_checkpoint_may_have_folders_and_writes_nothing_beside_them(task: Callable[[], Task], tmp_path: Path) -> None:
    trained = task()
    trained.train_epoch()
    (trained._newest() / "1_Pooling").mkdir()
    (trained._newest() / "1_Pooling" / "config.json").write_text("{}")
    state = trained.state_dict()
    other = task()
    other.load_state_dict(state)
    assert (other._newest() / "1_Pooling" / "config.json").read_text() == "{}"
    for outside in ("../stray", str(tmp_path / "stray")):
        with pytest.raises(ValueError, match="lies outside of it"):
            other.load_state_dict(state | {outside: torch.zeros(1, dtype=torch.uint8)})


def test_weights_that_were_loaded_are_those_that_are_evaluated(task: Callable[[], Task]) -> None:
    trained = task()
    metrics = trained.train_epoch()
    other = task()
    other.load_state_dict(trained.state_dict())
    found = other.evaluate(DATA.dev)
    assert found == pytest.approx(
        {"loss": metrics["dev_loss"], "accuracy": metrics["dev_accuracy"], "n": len(DATA.dev)}
    )
