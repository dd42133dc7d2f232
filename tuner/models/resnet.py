"""A shallow, wide residual network for small images, which trains fast: eight convolutions and one dense layer."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tuner.errors import ConfigError
from tuner.models import DataShape, laws

DEFAULTS: dict[str, Any] = {"stem_width": 24, "head_dropout": 0.0, "logit_scale": 0.2}
"""Channels of the first convolution, the last has eight times as many: 0.93 million parameters. What is dropped before
the logits, and by what they are multiplied, so that a training begins near even odds.
"""

_SMALLEST = 8
"""Pixels; the three poolings would leave nothing of a smaller image."""
_SHAPE = DataShape((1, 28, 28), classes=10)


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, width)
        self.conv2 = _convolution(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, width, h, w] to [n, width, h, w]."""
        inner: Tensor = self.conv2(self.conv1(features))
        return features + inner


class Logits(nn.Linear):
    """A dense layer whose answer is scaled."""

    def __init__(self, width: int, classes: int, scale: float) -> None:
        super().__init__(width, classes)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, width] to [n, classes]."""
        return super().forward(features) * self.scale


def build(hparams: Mapping[str, Any], data: DataShape = _SHAPE) -> nn.Module:
    """Return the untrained network: float images [n, channels, height, width] to logits [n, classes].

    The shape is that of the ResNet-9 with which David Page trained CIFAR-10 in a minute ("How to train your ResNet",
    2018), narrower and for any small image. Unlike there, pooling comes before batch norm, which then has a quarter of
    the work.

    Keys of `hparams` that are not in DEFAULTS are ignored, absent ones take their value there. Raises ConfigError for
    an impossible one, or for data that are no images of a fitting size.
    """
    values = {name: hparams.get(name, default) for name, default in DEFAULTS.items()}
    width = laws.width("stem_width", values["stem_width"])
    dropout = laws.rate("head_dropout", values["head_dropout"])
    scale = _scale(values["logit_scale"])
    if len(data.input_shape) != 3 or min(data.input_shape[1:]) < _SMALLEST:
        law = f"images [channels, height, width] of at least {_SMALLEST} pixels each way"
        raise ConfigError(f"the inputs have shape {list(data.input_shape)}, but the ResNet takes {law}.")
    parts: list[tuple[str, nn.Module]] = [
        ("stem", _convolution(data.input_shape[0], width)),
        ("stage1", _stage(width, residual=True)),
        ("stage2", _stage(2 * width, residual=False)),
        ("stage3", _stage(4 * width, residual=True)),
        ("pool", nn.AdaptiveMaxPool2d(1)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(dropout)),
        ("logits", Logits(8 * width, data.classes, scale)),
    ]
    return nn.Sequential(OrderedDict(parts))


def _stage(width_in: int, *, residual: bool) -> nn.Sequential:
    """Return what doubles the channels and halves the sides."""
    stage = nn.Sequential(OrderedDict(conv=_convolution(width_in, 2 * width_in, pool=True)))
    if residual:
        stage.add_module("block", ResidualBlock(2 * width_in))
    return stage


def _convolution(width_in: int, width: int, *, pool: bool = False) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(width_in, width, 3, padding=1, bias=False))
    if pool:
        parts["pool"] = nn.MaxPool2d(2)
    parts["norm"] = nn.BatchNorm2d(width)
    parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


def _scale(value: Any) -> float:
    if not laws.is_number(value) or not 0.0 < float(value) < math.inf:
        raise ConfigError(f"logit_scale is {value!r}, but must be a number above 0.")
    return float(value)
