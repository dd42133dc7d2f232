"""Fixtures for the tests of the study: a job so small that an epoch takes milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray import cloudpickle
from torch import nn

from tuner.data.splits import SearchSplits, Split, pixel_moments
from tuner.models import get_model
from tuner.study.worker import Assignment, Job

HPARAMS = {"learning_rate": 0.003, "batch_size": 32, "shift": 1}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A worker sets torch's threads for its whole process, which here is everyone's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def linear(hparams: Mapping[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(784, 10))


@pytest.fixture
def job() -> Job:
    """A linear model on 150 and 60 noisy images; the label is where the bright bar is."""
    # Workers cannot import a test's model.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(7)
    train, dev = _split(rng, 150), _split(rng, 60)
    splits = SearchSplits(train, dev, *pixel_moments(train.images))
    return Job(splits, get_model(linear), patience=10, precision="float32", threads=1)


def _split(rng: np.random.Generator, n: int) -> Split:
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 6 + 2 * label] += 150
    return Split(images, labels)


@pytest.fixture
def assign(tmp_path: Path) -> Callable[..., Assignment]:
    """Make an assignment of four epochs with its checkpoints in a folder of the test's."""

    def make(folder: str = "trial", **changed: Any) -> Assignment:
        hparams = HPARAMS | changed.pop("hparams", {})
        return Assignment(hparams, **{"seed": 5, "max_epochs": 4, "checkpoints": tmp_path / folder, **changed})

    return make
