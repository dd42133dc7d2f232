"""Tests of `tuner.models.cnn`: the reference's layers, and hyperparameters that are impossible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tuner.errors import ConfigError
from tuner.models.cnn import DEFAULTS, build
from tuner.models.summary import summarize

WIDTHS = [name for name in DEFAULTS if name.endswith("_width")]
DROPOUTS = [name for name in DEFAULTS if name.endswith("_dropout")]


def count(prefix: str) -> int:
    return sum(layer.parameters for layer in summarize(build({})).layers if layer.name.startswith(prefix))


@pytest.mark.parametrize(
    ("prefix", "parameters"),
    [
        ("stem.conv1", 160),
        ("stem.conv2", 2_320),
        ("block1.", 14_016),
        ("block2.", 55_680),
        ("block3.", 221_952),
        ("block4.", 886_272),
        ("head.", 590_080),
        ("dense1.", 33_408),
        ("dense2.", 8_512),
        ("logits", 650),
    ],
)
def test_every_part_has_the_references_number_of_parameters(prefix: str, parameters: int) -> None:
    assert count(prefix) == parameters


def test_the_totals_are_the_references() -> None:
    summary = summarize(build({}))
    assert (summary.total, summary.trainable, summary.non_trainable) == (1_813_050, 1_811_706, 1_344)


def test_the_layers_come_in_the_references_order_with_its_shapes() -> None:
    rows = [(layer.name, layer.output_shape) for layer in summarize(build({})).layers]
    assert rows == [
        ("stem.conv1", (16, 28, 28)),
        ("stem.conv2", (16, 28, 28)),
        ("block1.conv1", (32, 28, 28)),
        ("block1.conv2", (32, 28, 28)),
        ("block1.norm", (32, 28, 28)),
        ("block1.pool", (32, 14, 14)),
        ("block1.dropout", (32, 14, 14)),
        ("block2.conv1", (64, 14, 14)),
        ("block2.conv2", (64, 14, 14)),
        ("block2.norm", (64, 14, 14)),
        ("block2.pool", (64, 7, 7)),
        ("block2.dropout", (64, 7, 7)),
        ("block3.conv1", (128, 7, 7)),
        ("block3.conv2", (128, 7, 7)),
        ("block3.norm", (128, 7, 7)),
        ("block3.pool", (128, 3, 3)),
        ("block3.dropout", (128, 3, 3)),
        ("block4.conv1", (256, 3, 3)),
        ("block4.conv2", (256, 3, 3)),
        ("block4.norm", (256, 3, 3)),
        ("block4.pool", (256, 1, 1)),
        ("head.conv", (256, 1, 1)),
        ("head.dropout", (256, 1, 1)),
        ("head.pool", (256, 1, 1)),
        ("head.flatten", (256,)),
        ("dense1.linear", (128,)),
        ("dense1.norm", (128,)),
        ("dense1.dropout", (128,)),
        ("dense2.linear", (64,)),
        ("dense2.norm", (64,)),
        ("dense2.dropout", (64,)),
        ("logits", (10,)),
    ]


def test_the_forward_pass_is_that_of_plain_torch_layers() -> None:
    torch.manual_seed(0)
    model = build({}).eval()
    plain: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            plain.append(_without_relu(module))
            plain += [] if module is model.logits else [nn.ReLU()]
        elif not list(module.children()):
            plain.append(module)
    images = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(model(images), nn.Sequential(*plain).eval()(images))


def _without_relu(module: nn.Conv2d | nn.Linear) -> nn.Module:
    """The same layer of torch's own class, which has no activation."""
    plain: nn.Module
    if isinstance(module, nn.Conv2d):
        plain = nn.Conv2d(module.in_channels, module.out_channels, 3, padding="same")
    else:
        plain = nn.Linear(module.in_features, module.out_features)
    plain.load_state_dict(module.state_dict())
    return plain


def test_every_width_changes_its_own_layer() -> None:
    widths = {name: index + 2 for index, name in enumerate(WIDTHS)}
    layers = {layer.name: layer for layer in summarize(build(widths)).layers}
    found = [
        layers[name].output_shape[0]  # type: ignore[index]
        for name in (
            "stem.conv1",
            "stem.conv2",
            "block1.conv2",
            "block2.conv2",
            "block3.conv2",
            "block4.conv2",
            "head.conv",
            "dense1.linear",
            "dense2.linear",
        )
    ]
    assert found == list(widths.values())


def test_every_dropout_rate_reaches_its_own_layer() -> None:
    rates = {name: (index + 1) / 10 for index, name in enumerate(DROPOUTS)}
    modules = dict(build(rates).named_modules())
    found = {
        f"{name.removesuffix('.dropout')}_dropout": module.p
        for name, module in modules.items()
        if isinstance(module, nn.Dropout)
    }
    assert found == rates


def test_batch_norm_learns_its_statistics_with_torchs_momentum() -> None:
    norms = [module for module in build({}).modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert [norm.momentum for norm in norms] == [0.1] * 6


def test_numbers_of_numpy_are_numbers() -> None:
    build({"stem1_width": np.int64(4), "head_dropout": np.float32(0.5)})


@pytest.mark.parametrize("value", [0, -1, 1.5, 16.0, True, "16", None])
@pytest.mark.parametrize("name", [WIDTHS[0], WIDTHS[-1]])
def test_an_impossible_width_is_named_with_its_law(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        build({name: value})
    assert str(caught.value) == f"{name} is {value!r}, but must be a whole number of at least 1."


@pytest.mark.parametrize("value", [1.0, -0.1, 2, float("nan"), False, "0.1", None])
@pytest.mark.parametrize("name", [DROPOUTS[0], DROPOUTS[-1]])
def test_an_impossible_dropout_rate_is_named_with_its_law(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        build({name: value})
    assert str(caught.value) == f"{name} is {value!r}, but must be a number of at least 0 and below 1."
