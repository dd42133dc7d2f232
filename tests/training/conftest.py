"""Fixtures for the tests of the training: small splits with something to learn, and trainings on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tuner.config import DEFAULT_OBJECTIVE
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.models import get_model
from tuner.training.classifier import Classifier
from tuner.training.session import Session
from tuner.training.trainable import TrainableSpec

TRAIN_IMAGES, DEV_IMAGES = 150, 60
NARROW = {name: 4 for name in get_model("cnn").defaults or {} if name.endswith("_width")}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def splits() -> SearchData:
    """150 and 60 noisy images; the label is where the bright bar is."""
    rng = np.random.default_rng(7)
    train, dev = _split(rng, TRAIN_IMAGES), _split(rng, DEV_IMAGES)
    return SearchData(train, dev)


def _split(rng: np.random.Generator, n: int) -> Split:
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 6 + 2 * label] += 150
    return Split(images, labels)


@pytest.fixture
def make_classifier(splits: SearchData) -> Callable[..., Classifier]:
    """Make a narrow reference CNN, or `model`, in batches of 32: the last of an epoch has 22 images."""

    def make(hparams: Mapping[str, Any] | None = None, *, model: nn.Module | None = None, **changed: Any) -> Classifier:
        arguments: dict[str, Any] = {
            "data": splits,
            "seed": 5,
            "device": torch.device("cpu"),
            "max_epochs": 4,
            "precision": torch.float32,
            **changed,
        }
        build = get_model("cnn").build if model is None else lambda _hparams: model
        return Classifier(build, {**NARROW, "batch_size": 32, **(hparams or {})}, **arguments)

    return make


@pytest.fixture
def make_training(splits: SearchData) -> Callable[..., Session]:
    """Make a training of a narrow reference CNN, in batches of 32: the last of an epoch has 22 images."""

    def make(hparams: Mapping[str, Any] | None = None, *, model: nn.Module | None = None, **changed: Any) -> Session:
        hparams = {**NARROW, "batch_size": 32, **(hparams or {})}
        arguments: dict[str, Any] = {
            "data": splits,
            "seed": 5,
            "max_epochs": 4,
            "patience": None,
            "device": torch.device("cpu"),
            "precision": torch.float32,
            "keep_best": True,
            **changed,
        }
        build = get_model("cnn").build if model is None else lambda _hparams: model
        spec = TrainableSpec("cnn", partial(Classifier, build), saves_state=True)
        return Session(spec, hparams, arguments.pop("data"), objectives=(DEFAULT_OBJECTIVE,), **arguments)

    return make
