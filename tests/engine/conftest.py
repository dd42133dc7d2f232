"""Fixtures for the tests of the study: assignments for the smallest of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tuner.engine.processors import usable_cpus
from tuner.engine.worker import Assignment

HPARAMS = {"learning_rate": 0.003, "batch_size": 32, "shift": 1}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A worker sets torch's threads for its whole process, which here is everyone's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def two_cpus() -> None:
    if usable_cpus() < 2:
        pytest.skip("needs two CPUs")


@pytest.fixture
def assign(tmp_path: Path) -> Callable[..., Assignment]:
    """Make an assignment of four epochs with its checkpoints in a folder of the test's."""

    def make(folder: str = "trial", **changed: Any) -> Assignment:
        hparams = HPARAMS | changed.pop("hparams", {})
        return Assignment(hparams, **{"seed": 5, "max_epochs": 4, "checkpoints": tmp_path / folder, **changed})

    return make
