"""What a data set looks like, in little: counts, moments and a few images, kept with a run for its report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.data.dataset import Dataset
from tuner.data.splits import PIXEL_MAX, Split, as_split
from tuner.data.thumbnails import are_thumbnails, has_images, thumbnails
from tuner.errors import DataError
from tuner.io.arrays import are_of

_IMAGES_OF_A_CLASS = 3
_CLASSES_SHOWN = 20
_MAX_CLASSES = 1000
_ROWS = 100_000
"""Of inputs that are no pixels the first so many are looked at."""
_FEATURES = 50

_FORMS: Mapping[str, tuple[str, Collection[int]]] = {
    "class_names": ("U", {1}),
    "counts": ("i", {2}),
    "statistics": ("f", {2}),
    "image_labels": ("i", {1}),
    "images": ("u", {3, 4}),
}
"""Kind and dimensions of each array."""


@dataclass(frozen=True)
class DataSample:
    """What is known of train and dev; of the test set nothing, which stays unread until the end."""

    class_names: NDArray[np.str_]
    """[classes], their names or numbers."""
    counts: NDArray[np.int64]
    """[2, classes], examples of each class in train and dev."""
    statistics: NDArray[np.float64]
    """[features, 5]: mean, standard deviation, minimum, maximum and number of missing values of the train inputs.

    One row for all pixels, scaled to 0..1; of other inputs one row for each feature, at most 50.
    """
    image_labels: NDArray[np.int32]
    """[k], the classes of the images."""
    images: NDArray[np.uint8]
    """[k, height, width] or [k, height, width, 3], the first of each class in train; [0, 1, 1] if there are none."""

    @staticmethod
    def of(dataset: Dataset) -> DataSample | None:
        """Return the sample of a data set with classes; None of any other, and of one with very many classes."""
        try:
            train, dev = as_split(dataset.train), as_split(dataset.dev)
        except DataError:
            return None
        classes = max(train.classes, dev.classes)
        if classes > _MAX_CLASSES or train.tokens is not None:
            return None
        names = [*train.class_names, *map(str, range(len(train.class_names), classes))]
        counts = np.stack([np.bincount(split.labels, minlength=classes) for split in (train, dev)])
        chosen = _first_of_each(train, classes) if has_images(train) else np.zeros(0, dtype=np.int64)
        labels = train.labels[chosen].astype(np.int32)
        return DataSample(np.array(names), counts, _statistics(train), labels, thumbnails(train, chosen))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return asdict(self)

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> DataSample:
        """Return what `to_arrays` gave, which may come from a stranger; raises DataError if it is something else."""
        if not are_of(arrays, _FORMS):
            raise DataError("this is no sample of data: arrays are missing, or of another kind.")
        found = DataSample(**arrays)
        classes, labels = len(found.class_names), found.image_labels
        fits = (
            found.counts.shape == (2, classes)
            and found.statistics.shape[1] == 5
            and len(found.images) == len(labels)
            and are_thumbnails(found.images)
            and (len(labels) == 0 or (labels.min() >= 0 and labels.max() < classes))
        )
        if not fits:
            raise DataError("this is no sample of data: its shapes do not fit each other.")
        return found


def _first_of_each(train: Split, classes: int) -> NDArray[np.int64]:
    """Return the places of the first images of each class, class by class."""
    chosen = [np.flatnonzero(train.labels == one)[:_IMAGES_OF_A_CLASS] for one in range(min(classes, _CLASSES_SHOWN))]
    return np.concatenate(chosen).astype(np.int64)


def _statistics(train: Split) -> NDArray[np.float64]:
    if has_images(train):
        low, high = train.images.min() / PIXEL_MAX, train.images.max() / PIXEL_MAX
        return np.array([[*train.moments, low, high, 0]])
    rows = train.images[:_ROWS].reshape(min(len(train), _ROWS), -1)[:, :_FEATURES].astype(np.float64)
    missing = np.isnan(rows).sum(0)
    empty = missing == len(rows)
    rows[:, empty] = 0.0  # of a feature without a value there is nothing to tell but that
    found = [np.nanmean(rows, 0), np.nanstd(rows, 0), np.nanmin(rows, 0), np.nanmax(rows, 0), missing]
    return np.stack(found, axis=1).astype(np.float64)
