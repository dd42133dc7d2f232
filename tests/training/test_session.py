"""Tests of `tuner.training.session`: any training's epochs are counted, checked, reproducible and gone on with."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tuner.errors import TrialFailedError
from tuner.search.objective import Objective
from tuner.search.report import EpochReport
from tuner.training.session import Session
from tuner.training.trainable import Trainable, TrainingOver, trainable_of

RMSE = Objective("dev_rmse", "minimize")
DATA = SimpleNamespace(train=[1.0], dev=[2.0])
CPU = torch.device("cpu")


class Walk:
    """A random walk whose every step draws from all three global generators."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device) -> None:
        self.where = np.array([draw()])
        self.steps = np.int64(0)

    def train_epoch(self) -> Mapping[str, float]:
        self.where = self.where + draw()
        self.steps += 1
        return {"dev_rmse": abs(float(self.where[0])), "steps": float(self.steps)}

    def evaluate(self, split: list[float]) -> Mapping[str, float]:
        return {"rmse": float(self.where[0]) - split[0], "noise": draw()}

    def state_dict(self) -> dict[str, Any]:
        return {"where": self.where, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.where, self.steps = state["where"], state["steps"]


def draw() -> float:
    return random.random() + np.random.rand() + torch.rand(()).item() - 1.5


def of_metrics(*epochs: Any) -> type[Trainable]:
    """Make a training whose epochs bring these."""

    class Given(Walk):
        def train_epoch(self) -> Any:
            return epochs[int(super().train_epoch()["steps"]) - 1]

    return Given


def session(trainable: Any = Walk, **changed: Any) -> Session:
    arguments: dict[str, Any] = {
        "objectives": (RMSE,),
        "seed": 5,
        "max_epochs": 4,
        "patience": None,
        "device": CPU,
        "precision": torch.float32,
        **changed,
    }
    return Session(trainable_of(trainable), {}, DATA, **arguments)


def run(one: Session) -> list[tuple[int, dict[str, float]]]:
    """Train to the end; return each epoch and its metrics."""
    found = []
    while not one.finished:
        report = one.run_epoch()
        found.append((report.epoch, dict(report.metrics)))
    return found


def test_equal_seeds_train_alike_whatever_generator_they_draw_from_and_others_do_not() -> None:
    expected = run(session())
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    assert run(session()) == expected
    assert run(session(seed=6)) != expected


def test_every_epoch_draws_other_numbers() -> None:
    found = [metrics["dev_rmse"] for _, metrics in run(session())]
    assert len(set(np.diff(found, prepend=0.0))) == 4


def test_the_callers_random_numbers_are_left_alone() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    run(session())
    assert draw() == expected


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_session_gone_on_with_from_a_file_equals_an_uninterrupted_one(tmp_path: Path, epochs: int) -> None:
    whole = session(keep_best=True)
    expected = run(whole)
    first = session(keep_best=True)
    for _ in range(epochs):
        first.run_epoch()
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = session(keep_best=True)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert expected[:epochs] + run(second) == expected
    assert second.restore_best().epoch == whole.restore_best().epoch
    assert second.evaluate([0.0]) == whole.evaluate([0.0])


def test_a_state_comes_back_with_its_types() -> None:
    one = session()
    one.run_epoch()
    other = session()
    other.load_state_dict(one.state_dict())
    assert isinstance(other.trainable, Walk)
    assert isinstance(other.trainable.where, np.ndarray)
    assert isinstance(other.trainable.steps, np.int64)


def test_the_best_epoch_is_the_one_the_objective_prefers_and_the_earliest_of_equals() -> None:
    trainable = of_metrics({"dev_rmse": 3.0}, {"dev_rmse": 1.0}, {"dev_rmse": 1.0}, {"dev_rmse": 2.0})
    for direction, best in (("minimize", 2), ("maximize", 1)):
        one = session(trainable, objectives=(Objective("dev_rmse", direction),))  # type: ignore[arg-type]
        run(one)
        assert one.best is not None
        assert one.best.epoch == best


def test_the_best_epochs_state_is_restored_where_it_was_kept_else_the_last_stays() -> None:
    trainable = of_metrics({"dev_rmse": 3.0}, {"dev_rmse": 1.0}, {"dev_rmse": 2.0})
    for keep_best, epoch in ((True, 2), (False, 3)):
        one = session(trainable, keep_best=keep_best, max_epochs=3)
        run(one)
        assert one.restore_best().epoch == epoch
        assert one.trainable.steps == epoch  # type: ignore[attr-defined]


def test_patience_counts_from_the_best_epoch() -> None:
    trainable = of_metrics({"dev_rmse": 3.0}, {"dev_rmse": 1.0}, {"dev_rmse": 2.0}, {"dev_rmse": 1.0}, {"dev_rmse": 0})
    assert [epoch for epoch, _ in run(session(trainable, max_epochs=9, patience=2))] == [1, 2, 3, 4]


def test_a_generator_whose_best_is_wanted_trains_to_its_end_for_only_then_it_can_be_evaluated() -> None:
    def train(hparams: Any, data: Any, *, seed: int, device: torch.device, max_epochs: int) -> Any:
        for epoch in range(max_epochs):
            yield {"dev_rmse": float(epoch)}
        return lambda split: {"rmse": 7.0}

    one = session(train, max_epochs=5, patience=2, keep_best=True)
    assert len(run(one)) == 5
    assert one.evaluate(DATA.dev) == {"rmse": 7.0}
    assert len(run(session(train, max_epochs=5, patience=2))) == 3


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"dev_rmse": math.nan}, "'dev_rmse' is nan in epoch 1"),
        ({"dev_rmse": -math.inf}, "'dev_rmse' is -inf in epoch 1"),
        ({"rmse": 1.0}, "reports no 'dev_rmse'.*it reports: rmse"),
        ({"dev_rmse": "low"}, "the metric 'dev_rmse' is 'low' in epoch 1, but must be a number"),
        ({"dev_rmse": 1.0, "f1": [0.5, 0.6]}, r"the metric 'f1' is \[0.5, 0.6\] in epoch 1"),
        ({"dev_rmse": torch.ones(2)}, "the metric 'dev_rmse' is tensor"),
        ({"dev_rmse": np.ones(2)}, "the metric 'dev_rmse' is array"),
        ({"dev_rmse": None}, "the metric 'dev_rmse' is None"),
        (1.0, "epoch 1 brought 1.0, but must bring a dictionary"),
        ({3: 1.0}, "must bring a dictionary of metrics by name"),
    ],
)
def test_metrics_that_are_none_fail_the_trial_with_a_sentence_that_names_them(metrics: Any, message: str) -> None:
    one = session(of_metrics(metrics))
    with pytest.raises(TrialFailedError, match=message):
        one.run_epoch()


def test_numbers_of_numpy_and_torch_are_metrics_and_what_is_not_finite_beside_the_objective_is_missing() -> None:
    metrics = {"dev_rmse": torch.tensor([2.0]), "f1": np.float32(0.5), "done": True, "loss": math.nan}
    assert session(of_metrics(metrics)).run_epoch().metrics == {"dev_rmse": 2.0, "f1": 0.5, "done": 1.0}


def test_a_training_that_ends_by_itself_reports_its_last_epoch_again_and_is_finished() -> None:
    class Short(Walk):
        def train_epoch(self) -> Mapping[str, float]:
            if self.steps == 2:
                raise TrainingOver
            return super().train_epoch()

    one = session(Short)
    reports: list[EpochReport] = []
    while not one.finished:
        reports.append(one.run_epoch())
    assert [report.epoch for report in reports] == [1, 2, 2]
    assert one.epoch == 2


def test_a_training_without_an_epoch_fails() -> None:
    def nothing(hparams: Any, data: Any, *, seed: int, device: torch.device) -> Iterator[Mapping[str, float]]:
        yield from ()

    with pytest.raises(TrialFailedError, match="ended before it had finished an epoch"):
        session(nothing).run_epoch()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [1, {"b": {1, 2}}]}, r"state_dict\(\)\['a'\]\[1\]\['b'\] is a value of type set, which a checkpoint"),
        ({"f": np.array([None])}, r"\['f'\] is a value of type array of object"),
        ({(1, 2): 3}, r"a key of state_dict\(\) is a value of type tuple"),
        ({"model": torch.nn.Linear(1, 1)}, r"\['model'\] is a value of type Linear"),
    ],
)
def test_a_state_that_no_checkpoint_can_hold_is_refused_with_its_place(state: Any, message: str) -> None:
    class Odd(Walk):
        def state_dict(self) -> Any:
            return state

    with pytest.raises(TrialFailedError, match=message):
        session(Odd).state_dict()


def test_any_lawful_state_survives_a_file(tmp_path: Path) -> None:
    layer = torch.nn.BatchNorm1d(3)
    state = {
        "model": layer.state_dict(),
        "optimizer": torch.optim.Adam(layer.parameters()).state_dict(),
        "random": (random.getstate(), np.random.default_rng(1).bit_generator.state),
        "arrays": [np.zeros((0, 3)), np.arange(6).reshape(2, 3).T, np.array("text"), np.float16(1.5), np.bool_(True)],
        "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
        "torch": [torch.float16, torch.Size([1, 2]), CPU],
        "plain": OrderedDict(a=None, b=[True, 2, "three"]),
    }
    found: dict[str, Any] = {}

    class Rich(Walk):
        def state_dict(self) -> Any:
            return state

        def load_state_dict(self, state: Any) -> None:
            found.update(state)

    torch.save(session(Rich).state_dict(), tmp_path / "state.pt")
    session(Rich).load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for array, again in zip(state["arrays"], found.pop("arrays"), strict=True):
        assert type(again) is type(array)
        np.testing.assert_array_equal(again, array, strict=True)
    assert found["dates"] == state["dates"]
    assert found["model"]._metadata == layer.state_dict()._metadata  # type: ignore[attr-defined]
    assert list(found["model"]) == list(layer.state_dict())
    for name in ("optimizer", "random", "torch", "plain"):
        assert found[name] == state[name], name


# Generators.


def counting(hparams: Any, data: Any, *, seed: int, device: torch.device, max_epochs: int) -> Any:
    """Trains as long as it may, then can evaluate."""
    total = 0.0
    for epoch in range(max_epochs):
        total += draw()
        yield {"dev_rmse": abs(total), "epoch_seen": epoch}
    return lambda split: {"rmse": total - split[0]}


def test_a_generator_trains_an_epoch_a_yield_and_evaluates_with_what_it_returns() -> None:
    one = session(counting)
    assert [epoch for epoch, _ in run(one)] == [1, 2, 3, 4]
    assert run(session(counting)) == run(session(counting))
    assert abs(one.evaluate([0.0])["rmse"]) == one.reports[-1].metrics["dev_rmse"]
    assert one.evaluate([1.0])["rmse"] == one.evaluate([0.0])["rmse"] - 1


def test_a_generator_keeps_its_last_epoch_for_it_has_no_state() -> None:
    one = session(counting, keep_best=True)
    run(one)
    assert not one.saves_state
    assert one.restore_best() is one.reports[-1]


@pytest.mark.parametrize("epochs", [2, None])
def test_a_generator_that_does_not_know_the_epochs_trains_its_own_number_or_is_closed(epochs: int | None) -> None:
    closed: list[bool] = []

    def train(hparams: Any, data: Any, *, seed: int, device: torch.device) -> Any:
        try:
            for epoch in range(epochs or 10**9):
                yield {"dev_rmse": epoch}
            return lambda split: {"rmse": 7.0}
        finally:
            closed.append(True)

    one = session(train)
    run(one)
    assert one.epoch == (epochs or 4)
    assert one.evaluate(DATA.dev) == ({} if epochs is None else {"rmse": 7.0})
    assert closed == [True]
