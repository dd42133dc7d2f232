"""The data at rest: splits of uint8 images with their labels, and who may see which of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIXEL_MAX = 255
"""The brightest value of a pixel; images are scaled to [0, 1] by it."""

_IMAGES_PER_CHUNK = 1000


@dataclass(frozen=True)
class Split:
    """Images and their labels, in the same order.

    numpy and not torch, because Ray's object store maps numpy arrays into every trial without a copy.
    """

    images: NDArray[np.uint8]
    """[n, 28, 28], 0 (black) to 255."""
    labels: NDArray[np.int64]
    """[n], the class from 0."""

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8
        assert self.images.ndim == 3
        assert self.labels.dtype == np.int64
        assert self.labels.shape == self.images.shape[:1]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SearchSplits:
    """What a trial may see. It has no test split, on purpose: nothing can be tuned on it by accident."""

    train: Split
    dev: Split
    mean: float
    """Mean of the train pixels, scaled to [0, 1]."""
    std: float
    """Standard deviation of the train pixels, scaled to [0, 1]."""

    def sha256(self) -> str:
        """Return the hash of all images and labels, by which a copy on another machine is known to be whole."""
        digest = hashlib.sha256()
        for split in (self.train, self.dev):
            for array in (split.images, split.labels):
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A data set with its three splits and where it came from."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    dev: Split
    test: Split
    mean: float
    """Mean of the train pixels, scaled to [0, 1]."""
    std: float
    """Standard deviation of the train pixels, scaled to [0, 1]."""
    hashes: dict[str, str]
    """File name to md5; for embedded data, "images" and "labels" to the sha256 of their content."""
    notice: str | None = None
    """What the user must be told loudly, for example that this is not the data set he hoped for."""

    def search_splits(self) -> SearchSplits:
        """Return the part that trials may see."""
        return SearchSplits(self.train, self.dev, self.mean, self.std)


def build_dataset(
    name: str, class_names: tuple[str, ...], train: Split, dev: Split, test: Split, hashes: dict[str, str]
) -> Dataset:
    """Return the data set, with mean and standard deviation measured on its train split."""
    mean, std = pixel_moments(train.images)
    return Dataset(name, class_names, train, dev, test, mean, std, hashes)


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
