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
    """By class, in their order; empty if they have none. What is no text, such as numbers, becomes text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels are {self.labels.dtype} {list(self.labels.shape)} for images {list(self.images.shape)}, "
                "but must be int64 [n], one class from 0 for each."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, share: float) -> Split:
        """Return the first `share` (0 to 1) of it, at least two."""
        n = max(2, round(len(self) * share))
        return Split(self.images[:n], self.labels[:n], self.class_names)

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        return self.images.nbytes + self.labels.nbytes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input's shape as a model takes it: images [n, height, width] get a dimension for their one channel."""
        shape = self.images.shape[1:]
        return (1, *shape) if self.has_pixels and len(shape) == 2 else shape

    @property
    def has_pixels(self) -> bool:
        """Whether the inputs are pixels, to be scaled and normalised before a model sees them."""
        return self.images.dtype == np.uint8

    @cached_property
    def tokens(self) -> int | None:
        """How many different tokens there may be, for integers that are no pixels; else None."""
        is_tokens = self.images.dtype.kind in "iu" and not self.has_pixels
        return int(self.images.max()) + 1 if is_tokens else None

    @property
    def classes(self) -> int:
        """As many classes as have a name, or else as occur."""
        return len(self.class_names) or int(self.labels.max()) + 1

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of all pixels, scaled to [0, 1]."""
        return pixel_moments(self.images)

    @cached_property
    def channel_moments(self) -> tuple[tuple[float, float], ...]:
        """The same for each channel of [n, channels, height, width], else once for all pixels."""
        channels = self.images.shape[1] if self.images.ndim == 4 else 1
        if channels == 1:
            return (self.moments,)
        return tuple(pixel_moments(self.images[:, channel]) for channel in range(channels))


def as_split(split: Any) -> Split:
    """Return a `Split`, made of a pair (inputs, labels) if it is none yet.

    Raises:
        DataError: if it is neither, or does not hold numbers and classes.
    """
    found = split if isinstance(split, Split) else _paired(split)
    if found.images.dtype.kind not in "fiub":
        raise DataError(f"inputs are {found.images.dtype}, but must be numbers.")
    if len(found) == 0 or found.labels.min() < 0:
        state = f"hold {found.labels.min()}" if len(found) else "are empty"
        raise DataError(f"labels {state}, but must be classes from 0.")
    if found.class_names and found.labels.max() >= len(found.class_names):
        raise DataError(f"labels hold {found.labels.max()}, but there are names for {len(found.class_names)} classes.")
    return found


def _paired(pair: Any) -> Split:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise DataError(
            f"the split is a {type(pair).__name__}, but the built-in training takes a Split or (inputs, labels)."
        )
    inputs, labels = map(_array, ("inputs", "labels"), pair)
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"labels are {labels.dtype}, but must be integers, one class from 0 for each input.")
    return Split(inputs, labels.astype(np.int64, copy=False))


def _array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # of differing shapes, on a GPU, or with a gradient
        raise DataError(f"{name} must be one array, each of the same shape, but NumPy says: {error}") from error


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
