"""A small CNN for small images: three convolutions, the first on patches, and one dense layer; an epoch is a moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from tuner.errors import ConfigError
from tuner.models import DataShape, laws

DEFAULTS: dict[str, Any] = {"width": 16, "dropout": 0.0}
"""Channels of the first convolution, the others have twice as many; and what is dropped before the dense layer."""

_PATCH = 3
"""Pixels each way of what the first convolution sees at once, and its step."""
_SHAPE = DataShape((1, 28, 28), 10)


def build(hparams: Mapping[str, Any], data: DataShape = _SHAPE) -> nn.Module:
    """Return the untrained model: float images [n, channels, height, width] to logits [n, classes].

    Keys of `hparams` that are not in DEFAULTS are ignored, absent ones take their value there.
    Raises ConfigError for an impossible one, or for data that are no images of a fitting size.
    """
    width = laws.width("width", hparams.get("width", DEFAULTS["width"]))
    dropout = laws.rate("dropout", hparams.get("dropout", DEFAULTS["dropout"]))
    if len(data.input_shape) != 3 or min(data.input_shape[1:]) < 2 * _PATCH:
        law = f"images [channels, height, width] of at least {2 * _PATCH} pixels each way"
        raise ConfigError(f"the inputs have shape {list(data.input_shape)}, but the small CNN takes {law}.")
    channels, height, breadth = data.input_shape
    pooled = _pooled(height) * _pooled(breadth)
    parts: list[tuple[str, nn.Module]] = [
        ("patches", _convolution(channels, width, stride=_PATCH)),
        ("conv1", _convolution(width, 2 * width)),
        ("pool", nn.MaxPool2d(2)),
        ("conv2", _convolution(2 * width, 2 * width)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(dropout)),
        ("logits", nn.Linear(2 * width * pooled, data.classes)),
    ]
    return nn.Sequential(OrderedDict(parts))


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(channels_out), relu=nn.ReLU(inplace=True)))


def _pooled(pixels: int) -> int:
    """Return what the patches, one pixel of border on either side, and the pooling leave of a side."""
    return ((pixels - 1) // _PATCH + 1) // 2
