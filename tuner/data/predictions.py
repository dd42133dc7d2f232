"""What a trained classifier answers on the dev set, example by example, and the images it is most wrong about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.data.splits import as_split
from tuner.data.thumbnails import are_thumbnails, has_images, thumbnails
from tuner.errors import DataError
from tuner.io.arrays import are_of

MAX_EXAMPLES = 100_000
"""Of a larger dev set no answers are kept: two megabytes are enough."""
_WRONG = 24
"""Examples, those with the surest wrong answers, that are kept for people to look at."""

_FORMS: Mapping[str, tuple[str, Collection[int]]] = {
    "label": ("i", {1}),
    "predicted": ("i", {1}),
    "confidence": ("f", {1}),
    "label_probability": ("f", {1}),
    "class_names": ("U", {1}),
    "wrong": ("i", {1}),
    "wrong_images": ("u", {3, 4}),
}
"""Kind and dimensions of each array."""


@dataclass(frozen=True)
class Predictions:
    """A classifier's answers on the dev set; the test set has no place here, for people choose by what they see."""

    label: NDArray[np.int32]
    """[n], the class from 0, in the order of the dev set."""
    predicted: NDArray[np.int32]
    """[n], the class of the highest probability."""
    confidence: NDArray[np.float32]
    """[n], that probability."""
    label_probability: NDArray[np.float32]
    """[n], the probability of the label."""
    class_names: NDArray[np.str_]
    """[classes], their names or numbers."""
    wrong: NDArray[np.int64]
    """[k], the most wrong examples' places in the dev set, the surest first."""
    wrong_images: NDArray[np.uint8]
    """[k, height, width] or [k, height, width, 3]; [0, 1, 1] if the inputs are no images."""

    @staticmethod
    def of(dev: Any, probabilities: NDArray[Any]) -> Predictions:
        """Return the answers for a split that `as_split` takes, of which these are the probabilities [n, classes].

        Raises:
            DataError: if the split is another, the probabilities are not of this shape, or are not finite.
        """
        split = as_split(dev)
        found = np.asarray(probabilities, dtype=np.float32)
        classes = split.classes
        if found.ndim != 2 or len(found) != len(split) or found.shape[1] < classes or not np.isfinite(found).all():
            raise DataError(
                f"probabilities are {found.dtype} {list(found.shape)}, but must be finite numbers "
                f"[{len(split)}, {classes}], one row an example."
            )
        label, predicted = split.labels.astype(np.int32), found.argmax(1).astype(np.int32)
        rows = np.arange(len(found))
        confidence = found[rows, predicted]
        mistakes = np.flatnonzero(label != predicted)
        # Of equally sure ones the first; a sort that is not stable would differ from machine to machine.
        wrong = mistakes[np.argsort(-confidence[mistakes], kind="stable")][:_WRONG].astype(np.int64)
        names = [*split.class_names, *map(str, range(len(split.class_names), found.shape[1]))]
        images = thumbnails(split, wrong if has_images(split) else wrong[:0])
        return Predictions(label, predicted, confidence, found[rows, label], np.array(names), wrong, images)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return asdict(self)

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Predictions:
        """Return what `to_arrays` gave, which may come from a stranger; raises DataError if it is something else."""
        if not are_of(arrays, _FORMS):
            raise DataError("these are no predictions: arrays are missing, or of another kind.")
        found = Predictions(**arrays)
        n, k, classes = len(found.label), len(found.wrong), len(found.class_names)
        fits = (
            [len(one) for one in (found.predicted, found.confidence, found.label_probability)] == [n, n, n]
            and all(one.min() >= 0 and one.max() < classes for one in (found.label, found.predicted) if n)
            and (k == 0 or (found.wrong.min() >= 0 and found.wrong.max() < n))
            and len(found.wrong_images) in (0, k)
            and are_thumbnails(found.wrong_images)
        )
        if not fits:
            raise DataError("these are no predictions: their shapes do not fit each other.")
        return found

    def confusions(self) -> NDArray[np.int64]:
        """Return [k, 3]: a label, the class it was taken for, and how often; by label, then by class.

        Only what occurs is there, the right answers too: of many classes that is far less than a matrix.
        """
        classes = len(self.class_names)
        pairs, counts = np.unique(self.label.astype(np.int64) * classes + self.predicted, return_counts=True)
        return np.stack([pairs // classes, pairs % classes, counts], axis=1)
