"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def fashion_mnist_dir() -> Path:
    """The folder with the real Fashion-MNIST; a relative TUNER_DATA_DIR counts from the repository's root."""
    value = os.environ.get("TUNER_DATA_DIR")
    if not value:
        pytest.skip("needs the real Fashion-MNIST: set TUNER_DATA_DIR to a folder with FashionMNIST/raw/*.gz")
    return (REPOSITORY / value).resolve()


@pytest.fixture(scope="session")
def ray_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray as a study starts it, once for all tests, for it takes seconds; a study under test joins it."""
    # Not at the top: most tests need no Ray.
    from tuner.config import ResourceConfig
    from tuner.study.ray_session import ray_session

    with ray_session(ResourceConfig(), tmp_path_factory.mktemp("ray") / "ray.log"):
        yield
