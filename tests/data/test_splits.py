"""Tests of `tuner.data.splits`."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tuner.data.splits import Split, as_split, pixel_moments
from tuner.errors import DataError


def split_of(n: int) -> Split:
    generator = np.random.default_rng(0)
    return Split(generator.integers(0, 256, (n, 28, 28), dtype=np.uint8), generator.integers(0, 10, n, dtype=np.int64))


def test_moments_are_scaled_to_one_and_travel_with_the_split() -> None:
    split = Split(np.full((2, 28, 28), 51, np.uint8), np.zeros(2, np.int64))
    assert split.moments == pytest.approx((0.2, 0.0), abs=1e-12)
    assert "moments" in vars(pickle.loads(pickle.dumps(split)))


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2500])
def test_moments_agree_with_numpy_for_any_number_of_images(n: int) -> None:
    images = split_of(n).images
    mean, std = pixel_moments(images)
    assert mean == pytest.approx((images / 255).mean(), rel=1e-10)
    assert std == pytest.approx((images / 255).std(), rel=1e-10)


def test_length_is_the_number_of_examples_of_any_shape() -> None:
    assert len(split_of(5)) == 5
    assert len(Split(np.zeros((3, 7)), np.zeros(3, np.int64))) == 3


@pytest.mark.parametrize("labels", [np.zeros(2, np.int64), np.zeros(3), np.zeros((3, 1), np.int64)])
def test_labels_that_are_not_one_class_for_each_are_refused(labels: Any) -> None:
    with pytest.raises(DataError, match=r"labels are \w+ \[[\d, ]+\] for images \[3, 28, 28\], but must be int64"):
        Split(np.zeros((3, 28, 28), np.uint8), labels)


def test_names_of_classes_become_text() -> None:
    names: Any = load_digits().target_names
    assert Split(np.zeros((2, 3)), np.array([0, 1]), names[:2]).class_names == ("0", "1")


def test_a_label_beyond_the_names_is_refused() -> None:
    with pytest.raises(DataError, match=r"^labels hold 2, but there are names for 2 classes\.$"):
        as_split(Split(np.zeros((3, 4)), np.arange(3), ("a", "b")))


def test_inputs_of_differing_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"^inputs must be one array, each of the same shape, but NumPy says: "):
        as_split(([np.zeros((3, 4)), np.zeros((3, 5))], np.arange(2)))
