"""Tests of `tuner.data.splits`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tuner.data.splits import SearchSplits, Split, build_dataset, pixel_moments


def split_of(n: int, seed: int = 0) -> Split:
    generator = np.random.default_rng(seed)
    return Split(generator.integers(0, 256, (n, 28, 28), dtype=np.uint8), generator.integers(0, 10, n, dtype=np.int64))


def test_a_trial_cannot_see_the_test_split() -> None:
    assert {field.name for field in dataclasses.fields(SearchSplits)} == {"train", "dev", "mean", "std"}


def test_search_splits_hold_the_same_arrays_without_a_copy() -> None:
    train, dev, test = split_of(4), split_of(3, 1), split_of(2, 2)
    dataset = build_dataset("name", ("a",) * 10, train, dev, test, {})
    search = dataset.search_splits()
    assert search.train is train
    assert search.dev is dev
    assert (search.mean, search.std) == (dataset.mean, dataset.std)


def test_moments_are_those_of_the_train_split_alone() -> None:
    train = Split(np.full((2, 28, 28), 51, np.uint8), np.zeros(2, np.int64))
    dataset = build_dataset("name", ("a",), train, split_of(2), split_of(2), {})
    assert dataset.mean == pytest.approx(0.2, abs=1e-12)
    assert dataset.std == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2500])
def test_moments_agree_with_numpy_for_any_number_of_images(n: int) -> None:
    images = split_of(n).images
    mean, std = pixel_moments(images)
    assert mean == pytest.approx((images / 255).mean(), rel=1e-10)
    assert std == pytest.approx((images / 255).std(), rel=1e-10)


def test_length_is_the_number_of_images() -> None:
    assert len(split_of(5)) == 5


def test_images_without_as_many_labels_are_refused() -> None:
    with pytest.raises(AssertionError):
        Split(np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.int64))
