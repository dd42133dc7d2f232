"""Tests of `tuner.models.resnet`: its layers and parameters, and hyperparameters that are impossible."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tuner.errors import ConfigError
from tuner.models import DataShape
from tuner.models.resnet import build
from tuner.models.summary import summarize, trainable_parameters


def test_it_is_the_resnet_20_of_the_paper() -> None:
    model = build({})
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert sum(module.kernel_size == (3, 3) for module in convolutions) == 19  # and one dense layer
    # With 3 channels and shortcuts without weights it has 269,722; ours has 1 channel and two shortcuts of 1x1.
    assert trainable_parameters(model) == 269_722 - 2 * 9 * 16 + 16 * 32 + 32 * 64


def test_its_stages_halve_the_sides() -> None:
    model = build({"stage1_width": 4, "stage_blocks": 1})
    shapes = {layer.name: layer.output_shape for layer in summarize(model).layers}
    assert [shapes[f"stage{stage}.0.norm2"] for stage in (1, 2, 3)] == [(4, 28, 28), (8, 14, 14), (16, 7, 7)]
    assert shapes["head.logits"] == (10,)


def test_it_fits_the_data() -> None:
    model = build({"stage1_width": 4, "stage_blocks": 1}, DataShape((3, 9, 11), classes=4))
    assert model(torch.zeros(2, 3, 9, 11)).shape == (2, 4)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"stage1_width": 0}, "stage1_width is 0, but must be a whole number of at least 1"),
        ({"stage_blocks": 1.5}, "stage_blocks is 1.5, but must be a whole number of at least 1"),
        ({"head_dropout": 1.0}, "head_dropout is 1.0, but must be a number of at least 0 and below 1"),
    ],
)
def test_an_impossible_value_is_named_with_the_law(hparams: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(hparams)


@pytest.mark.parametrize("shape", [(784,), (1, 3, 28)])
def test_what_is_no_image_of_a_fitting_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="the ResNet takes images"):
        build({}, DataShape(shape, classes=10))
