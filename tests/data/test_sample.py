from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tuner.data.dataset import Dataset
from tuner.data.sample import DataSample
from tuner.data.splits import Split
from tuner.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
LABELS = np.arange(60, dtype=np.int64) % 4
TRAIN = Split(IMAGES, LABELS, ("a", "b", "c", "d"))
DEV = Split(IMAGES[:10], LABELS[:10], TRAIN.class_names)


def sample_of(dataset: Dataset) -> DataSample:
    found = DataSample.of(dataset)
    assert found is not None
    return found


def test_classes_are_counted_in_train_and_dev_and_the_test_set_is_not_looked_at() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the test set was read")

    found = sample_of(Dataset(TRAIN, DEV, Untouchable()))
    assert found.counts.tolist() == [[15, 15, 15, 15], [3, 3, 2, 2]]
    assert found.class_names.tolist() == ["a", "b", "c", "d"]


def test_pixels_have_one_row_of_statistics_scaled_to_one() -> None:
    (row,) = sample_of(Dataset(TRAIN, DEV)).statistics
    scaled = IMAGES / 255
    assert row == pytest.approx([scaled.mean(), scaled.std(), scaled.min(), scaled.max(), 0])


def test_the_first_images_of_each_class_are_shown() -> None:
    found = sample_of(Dataset(TRAIN, DEV))
    assert found.image_labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    np.testing.assert_array_equal(found.images, IMAGES[[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]])


def test_features_have_a_row_each_and_what_is_missing_is_counted() -> None:
    inputs = RNG.normal(size=(60, 3))
    inputs[:5, 1] = np.nan
    inputs[:, 2] = np.nan
    found = sample_of(Dataset((inputs, LABELS), (inputs[:10], LABELS[:10])))
    assert found.statistics.shape == (3, 5)
    assert found.statistics[1] == pytest.approx(
        [inputs[5:, 1].mean(), inputs[5:, 1].std(), inputs[5:, 1].min(), inputs[5:, 1].max(), 5]
    )
    assert found.statistics[:, 4].tolist() == [0, 5, 60]
    assert len(found.images) == 0


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        (["paths"], ["paths"]),
        ((np.zeros((4, 2)), np.zeros(4)), (np.zeros((4, 2)), np.zeros(4))),
        ((np.zeros((4, 2), dtype=np.int64), LABELS[:4]), (np.zeros((4, 2), dtype=np.int64), LABELS[:4])),
    ],
    ids=["no arrays", "no classes", "tokens"],
)
def test_of_other_data_there_is_no_sample(train: Any, dev: Any) -> None:
    assert DataSample.of(Dataset(train, dev)) is None


def test_it_comes_back_from_its_arrays_and_what_does_not_fit_is_refused() -> None:
    found = sample_of(Dataset(TRAIN, DEV))
    assert DataSample.from_arrays(found.to_arrays()).counts.tolist() == found.counts.tolist()
    with pytest.raises(DataError):
        DataSample.from_arrays({})
    for change in ({"counts": found.counts[:, :3]}, {"images": found.images[1:]}, {"statistics": found.counts}):
        with pytest.raises(DataError):
            DataSample.from_arrays(replace(found, **change).to_arrays())
