"""A residual network for small images: three stages, the channels doubled and the sides halved from one to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tuner.errors import ConfigError
from tuner.models import DataShape

DEFAULTS: dict[str, Any] = {
    "stage1_width": 16,
    "stage_blocks": 3,
    "head_dropout": 0.0,
}
"""ResNet-20 of He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2: 0.27 million parameters."""

_STAGES = 3
_SMALLEST = 2 ** (_STAGES - 1)
_SHAPE = DataShape((1, 28, 28), classes=10)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each with batch norm, added to their input; a 1x1 convolution fits that if it must."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        fits = stride == 1 and width_in == width
        self.shortcut = nn.Identity() if fits else nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, width_in, h, w] to [n, width, h / stride, w / stride]."""
        inner = functional.relu(self.norm1(self.conv1(features)), inplace=True)
        outer = self.norm2(self.conv2(inner)) + self.shortcut(features)
        return functional.relu(outer, inplace=True)


def build(hparams: Mapping[str, Any], data: DataShape = _SHAPE) -> nn.Module:
    """Return the untrained network: float images [n, channels, height, width] to logits [n, classes].

    Keys of `hparams` that are not in DEFAULTS are ignored, absent ones take their value there. Raises ConfigError for
    an impossible one, or for data that are no images of a fitting size.
    """
    width = _whole("stage1_width", hparams.get("stage1_width", DEFAULTS["stage1_width"]))
    blocks = _whole("stage_blocks", hparams.get("stage_blocks", DEFAULTS["stage_blocks"]))
    dropout = _rate("head_dropout", hparams.get("head_dropout", DEFAULTS["head_dropout"]))
    if len(data.input_shape) != 3 or min(data.input_shape[1:]) < _SMALLEST:
        law = f"images [channels, height, width] of at least {_SMALLEST} pixels each way"
        raise ConfigError(f"the inputs have shape {list(data.input_shape)}, but the ResNet takes {law}.")
    parts: list[tuple[str, nn.Module]] = [("stem", _stem(data.input_shape[0], width))]
    parts += [(f"stage{stage}", _stage(width, blocks, stage)) for stage in range(1, _STAGES + 1)]
    parts += [("head", _head(width * 2 ** (_STAGES - 1), dropout, data.classes))]
    model = nn.Sequential(OrderedDict(parts))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def _stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels, width, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
        )
    )


def _stage(first_width: int, blocks: int, stage: int) -> nn.Sequential:
    width = first_width * 2 ** (stage - 1)
    width_in, stride = (width, 1) if stage == 1 else (width // 2, 2)
    rest = [ResidualBlock(width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(ResidualBlock(width_in, width, stride), *rest)


def _head(width: int, dropout: float, classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(dropout),
            logits=nn.Linear(width, classes),
        )
    )


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number of at least 1.")
    return int(value)


def _rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < 1.0:
        raise ConfigError(f"{name} is {value!r}, but must be a number of at least 0 and below 1.")
    return float(value)
