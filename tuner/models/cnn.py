"""The reference CNN for images of 28x28 or more, every width and dropout rate a hyperparameter."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tuner.errors import ConfigError
from tuner.models import DataShape, laws

REFERENCE_SHAPE = DataShape((1, 28, 28), classes=10)
"""What the reference was made for."""

_SMALLEST = 16
"""Pixels; the four poolings would leave nothing of a smaller image."""

DEFAULTS: dict[str, Any] = {
    "stem1_width": 16,
    "stem2_width": 16,
    "block1_width": 32,
    "block2_width": 64,
    "block3_width": 128,
    "block4_width": 256,
    "head_width": 256,
    "dense1_width": 128,
    "dense2_width": 64,
    "block1_dropout": 0.1,
    "block2_dropout": 0.2,
    "block3_dropout": 0.25,
    "head_dropout": 0.3,
    "dense1_dropout": 0.6,
    "dense2_dropout": 0.4,
}
"""The reference's values: 1,813,050 parameters, 1,344 of them running statistics of batch norm."""


class ConvRelu(nn.Conv2d):
    """A 3x3 convolution with padding that keeps height and width, then ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, channels_in, h, w] to [n, channels_out, h, w]."""
        return functional.relu(super().forward(features), inplace=True)


class LinearRelu(nn.Linear):
    """A dense layer, then ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, features_in] to [n, features_out]."""
        return functional.relu(super().forward(features), inplace=True)


def build(hparams: Mapping[str, Any], data: DataShape = REFERENCE_SHAPE) -> nn.Module:
    """Return the untrained CNN: float images [n, channels, height, width] to logits [n, classes].

    Keys of `hparams` that are not in DEFAULTS are ignored, absent ones take the reference's value.
    Raises ConfigError for an impossible width or dropout rate, or for data that are no images of a fitting size.
    """
    channels, pooled = _checked_shape(data.input_shape)
    values = {name: _checked(name, hparams.get(name, default)) for name, default in DEFAULTS.items()}
    width = {name.removesuffix("_width"): value for name, value in values.items() if name.endswith("_width")}
    dropout = {name.removesuffix("_dropout"): value for name, value in values.items() if name.endswith("_dropout")}
    parts: list[tuple[str, nn.Module]] = [
        ("stem", _stem(channels, width["stem1"], width["stem2"])),
        ("block1", _block(width["stem2"], width["block1"], dropout["block1"])),
        ("block2", _block(width["block1"], width["block2"], dropout["block2"])),
        ("block3", _block(width["block2"], width["block3"], dropout["block3"])),
        ("block4", _block(width["block3"], width["block4"], None)),
        ("head", _head(width["block4"], width["head"], dropout["head"])),
        ("dense1", _dense(width["head"] * pooled, width["dense1"], dropout["dense1"])),
        ("dense2", _dense(width["dense1"], width["dense2"], dropout["dense2"])),
        ("logits", nn.Linear(width["dense2"], data.classes)),
    ]
    return nn.Sequential(OrderedDict(parts))


def _checked(name: str, value: Any) -> Any:
    """Return `value` as int or float, or raise ConfigError with the law it breaks."""
    return laws.width(name, value) if name.endswith("_width") else laws.rate(name, value)


def _checked_shape(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the channels, and how many pixels are left of an image after all poolings; raises ConfigError."""
    if len(input_shape) != 3 or min(input_shape[1:]) < _SMALLEST:
        law = f"images [channels, height, width] of at least {_SMALLEST} pixels each way"
        raise ConfigError(f"the inputs have shape {list(input_shape)}, but the CNN takes {law}.")
    channels, height, width = input_shape
    return channels, math.ceil(height // _SMALLEST / 2) * math.ceil(width // _SMALLEST / 2)


def _stem(channels: int, width1: int, width2: int) -> nn.Sequential:
    return _named(conv1=ConvRelu(channels, width1), conv2=ConvRelu(width1, width2))


def _block(width_in: int, width: int, dropout: float | None) -> nn.Sequential:
    """Return two convolutions at one width; pooling halves height and width."""
    block = _named(
        conv1=ConvRelu(width_in, width),
        conv2=ConvRelu(width, width),
        # torch's momentum 0.1, not Keras's equivalent of 0.01: after one epoch those statistics lag so far
        # behind that dev accuracy means nothing, and early rungs decide by it.
        norm=nn.BatchNorm2d(width),
        pool=nn.MaxPool2d(2),
    )
    if dropout is not None:
        block.add_module("dropout", nn.Dropout(dropout))
    return block


def _head(width_in: int, width: int, dropout: float) -> nn.Sequential:
    """Return the last convolution; its pooling pads, so that 1x1 stays 1x1."""
    return _named(
        conv=ConvRelu(width_in, width),
        dropout=nn.Dropout(dropout),
        pool=nn.MaxPool2d(2, ceil_mode=True),
        flatten=nn.Flatten(),
    )


def _dense(width_in: int, width: int, dropout: float) -> nn.Sequential:
    return _named(linear=LinearRelu(width_in, width), norm=nn.BatchNorm1d(width), dropout=nn.Dropout(dropout))


def _named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))
