"""Tests of `tuner.models.resnet`: its layers and parameters, and hyperparameters that are impossible."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tuner.errors import ConfigError
from tuner.models import DataShape
from tuner.models.resnet import ResidualBlock, build
from tuner.models.summary import summarize, trainable_parameters


def test_it_has_eight_convolutions_and_one_dense_layer() -> None:
    model = build({})
    widths = [(each.in_channels, each.out_channels) for each in model.modules() if isinstance(each, nn.Conv2d)]
    assert widths == [(1, 24), (24, 48), (48, 48), (48, 48), (48, 96), (96, 192), (192, 192), (192, 192)]
    weights = sum(9 * one * other for one, other in widths)
    norms = 2 * sum(other for _, other in widths)
    assert trainable_parameters(model) == weights + norms + 192 * 10 + 10


def test_its_stages_halve_the_sides() -> None:
    shapes = {layer.name: layer.output_shape for layer in summarize(build({"stem_width": 4})).layers}
    assert shapes["stem.conv"] == (4, 28, 28)
    assert [shapes[f"stage{stage}.conv.norm"] for stage in (1, 2, 3)] == [(8, 14, 14), (16, 7, 7), (32, 3, 3)]
    assert shapes["logits"] == (10,)


def test_a_block_adds_to_its_input() -> None:
    block = ResidualBlock(2).eval()
    nn.init.zeros_(dict(block.named_parameters())["conv2.norm.weight"])
    features = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(features), features)


def test_the_logits_are_scaled() -> None:
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = build({"stem_width": 2, "logit_scale": 1.0}, DataShape((1, 8, 8), classes=3)).eval()
    small = build({"stem_width": 2, "logit_scale": 0.25}, DataShape((1, 8, 8), classes=3)).eval()
    small.load_state_dict(whole.state_dict())
    torch.testing.assert_close(small(images), whole(images) / 4)


def test_it_fits_the_data() -> None:
    model = build({"stem_width": 4}, DataShape((3, 9, 11), classes=4))
    assert model(torch.zeros(2, 3, 9, 11)).shape == (2, 4)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"stem_width": 0}, "stem_width is 0, but must be a whole number of at least 1"),
        ({"stem_width": True}, "stem_width is True, but must be a whole number of at least 1"),
        ({"head_dropout": 1.0}, "head_dropout is 1.0, but must be a number of at least 0 and below 1"),
        ({"logit_scale": 0.0}, "logit_scale is 0.0, but must be a number above 0"),
        ({"logit_scale": float("nan")}, "logit_scale is nan, but must be a number above 0"),
    ],
)
def test_an_impossible_value_is_named_with_the_law(hparams: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(hparams)


@pytest.mark.parametrize("shape", [(784,), (1, 3, 28)])
def test_what_is_no_image_of_a_fitting_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="the ResNet takes images"):
        build({}, DataShape(shape, classes=10))
