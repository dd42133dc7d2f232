"""Tests of `tuner.training.trainable`: what counts as a training, and what it is called with."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tuner.errors import SpaceError
from tuner.training.trainable import TrainableSpec, trainable_of

GIVEN: dict[str, Any] = {"seed": 1, "device": torch.device("cpu"), "max_epochs": 3, "precision": torch.bfloat16}


class Plain:
    def __init__(self, hparams: Any, data: Any, *, seed: int, device: torch.device, **more: Any) -> None:
        self.given = {"seed": seed, "device": device, **more}

    def train_epoch(self) -> dict[str, float]:
        return {}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {}


class Saving(Plain):
    def __init__(self, hparams: Any, data: Any, *, seed: int, device: torch.device, max_epochs: int) -> None:
        super().__init__(hparams, data, seed=seed, device=device, max_epochs=max_epochs)

    def state_dict(self) -> Any:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


class HalfSaving(Plain):
    def state_dict(self) -> Any: ...


class Silent:
    def __init__(self, hparams: Any, data: Any, *, seed: int, device: torch.device) -> None: ...

    def train_epoch(self) -> Any: ...


class Bare(Plain):
    def __init__(self, hparams: Any) -> None: ...


class Demanding(Plain):
    def __init__(self, hparams: Any, data: Any, *, seed: int, device: torch.device, epochs: int) -> None: ...


def generator(hparams: Any, data: Any, *, seed: int, device: torch.device, precision: Any = None) -> Any:
    yield {"precision": precision}


def make(spec: TrainableSpec) -> Any:
    return spec.make({}, None, **GIVEN)


@pytest.mark.parametrize(("trainable", "saves"), [(Plain, False), (Saving, True), (generator, False)])
def test_a_training_saves_its_state_if_it_has_the_two_methods(trainable: Any, saves: bool) -> None:
    spec = trainable_of(trainable)
    assert (spec.name, spec.saves_state) == (trainable.__name__, saves)


def test_a_training_gets_the_optional_arguments_that_it_names() -> None:
    assert make(trainable_of(Saving)).given == {name: GIVEN[name] for name in ("seed", "device", "max_epochs")}
    assert make(trainable_of(Plain)).given == GIVEN
    assert make(trainable_of(generator)).train_epoch() == {"precision": torch.bfloat16}


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (Silent, r"the class Silent, but lacks evaluate\(\)"),
        (HalfSaving, r"HalfSaving, but has only one of state_dict\(\) and load_state_dict"),
        (Bare, r"TRAINABLE Bare must take \(hparams, data, \*, seed, device\), but: too many positional"),
        (Demanding, "but: missing a required .*'epochs'"),
        (lambda hparams: None, "TRAINABLE is <lambda>, but must be a class or a generator function"),
        (3, "TRAINABLE is 3, but must be a class or a generator function"),
    ],
)
def test_what_is_no_training_is_refused_with_the_reason(trainable: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        trainable_of(trainable)
