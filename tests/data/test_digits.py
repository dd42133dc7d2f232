"""Tests of `tuner.data.digits`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from tuner.data import digits

NOWHERE = Path("nowhere")


def test_every_image_is_in_exactly_one_split() -> None:
    dataset = digits.load(None, NOWHERE)
    splits = (dataset.train, dataset.dev, dataset.test)
    assert sum(len(split) for split in splits) == 1797
    everything = np.concatenate([split.images for split in splits]).reshape(1797, -1)
    expected = digits.enlarge(load_digits().images).reshape(1797, -1)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, expected))


def test_images_keep_their_labels() -> None:
    source = load_digits()
    label_of = {image.tobytes(): label for image, label in zip(source.images, source.target, strict=True)}
    test = digits.load(None, NOWHERE).test
    small = np.rint(test.images[:, 3:-2:3, 3:-2:3] * (16 / 255))
    assert [label_of[image.tobytes()] for image in small] == test.labels.tolist()


def test_a_pixel_becomes_a_block_of_three_by_three_inside_a_black_border() -> None:
    image = np.zeros((1, 8, 8))
    image[0, 0, 0], image[0, 7, 7], image[0, 0, 7] = 16, 8, 1
    enlarged = digits.enlarge(image)
    expected = np.zeros((28, 28), np.uint8)
    expected[2:5, 2:5], expected[23:26, 23:26], expected[2:5, 23:26] = 255, 128, 16
    assert enlarged.dtype == np.uint8
    np.testing.assert_array_equal(enlarged[0], expected)


def test_each_class_gives_its_first_six_tenths_to_train_and_the_next_two_to_dev() -> None:
    labels = np.array([1] * 5 + [0] * 10 + [1] * 5)
    train, dev, test = digits.stratify(labels)
    assert train.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15]
    assert dev.tolist() == [11, 12, 16, 17]
    assert test.tolist() == [13, 14, 18, 19]


def test_split_sizes_and_content_are_those_of_every_machine() -> None:
    dataset = digits.load(None, NOWHERE)
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (1074, 359, 364)
    assert dataset.hashes == {
        "images": "331918d8109ff7047c13dba1cd71b6d83d36d80731fc70c2cbb4bf1cbd4cc56b",
        "labels": "a3c91c262eddcf7ba8f0e37507c30284493c9b20412ffe4af30d536401f7ba21",
    }
