"""A few of a data set's images, made small enough to show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuner.data.splits import Split

SIDE = 64
"""The longer side of a larger image becomes so many pixels."""
_CHANNELS = (1, 3)


def has_images(split: Split) -> bool:
    """Return whether the inputs are grey or coloured images."""
    shape = split.input_shape
    return split.has_pixels and len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) > 0


def thumbnails(split: Split, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the chosen images [n, height, width] or [n, height, width, 3], at most `SIDE` pixels a side."""
    images = [_thumbnail(split.images[place]) for place in chosen]
    return np.stack(images) if images else np.zeros((0, 1, 1), dtype=np.uint8)


def are_thumbnails(images: NDArray[Any]) -> bool:
    """Return whether these can be images of `thumbnails`, or none."""
    sides = images.shape[1:3]
    return images.dtype == np.uint8 and 0 < min(sides) <= max(sides) <= SIDE and images.shape[3:] in ((), (3,))


def _thumbnail(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return one image, whose channels, if it has any, come first."""
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((SIDE, SIDE))  # a smaller one stays as it is
    return np.asarray(picture)
