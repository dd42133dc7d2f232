"""Tests of `tuner.training.batches`: every image once, normalised, whatever the batch size."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from tuner.data.augmentation import Augmentation
from tuner.data.splits import Split
from tuner.training.batches import Batches, Normalisation

CPU = torch.device("cpu")
PLAIN = Augmentation()


@pytest.fixture
def warned_always() -> Iterator[None]:
    """Else torch gives its warning once a process, and perhaps not in this test."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def numbered(n: int) -> Split:
    """Image k is filled with k, and its label is k % 10."""
    images = np.repeat(np.arange(n, dtype=np.uint8), 28 * 28).reshape(n, 28, 28)
    return Split(images, np.arange(n) % 10)


def shuffled(n: int, batch_size: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Return the images' numbers and the labels, batch by batch."""
    batches = Batches(numbered(n), Normalisation((0.0,), (1.0,)), CPU)
    generator = torch.Generator().manual_seed(seed)
    cut = list(batches.shuffled(batch_size, PLAIN, generator))
    return [((images[:, 0, 0, 0] * 255).round().int().tolist(), labels.tolist()) for images, labels in cut]


def test_a_pixel_is_scaled_to_one_and_then_normalised() -> None:
    split = Split(np.full((1, 28, 28), 51, dtype=np.uint8), np.array([3]))
    ((images, labels),) = Batches(split, Normalisation((0.1,), (0.5,)), CPU).in_order(10)
    assert images.shape == (1, 1, 28, 28)
    assert images.dtype == torch.float32
    assert torch.allclose(images, torch.tensor(0.2))  # (51 / 255 - 0.1) / 0.5
    assert labels.tolist() == [3]


def test_in_order_yields_every_image_once_with_a_shorter_last_batch() -> None:
    batches = list(Batches(numbered(25), Normalisation((0.0,), (1.0,)), CPU).in_order(10))
    assert [len(labels) for _, labels in batches] == [10, 10, 5]
    pixels = torch.cat([images[:, 0, 27, 27] for images, _ in batches])
    assert torch.allclose(pixels * 255, torch.arange(25.0))


def test_shuffled_yields_every_image_once_with_its_own_label() -> None:
    batches = shuffled(150, 32, seed=0)
    assert [len(labels) for _, labels in batches] == [32, 32, 32, 32, 22]
    seen = [number for numbers, _ in batches for number in numbers]
    assert Counter(seen) == Counter(range(150))
    assert seen != sorted(seen)
    assert all(number % 10 == label for batch in batches for number, label in zip(*batch, strict=True))


@pytest.mark.parametrize("arranged", [np.repeat(np.arange(10), 12), np.tile(np.arange(10), 12)])
def test_examples_that_are_drawn_are_mixed_in_their_batches_however_the_classes_lie(arranged: Any) -> None:
    split = Split(np.repeat(arranged.astype(np.uint8), 28 * 28).reshape(120, 28, 28), arranged)
    batches = list(Batches(split, Normalisation((0.0,), (1.0,)), CPU).drawn(100, 10))
    classes = [(batch[:, 0, 0, 0] * 255).round().int().tolist() for batch in batches]
    assert all(len(set(batch)) >= 4 for batch in classes)
    assert max(Counter(chain.from_iterable(classes)).values()) <= 12
    again = list(Batches(split, Normalisation((0.0,), (1.0,)), CPU).drawn(100, 10))
    assert all(torch.equal(*pair) for pair in zip(batches, again, strict=True))


def test_the_order_follows_the_generator() -> None:
    assert shuffled(50, 8, seed=1) == shuffled(50, 8, seed=1)
    assert shuffled(50, 8, seed=1) != shuffled(50, 8, seed=2)


@pytest.mark.parametrize(
    ("n", "sizes"), [(31, [10, 10, 11]), (32, [10, 10, 10, 2]), (30, [10, 10, 10]), (11, [11]), (7, [7])]
)
def test_a_last_batch_of_one_image_joins_the_batch_before(n: int, sizes: list[int]) -> None:
    assert [len(labels) for _, labels in shuffled(n, 10, seed=0)] == sizes


def test_what_augmentation_blackens_is_black_before_normalisation() -> None:
    split = Split(np.full((40, 28, 28), 255, dtype=np.uint8), np.zeros(40, dtype=np.int64))
    batches = Batches(split, Normalisation((0.5,), (0.25,)), CPU)
    ((images, _),) = batches.shuffled(40, Augmentation(erasing=1.0), torch.Generator().manual_seed(0))
    assert sorted(set(images.flatten().tolist())) == [-2.0, 2.0]  # (0 - 0.5) / 0.25 and (1 - 0.5) / 0.25


def test_augmentation_leaves_the_images_at_rest_alone() -> None:
    split = numbered(20)
    before = split.images.copy()
    batches = Batches(split, Normalisation((0.0,), (1.0,)), CPU)
    list(batches.shuffled(8, Augmentation(flip=True, shift=2, erasing=1.0), torch.Generator().manual_seed(0)))
    assert np.array_equal(split.images, before)


@pytest.mark.usefixtures("warned_always")
def test_a_read_only_array_as_ray_gives_is_taken_without_a_warning_or_a_copy() -> None:
    split = numbered(20)
    split.images.setflags(write=False)
    split.labels.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = Batches(split, Normalisation((0.0,), (1.0,)), CPU)
        list(batches.shuffled(8, Augmentation(flip=True, shift=1), torch.Generator().manual_seed(0)))
    assert batches._inputs.data_ptr() == split.images.ctypes.data
    assert batches._labels.data_ptr() == split.labels.ctypes.data


@pytest.mark.parametrize(
    "images",
    [
        np.arange(24.0, dtype=np.float32).reshape(2, 3, 2, 2)[:, ::-1],  # as one makes RGB of BGR
        np.arange(24.0).reshape(2, 3, 2, 2).astype(">f4"),
    ],
)
def test_arrays_that_torch_does_not_take_as_they_lie_are_copied(images: Any) -> None:
    ((inputs, _),) = Batches(Split(images, np.array([0, 1])), None, CPU).in_order(2)
    assert inputs.tolist() == images.tolist()


@pytest.mark.parametrize("inputs", [np.ones((4, 2), dtype=np.float32), np.ones((4, 2), dtype=np.int64)])
def test_what_a_model_does_to_its_inputs_is_not_done_to_the_data(inputs: Any) -> None:
    batches = Batches(Split(inputs, np.arange(4) % 2), None, CPU)
    for given, _ in batches.in_order(3):
        given -= 1
    assert inputs.all()
    assert all(given.all() for given, _ in batches.in_order(3))
