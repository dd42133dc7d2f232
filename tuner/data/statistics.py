"""What is in a data set: pixel statistics, missing values, class balance, duplicates between splits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuner.data.dataset import Dataset
from tuner.data.splits import Split

SPLITS = ("train", "dev", "test")

_SHOWN_COLUMNS = 10


@dataclass(frozen=True)
class Duplicates:
    """Images of one split that occur, pixel by pixel, in another."""

    reference: str
    split: str
    images: int
    """How many images of `split` also occur in `reference`."""
    other_label: int
    """How many of them carry another label there, in every copy."""


@dataclass(frozen=True)
class Statistics:
    """Everything `describe` says about a data set's content."""

    pixels: pd.DataFrame
    """describe() of the train pixels."""
    missing: dict[str, int]
    """Missing values by split."""
    balance: pd.DataFrame
    """Images by class and split."""
    duplicates: Duplicates
    """Test images that occur in train."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the pixel table is complete, for each statistic one number per pixel."""
        return {
            "pixels": {str(name): row.tolist() for name, row in self.pixels.iterrows()},
            "missing_values": self.missing,
            "class_balance": {str(name): column.to_dict() for name, column in self.balance.items()},
            "duplicates": asdict(self.duplicates),
        }


def collect_statistics(dataset: Dataset) -> Statistics:
    """Return the statistics of the data set; on Fashion-MNIST it takes about two seconds of one core."""
    missing = {name: count_missing(getattr(dataset, name)) for name in SPLITS}
    return Statistics(describe_pixels(dataset.train), missing, class_balance(dataset), find_duplicates(dataset))


def describe_pixels(split: Split) -> pd.DataFrame:
    """Return pandas' describe() of the images: 8 statistics by one column per pixel, from the top left."""
    return _pixel_frame(split).describe()


def render_table(table: pd.DataFrame) -> str:
    """Return the table as pandas shows it: the first and last columns, the others elided."""
    rows, columns = table.shape
    return f"{table.to_string(max_cols=_SHOWN_COLUMNS)}\n\n[{rows} rows x {columns} columns]"


def count_missing(split: Split) -> int:
    """Return the number of missing values among pixels and labels."""
    return int(_pixel_frame(split).isna().to_numpy().sum() + pd.Series(split.labels).isna().sum())


def class_balance(dataset: Dataset) -> pd.DataFrame:
    """Return the number of images by class name (rows) and split (columns)."""
    class_names = dataset.train.class_names
    counts = {name: np.bincount(getattr(dataset, name).labels, minlength=len(class_names)) for name in SPLITS}
    return pd.DataFrame(counts, index=pd.Index(class_names, name="class"))


def find_duplicates(dataset: Dataset, reference: str = "train", split: str = "test") -> Duplicates:
    """Return how many images of `split` also occur in `reference`."""
    labels_of: dict[bytes, set[int]] = {}
    known: Split = getattr(dataset, reference)
    for image, label in zip(known.images, known.labels.tolist(), strict=True):
        labels_of.setdefault(image.tobytes(), set()).add(label)
    asked: Split = getattr(dataset, split)
    pairs = zip(asked.images, asked.labels.tolist(), strict=True)
    found = [(labels_of[key], label) for image, label in pairs if (key := image.tobytes()) in labels_of]
    return Duplicates(reference, split, len(found), sum(label not in labels for labels, label in found))


def _pixel_frame(split: Split) -> pd.DataFrame:
    return pd.DataFrame(split.images.reshape(len(split), -1))
