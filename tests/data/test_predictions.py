from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tuner.data.predictions import Predictions
from tuner.data.splits import Split
from tuner.errors import DataError

LABELS = np.array([0, 1, 2, 1, 0], dtype=np.int64)
SPLIT = Split(np.arange(5 * 8 * 8, dtype=np.uint8).reshape(5, 8, 8), LABELS, ("cat", "dog", "owl"))
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [0.2, 0.7, 0.1], [0.3, 0.4, 0.3]], dtype=np.float64
)


@pytest.fixture
def found() -> Predictions:
    return Predictions.of(SPLIT, PROBABILITIES)


def test_answers_and_their_probabilities_are_kept_in_order(found: Predictions) -> None:
    assert found.predicted.tolist() == [0, 0, 1, 1, 1]
    assert found.confidence.tolist() == pytest.approx([0.8, 0.6, 0.9, 0.7, 0.4])
    assert found.label_probability.tolist() == pytest.approx([0.8, 0.3, 0.05, 0.7, 0.3])
    assert found.class_names.tolist() == ["cat", "dog", "owl"]


def test_the_surest_mistakes_come_first_with_their_images(found: Predictions) -> None:
    assert found.wrong.tolist() == [2, 1, 4]
    np.testing.assert_array_equal(found.wrong_images, SPLIT.images[[2, 1, 4]])


def test_each_confusion_that_occurs_is_counted_by_label_and_answer(found: Predictions) -> None:
    assert found.confusions().tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1], [2, 1, 1]]


def test_confusions_cost_by_examples_and_not_by_classes(found: Predictions) -> None:
    names = np.array(["a class"]).repeat(1_000_000)
    many = Predictions.from_arrays(replace(found, class_names=names).to_arrays())
    assert many.confusions().tolist() == found.confusions().tolist()


def test_of_no_example_there_are_no_confusions(found: Predictions) -> None:
    none = replace(found, label=found.label[:0], predicted=found.predicted[:0], class_names=found.class_names[:0])
    assert none.confusions().shape == (0, 3)


def test_coloured_and_large_images_become_small_pictures() -> None:
    images = np.zeros((5, 3, 200, 100), dtype=np.uint8)
    images[:, 0] = 255
    found = Predictions.of(Split(images, LABELS), PROBABILITIES)
    assert found.wrong_images.shape == (3, 64, 32, 3)
    assert found.wrong_images[0, 5, 5].tolist() == [255, 0, 0]
    assert found.class_names.tolist() == ["0", "1", "2"]


def test_inputs_that_are_no_images_leave_none() -> None:
    found = Predictions.of((np.zeros((5, 4)), LABELS), PROBABILITIES)
    assert found.wrong.tolist() == [2, 1, 4]
    assert len(found.wrong_images) == 0


@pytest.mark.parametrize(
    "probabilities",
    [np.zeros((4, 3)), np.zeros((5, 2)), np.zeros(5), np.full((5, 3), np.nan)],
    ids=["too few", "a class lacks", "no matrix", "not finite"],
)
def test_probabilities_that_do_not_fit_are_refused(probabilities: Any) -> None:
    with pytest.raises(DataError, match=r"must be finite numbers \[5, 3\]"):
        Predictions.of(SPLIT, probabilities)


def test_they_come_back_from_their_arrays(found: Predictions) -> None:
    again = Predictions.from_arrays(found.to_arrays())
    assert again.predicted.tolist() == found.predicted.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"predicted": np.zeros(4, dtype=np.int32)},
        {"predicted": np.full(5, 3, dtype=np.int32)},
        {"label": np.full(5, -1, dtype=np.int32)},
        {"wrong": np.array([5, 1, 2])},
        {"wrong_images": np.zeros((2, 8, 8), dtype=np.uint8)},
        {"wrong_images": np.zeros((3, 8, 8, 7), dtype=np.uint8)},
        {"wrong_images": np.zeros((3, 8, 5000), dtype=np.uint8)},
        {"class_names": np.zeros(3)},
        {"confidence": np.zeros((5, 1), dtype=np.float32)},
    ],
)
def test_arrays_of_a_stranger_that_do_not_fit_each_other_are_refused(
    found: Predictions, change: dict[str, np.ndarray[Any, Any]]
) -> None:
    with pytest.raises(DataError):
        Predictions.from_arrays(replace(found, **change).to_arrays())
