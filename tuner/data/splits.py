"""A split of examples with their classes, as arrays at rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError

PIXEL_MAX = 255
"""The brightest value of a pixel; images are scaled to [0, 1] by it."""

_IMAGES_PER_CHUNK = 1000


@dataclass(frozen=True)
class Split:
    """Images, or any other arrays, and their labels, in the same order.

    numpy and not torch, because Ray's object store maps numpy arrays into every trial without a copy. Raises DataError
    if the two do not fit each other.
    """

    images: NDArray[Any]
    """[n, ...]; uint8 for pixels, 0 (black) to 255: [n, height, width] or [n, channels, height, width]."""
    labels: NDArray[np.int64]
    """[n], the class from 0."""
    class_names: tuple[str, ...] = ()
    """By class, in their order; empty if they have none."""

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels are {self.labels.dtype} {list(self.labels.shape)} for images {list(self.images.shape)}, "
                "but must be int64 [n], one class from 0 for each."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of all pixels, scaled to [0, 1]."""
        return pixel_moments(self.images)


def pixel_moments(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Return mean and (population) standard deviation of all pixels, scaled to [0, 1].

    Computed from the counts of the 256 values: exact, and without a float copy of the images.
    """
    counts = np.zeros(PIXEL_MAX + 1, dtype=np.int64)
    for start in range(0, len(images), _IMAGES_PER_CHUNK):
        chunk = images[start : start + _IMAGES_PER_CHUNK]
        counts += np.bincount(chunk.ravel(), minlength=PIXEL_MAX + 1)
    values = np.arange(PIXEL_MAX + 1) / PIXEL_MAX
    mean = float(np.average(values, weights=counts))
    variance = float(np.average((values - mean) ** 2, weights=counts))
    return mean, variance**0.5
