"""Training images a second and core: a trial inside Ray, the bare loop, plain PyTorch as a tutorial has it, and Keras.

python -m tests.benchmarks.throughput --json FILE

The same CNN, batch of 128, crop, flip and Adam in all, one thread each, in turns, several rounds. A round is an epoch
with its evaluation on a fifth as many images, and for the trial inside Ray its checkpoint and its report to the driver
too. `wall` counts on a machine without other work only; `cpu` is the processor's time in the process that trains.
`plain` is float32 in torch's default memory format, with torchvision's transforms and a DataLoader in the same process,
as in Ray's tutorial but for its worker processes, for one core is compared with one core. `keras` is the reference as
the student project has it, with TensorFlow and with Keras's own augmentation, in an environment of its own; its `cpu`
is that of its process. What the core could do at most is a product of two matrices.

The pixels are random: what they show makes no difference to the time.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import tyro

from tests.benchmarks.keras_peer import VERSIONS, KerasEpochs
from tests.benchmarks.output import publish
from tests.benchmarks.tutorial_training import TutorialTraining
from tuner.config import ResourceConfig
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.provenance import source_commit
from tuner.engine.ray_session import ray_session
from tuner.engine.worker import Assignment, Job, Worker
from tuner.models import get_model
from tuner.models.cnn import DEFAULTS
from tuner.training.classifier import Classifier, classifier_of
from tuner.training.precision import resolve

CPU = torch.device("cpu")
HPARAMS = {"flip": True, "shift": 2, "batch_size": 128}
FLOP_PER_IMAGE = 258e6
"""Multiplications and additions of the reference CNN's convolutions and dense layers, forward and twice that back."""
_MATRIX = 2048


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    images: int = 3840
    """Of a round, for each of the four."""
    rounds: int = 3
    json: Path | None = None


def data_of(images: int) -> SearchData:
    """Return random images; dev has a fifth of train's, as Fashion-MNIST's."""
    rng = np.random.default_rng(0)
    train, dev = (
        Split(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % 10) for n in (images, images // 5)
    )
    return SearchData(train, dev)


@dataclass(frozen=True)
class Seconds:
    """What a call took."""

    wall: float
    cpu: float


def timed(call: Callable[[], object]) -> Seconds:
    """Return what a call takes in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


class ClockedWorker(Worker):
    """A trial's process that tells what its epochs cost it."""

    def epoch(self) -> float:
        """Train an epoch, save its checkpoint, and return the processor's seconds."""
        return timed(self.next_report).cpu


def bare(data: SearchData) -> Callable[[], Seconds]:
    """Return what trains an epoch of the loop that the trials run, in this process."""
    build = get_model("cnn").build
    precision = resolve("auto", CPU)
    training = Classifier(build, HPARAMS, data, seed=0, device=CPU, max_epochs=None, precision=precision)
    return lambda: timed(training.train_epoch)


def inside_ray(data: SearchData, rounds: int, folder: Path) -> Callable[[], Seconds]:
    """Return what lets a trial's process train an epoch, save its checkpoint and report."""
    job = ray.put(Job(data, classifier_of(get_model("cnn")), patience=rounds + 2, precision="auto", threads=1))
    worker: Any = ray.remote(ClockedWorker).options(num_cpus=1).remote(job)
    assignment = Assignment(HPARAMS, seed=0, max_epochs=rounds + 2, checkpoints=folder)
    ray.get(worker.begin.remote(assignment))

    def epoch() -> Seconds:
        wall = time.perf_counter()
        cpu = ray.get(worker.epoch.remote())
        return Seconds(time.perf_counter() - wall, cpu)

    return epoch


def plain(data: SearchData) -> Callable[[], Seconds]:
    """Return what trains and evaluates an epoch as a tutorial does."""
    training = TutorialTraining(HPARAMS, data.train, data.dev, seed=0)
    return lambda: timed(training.train_epoch)


def in_keras(child: KerasEpochs) -> Callable[[], Seconds]:
    """Return what lets Keras train and evaluate an epoch."""

    def epoch() -> Seconds:
        found = child.train()
        return Seconds(found["wall"], found["cpu"])

    return epoch


def peak(dtype: torch.dtype, repeats: int = 5) -> float:
    """Return the GFLOP of a product of two matrices by the processor's second, the best of some."""
    one, other = (torch.randn(_MATRIX, _MATRIX).to(dtype) for _ in range(2))
    seconds = [timed(lambda: one @ other).cpu for _ in range(repeats + 1)]
    return float(2 * _MATRIX**3 / min(seconds[1:]) / 1e9)


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure all, in turns."""
    torch.set_num_threads(1)
    data = data_of(arguments.images)
    splits = {"train": data.train, "dev": data.dev}
    with (
        tempfile.TemporaryDirectory() as folder,
        ray_session(ResourceConfig(), Path(folder) / "ray.log"),
        KerasEpochs(DEFAULTS | HPARAMS, splits) as keras,
    ):
        epochs = {
            "inside_ray": inside_ray(data, arguments.rounds, Path(folder) / "checkpoints"),
            "bare": bare(data),
            "plain": plain(data),
            "keras": in_keras(keras),
        }
        for epoch in epochs.values():
            epoch()  # the first one chooses its kernels
        seconds: dict[str, list[Seconds]] = {name: [] for name in epochs}
        for _ in range(arguments.rounds):
            for name, epoch in epochs.items():
                seconds[name].append(epoch())
    # A processor without bfloat16 takes minutes for what it only imitates.
    dtypes = dict.fromkeys([torch.float32, resolve("auto", CPU)])
    return _found(arguments, seconds, {str(dtype).removeprefix("torch."): peak(dtype) for dtype in dtypes})


def _found(arguments: Arguments, seconds: dict[str, list[Seconds]], peaks: dict[str, float]) -> dict[str, Any]:
    rates = {
        name: {clock: [arguments.images / getattr(one, clock) for one in found] for clock in ("wall", "cpu")}
        for name, found in seconds.items()
    }
    cpu = {name: statistics.median(found["cpu"]) for name, found in rates.items()}
    precision = "bfloat16" if resolve("auto", CPU) is torch.bfloat16 else "float32"
    return {
        "arguments": {"images": arguments.images, "rounds": arguments.rounds},
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "ray")} | VERSIONS,
        "machine": {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()},
        "precision": precision,
        "images_per_second": {
            name: {clock: _spread(values) for clock, values in found.items()} for name, found in rates.items()
        },
        "peak_gflops": peaks,
        "inside_ray_to_bare": cpu["inside_ray"] / cpu["bare"],
        "bare_to_plain": cpu["bare"] / cpu["plain"],
        "bare_to_keras": cpu["bare"] / cpu["keras"],
        "share_of_peak": cpu["bare"] * FLOP_PER_IMAGE / 1e9 / peaks[precision],
    }


def _spread(rates: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}


if __name__ == "__main__":
    arguments = tyro.cli(Arguments, description=__doc__)
    publish(main(arguments), arguments.json)
