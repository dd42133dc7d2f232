"""Keras and Keras Tuner in an environment of their own, for the benchmarks that train."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tests.benchmarks.environments import command, variables
from tuner.data.splits import Split

VERSIONS = {"tensorflow-cpu": "2.21.0", "keras": "3.15.1", "keras-tuner": "1.4.8"}
_REQUIREMENTS = [*(f"{name}=={version}" for name, version in VERSIONS.items()), "tensorboard", "optuna>=5,<6"]
"""TensorBoard, which Keras Tuner takes to come with TensorFlow; Optuna, for the files of spaces name its types."""
_COMMAND = command("tests.benchmarks.keras_child", *_REQUIREMENTS)


def save(splits: Mapping[str, Split], file: Path) -> None:
    """Write the splits as the child reads them."""
    arrays: dict[str, Any] = {}
    for name, split in splits.items():
        arrays |= {f"{name}_images": split.images, f"{name}_labels": split.labels}
    np.savez(file, **arrays)


def prepare() -> None:
    """Let `uv` download what is needed, so that no clock runs meanwhile."""
    _run("--help", stdout=subprocess.DEVNULL)


def search(space: str, data: Path, epochs: int, until: float, seed: int, log: Path) -> None:
    """Let Keras Tuner's Hyperband search the space of this name on `data` until the time `until`."""
    flags = ["--space", space, "--epochs", str(epochs), "--until", str(until), "--seed", str(seed), "--log", str(log)]
    _run("search", "--data", str(data), *flags)


def retrain(hparams: Mapping[str, Any], data: Path, until: float, seed: int, log: Path) -> None:
    """Train the CNN with `hparams` until the time `until`, and measure it on test."""
    flags = ["--hparams", json.dumps(hparams), "--until", str(until), "--seed", str(seed), "--log", str(log)]
    _run("retrain", "--data", str(data), *flags)


def _run(*arguments: str, stdout: int | None = None) -> None:
    with tempfile.TemporaryDirectory(prefix="keras-") as folder:
        subprocess.run([*_COMMAND, *arguments], cwd=folder, env=_variables(), stdout=stdout, check=True)


def _variables() -> dict[str, str]:
    return variables(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="")


class KerasEpochs:
    """The CNN in Keras on one core, an epoch at a time; a context, which ends its process."""

    def __init__(self, hparams: Mapping[str, Any], splits: Mapping[str, Split]) -> None:
        """Start the process."""
        self._folder = tempfile.TemporaryDirectory(prefix="keras-")
        data = Path(self._folder.name) / "splits.npz"
        save(splits, data)
        self._child = subprocess.Popen(
            [*_COMMAND, "epochs", "--data", str(data), "--hparams", json.dumps(hparams)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._folder.name,
            env=_variables(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()
        self._folder.cleanup()

    def train(self) -> dict[str, float]:
        """Train an epoch, and return its seconds, `wall` and `cpu`, and how many `parameters` the model has.

        Raises:
            RuntimeError: if the process has ended.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError("the process of Keras has ended; it says why above")
        found: dict[str, float] = json.loads(answer)
        return found
