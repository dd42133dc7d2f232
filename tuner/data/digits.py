"""scikit-learn's embedded handwritten digits as a small data set that needs no network."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuner.data.dataset import Dataset
from tuner.data.splits import PIXEL_MAX, Split

CLASS_NAMES = tuple(str(digit) for digit in range(10))

TRAIN_TENTHS, DEV_TENTHS = 6, 2
"""Of each digit, in the embedded order: the first 6/10 (rounded down) train, up to 8/10 dev, the rest test.

In order rather than shuffled, because images of one writer lie together and should not be on both sides.
"""

_SOURCE_MAX = 16
_ENLARGED = 3
_BORDER = 2


def load(data_dir: Path | None, cache_dir: Path) -> Dataset:  # noqa: ARG001 - what every data set is given
    """Return the 1,797 images as 28x28 with values 0 to 255, in stratified splits; no folder is touched."""
    source = np.loadtxt(_embedded(), delimiter=",")
    images = enlarge(source[:, :-1].reshape(-1, 8, 8))
    labels = source[:, -1].astype(np.int64)
    train, dev, test = (Split(images[part], labels[part], CLASS_NAMES) for part in stratify(labels))
    return Dataset(train, dev, test, name="digits", hashes=_content_hashes(images, labels))


def _embedded() -> Path:
    """Return the table that scikit-learn brings, whose own function would import all of it: two seconds."""
    sklearn = find_spec("sklearn")
    assert sklearn is not None
    assert sklearn.origin is not None
    return Path(sklearn.origin).parent / "datasets" / "data" / "digits.csv.gz"


def enlarge(images: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Turn [n, 8, 8] with values 0..16 into [n, 28, 28] with values 0..255.

    Every pixel becomes a block of 3x3, and a black border of 2 fills 24 up to 28: exact on every machine.
    """
    scaled = np.rint(images * (PIXEL_MAX / _SOURCE_MAX)).astype(np.uint8)
    blocks = scaled.repeat(_ENLARGED, axis=1).repeat(_ENLARGED, axis=2)
    return np.pad(blocks, ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER)))


def stratify(labels: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of train, dev and test: the same shares of every class, each in ascending order."""
    parts: tuple[list[NDArray[np.intp]], ...] = ([], [], [])
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        train_end = len(members) * TRAIN_TENTHS // 10
        dev_end = len(members) * (TRAIN_TENTHS + DEV_TENTHS) // 10
        for part, chosen in zip(parts, np.split(members, [train_end, dev_end]), strict=True):
            part.append(chosen)
    train, dev, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, dev, test


def _content_hashes(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, str]:
    contents = {"images": images, "labels": labels.astype("<i8")}
    return {name: hashlib.sha256(content.tobytes()).hexdigest() for name, content in contents.items()}
