"""Random changes to training images: flip, shift and erasing, a whole batch at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from tuner.errors import ConfigError

LARGEST_SHIFT = 14
"""Pixels; beyond half of a 28-pixel image more of it is gone than left."""

ERASED_AREA = (0.02, 0.33)
"""Least and greatest erased share of the image (Zhong et al. 2017, "Random Erasing Data Augmentation")."""

ERASED_ASPECT = (0.3, 1 / 0.3)
"""Least and greatest height over width of the erased rectangle (the same paper)."""


@dataclass(frozen=True)
class Augmentation:
    """Which random changes an image gets. Raises ConfigError for an impossible value."""

    flip: bool = False
    """Mirror left and right, for every second image on average."""
    shift: int = 0
    """Move by up to this many pixels in each direction, whole pixels, all offsets equally likely."""
    erasing: float = 0.0
    """Probability that a random rectangle of the image is blackened."""

    def __post_init__(self) -> None:
        if not isinstance(self.shift, Integral) or not 0 <= self.shift <= LARGEST_SHIFT:
            law = f"a whole number of pixels between 0 and {LARGEST_SHIFT}"
            raise ConfigError(f"shift is {self.shift!r}, but must be {law}.")
        if not 0.0 <= self.erasing <= 1.0:
            raise ConfigError(f"erasing is {self.erasing!r}, but must be a probability between 0 and 1.")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed images of the same shape [n, channels, height, width]; each image draws for itself.

        Meant for pixels where 0 is black, so before normalisation: vacated and erased pixels become 0.
        Only `generator` is drawn from, on its own device, so a CPU generator gives the same changes on
        every device.
        """
        if self.flip:
            images = _flip(images, generator)
        if self.shift:
            images = _shift(images, self.shift, generator)
        if self.erasing:
            images = _erase(images, self.erasing, generator)
        return images


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return [n] float32 drawn between `low` and `high`, on the generator's device."""
    return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    chosen = (_uniform(len(images), 0.0, 1.0, generator) < 0.5).to(images.device, non_blocking=True)
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def _shift(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Move each image by its own whole offset, with one gather over an image padded by `most`."""
    n, channels, height, width = images.shape
    offsets = torch.randint(0, 2 * most + 1, (2, n), generator=generator, device=generator.device)
    down, right = offsets.to(images.device, non_blocking=True)
    padded = torch.nn.functional.pad(images, (most, most, most, most))
    rows = (down[:, None] + torch.arange(height, device=images.device)).view(n, 1, height, 1)
    columns = (right[:, None] + torch.arange(width, device=images.device)).view(n, 1, 1, width)
    image = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[image, channel, rows, columns]


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Blacken one rectangle in each chosen image; a rectangle too long for the image is cut to fit."""
    n, _, height, width = images.shape
    chosen = _uniform(n, 0.0, 1.0, generator) < probability
    area = _uniform(n, *ERASED_AREA, generator) * (height * width)
    aspect = _uniform(n, math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), generator).exp()
    rows = _span(height, (area * aspect).sqrt(), generator)
    columns = _span(width, (area / aspect).sqrt(), generator)
    erased = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(erased[:, None].to(images.device, non_blocking=True), 0.0)


def _span(size: int, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Return [n, size] bool: in each row a random interval of the `wanted` length (1 to `size`)."""
    length = wanted.round().clamp(1, size)
    first = (_uniform(len(wanted), 0.0, 1.0, generator) * (size - length + 1)).floor()
    position = torch.arange(size, device=wanted.device)
    return (position >= first[:, None]) & (position < (first + length)[:, None])
