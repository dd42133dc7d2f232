"""Tests of `tuner.engine.dry_run`: what nobody reads, and what does not fit, is found before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from torch import nn

from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.dry_run import check_hparams
from tuner.errors import SpaceError
from tuner.models import get_model
from tuner.search.space import SearchSpace

Hparams = Mapping[str, Any]
NAMES = tuple("abcdefghij")


def data(names: tuple[str, ...] = NAMES) -> SearchData:
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20) % 10, names)
    return SearchData(split, split)


def net(units: int, classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, units), nn.ReLU(), nn.Linear(units, classes))


def check(model: Callable[[Hparams], nn.Module], *tried: Hparams, on: SearchData | None = None) -> None:
    space = SearchSpace("mine", lambda trial: {}, ({},))
    check_hparams(space, get_model(model), on or data(), tried)


def reading(hparams: Hparams) -> nn.Module:
    return net(hparams["units"] if hparams.get("deep") else 4)


class Late(nn.Module):
    """Reads a hyperparameter when it is asked, and not before."""

    def __init__(self, hparams: Hparams) -> None:
        super().__init__()
        self.hparams, self.net = hparams, net(4)

    def forward(self, images: Any) -> Any:
        return self.net(images) * self.hparams["scale"]


def test_what_the_loop_the_builder_or_the_forward_pass_reads_is_known() -> None:
    check(reading, {"deep": True, "units": 8, "learning_rate": 0.1})
    check(Late, {"scale": 2.0, "batch_size": 16})


def test_a_warm_up_of_many_epochs_is_no_fault_of_a_configuration() -> None:
    check(reading, {"deep": False, "lr_decay": "cosine", "warmup_epochs": 5.0, "cooldown": 0.5})


@pytest.mark.parametrize(
    ("name", "hint"),
    [("learning_rte", "did you mean 'learning_rate'"), ("unit", "did you mean 'units'"), ("q", "known")],
)
def test_what_nobody_reads_is_refused_with_the_nearest_known_name(name: str, hint: str) -> None:
    with pytest.raises(SpaceError, match=f"returns hyperparameter '{name}', which neither .*{hint}"):
        check(reading, {"deep": True, "units": 8, name: 0.1})


def test_what_only_the_retraining_has_must_be_read_and_lawful_too() -> None:
    def check_retrain(**retrain: Any) -> None:
        space = SearchSpace("mine", lambda trial: {}, ({},), retrain=retrain)
        check_hparams(space, get_model(reading), data(), [{"deep": False}])

    check_retrain(deep=True, units=8, cooldown=0.5)
    with pytest.raises(SpaceError, match="returns hyperparameter 'unitz', which neither"):
        check_retrain(deep=True, units=8, unitz=9)
    with pytest.raises(SpaceError, match="cannot be trained with: cooldown is 2"):
        check_retrain(deep=True, units=8, cooldown=2.0)


def test_a_hyperparameter_of_a_branch_is_looked_for_in_a_configuration_that_has_it() -> None:
    check(reading, {"deep": False}, {"deep": True, "units": 8})
    with pytest.raises(SpaceError, match="'unitz'"):
        check(reading, {"deep": False}, {"deep": False, "unitz": 8})


def test_a_sampled_value_that_breaks_a_law_is_refused() -> None:
    with pytest.raises(SpaceError, match="cannot be trained with: optimizer is 'SGD', but must be one of"):
        check(reading, {"deep": False}, {"deep": False, "optimizer": "SGD"})


def test_a_first_configuration_that_cannot_be_built_or_does_not_take_the_data_is_refused() -> None:
    with pytest.raises(SpaceError, match="the first start configuration of space 'mine' cannot be trained: KeyError"):
        check(reading, {"deep": True})
    with pytest.raises(SpaceError, match="cannot be trained: ConfigError: the model does not take"):
        check(lambda hparams: nn.Linear(3, 10), {})


def test_another_configuration_that_cannot_be_built_fails_as_a_trial() -> None:
    check(reading, {"deep": False}, {"deep": True, "width": 3})


def test_a_model_of_more_classes_than_have_a_name_is_refused_with_both_numbers() -> None:
    with pytest.raises(SpaceError, match="the model tells 1000 classes apart, but the data have 10"):
        check(lambda hparams: net(4, 1000), {})
    check(lambda hparams: net(4, 1000), {}, on=data(()))


def test_a_lazy_model_and_one_that_flattens_by_view_are_taken() -> None:
    class ByView(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 784, 10)

        def forward(self, images: Any) -> Any:
            features = self.conv(images)
            return self.fc(features.view(features.size(0), -1))

    check(lambda hparams: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), {})
    check(lambda hparams: ByView(), {})
