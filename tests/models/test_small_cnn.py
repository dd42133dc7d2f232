"""Tests of `tuner.models.small_cnn`: any size and number of classes, and hyperparameters that are impossible."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tuner.errors import ConfigError
from tuner.models import DataShape
from tuner.models.small_cnn import build


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (1, 6, 7)])
def test_it_takes_images_of_any_size_and_any_number_of_classes(shape: tuple[int, int, int]) -> None:
    model = build({"width": 4}, DataShape(shape, 7))
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"width": 0}, "width is 0, but must be a whole number of at least 1"),
        ({"width": True}, "width is True, but must be a whole number"),
        ({"dropout": 1.0}, "dropout is 1.0, but must be a number of at least 0 and below 1"),
    ],
)
def test_an_impossible_hyperparameter_is_refused(hparams: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(hparams)


@pytest.mark.parametrize("shape", [(10,), (1, 5, 28)])
def test_what_is_no_image_of_a_fitting_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="but the small CNN takes images"):
        build({}, DataShape(shape, 10))
