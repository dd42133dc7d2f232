"""How fast this machine trains, measured before the plan is made."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from tuner.config import ResourceConfig
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.ray_session import cpus_and_gpus
from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import SpaceError, TunerError

MEASURED = "measured-"

_SAMPLE_IMAGES = 1280
_MOST_MEASURED = 8
"""Workers measured at the same time; they share a machine's memory and caches, so one alone would flatter."""
_UNTRAINABLE = "the space's first start configuration cannot be trained"
_HARMLESS_LEARNING_RATE = 1e-6
"""The speed does not depend on it, and a configuration that diverges is a failed trial, not the end of the study."""


def seconds_per_epoch(
    job: ray.ObjectRef[Job], hparams: Mapping[str, Any], workers: int, resources: ResourceConfig, scratch: str | Path
) -> float:
    """Return the mean seconds of one full epoch of a configuration, with `workers` trainings side by side.

    Their checkpoints lie below `scratch`, a place on the storage that the study will use, until each is done; one whose
    process is killed leaves some under a name that begins with `MEASURED`.

    Raises:
        SpaceError: if the configuration cannot be trained at all.
    """
    # Ray would repeat without end what runs out of memory.
    cpus, gpus = cpus_and_gpus(resources)
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
    measure = ray.remote(_measure).options(**options)
    for attempt in range(1 + resources.max_failures):
        measured = [measure.remote(job, dict(hparams), scratch) for _ in range(min(workers, _MOST_MEASURED))]
        try:
            seconds: list[float] = ray.get(measured)
            return sum(seconds) / len(seconds)
        except RayTaskError as error:
            cause = error.cause
            reason = str(cause) if isinstance(cause, TunerError) else f"{type(cause).__name__}: {cause}"
            raise SpaceError(f"{_UNTRAINABLE}: {' '.join(reason.split())}") from error
        except RayError as error:
            reason = f"its worker died {attempt + 1} times: {str(error).strip().splitlines()[0]}"
    raise SpaceError(f"{_UNTRAINABLE}: {reason}")


def _measure(job: Job, hparams: dict[str, Any], scratch: str | Path) -> float:
    """Return the seconds of a full epoch, from a warm epoch on a sample."""
    hparams = hparams | {"learning_rate": _HARMLESS_LEARNING_RATE}
    share = min(1.0, _SAMPLE_IMAGES / len(job.splits.train))
    sample = dataclasses.replace(job, splits=_sample(job.splits, share), splits_sha256=None)
    checkpoints = f"{scratch}/{MEASURED}{uuid.uuid4().hex}"
    try:
        worker = Worker(sample)
        worker.begin(Assignment(hparams, seed=0, max_epochs=2, checkpoints=checkpoints))
        worker.next_report()
        return worker.next_report().seconds / share
    finally:
        CheckpointStore(checkpoints).delete()


def _sample(splits: SearchData, share: float) -> SearchData:
    return dataclasses.replace(splits, train=_first(splits.train, share), dev=_first(splits.dev, share))


def _first(split: Split, share: float) -> Split:
    n = max(2, round(len(split) * share))
    return Split(split.images[:n], split.labels[:n], split.class_names)
