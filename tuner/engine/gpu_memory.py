"""How much memory of its GPU a training takes, measured under Ray in a process that has one for itself."""

from __future__ import annotations

import ray
import torch
from ray.exceptions import RayError

from tuner.data.splits import as_split
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.stepper import sampled
from tuner.engine.worker import Assignment, Job, Worker


def measure_gpu_memory(job: Job, assignment: Assignment) -> tuple[int, int] | None:
    """Return the most bytes that torch reserves in a training with all its data on the GPU, and those of the GPU.

    It trains on the `share` of the assignment. None if it cannot be trained, which the measuring of its speed will
    explain, or torch sees no GPU.
    """
    ask = ray.remote(_measure).options(num_cpus=0, num_gpus=1, max_retries=0)
    try:
        found: tuple[int, int] | None = ray.get(ask.remote(job, assignment))
    except RayError:
        return None
    return found


def _measure(job: Job, assignment: Assignment) -> tuple[int, int] | None:
    if not torch.cuda.is_available():
        return None
    try:
        sample = sampled(job, assignment.share)
        worker = Worker(sample)
        worker.begin(assignment)
        worker.next_report()
        worker.training.evaluate(job.splits.dev)  # in batches as large as they will be
        left_out = _bytes(job) - _bytes(sample)
        return torch.cuda.max_memory_reserved() + left_out, torch.cuda.mem_get_info()[1]
    finally:
        CheckpointStore(assignment.checkpoints).delete()


def _bytes(job: Job) -> int:
    """Return the bytes of the arrays that the built-in loop keeps on the GPU."""
    return sum(as_split(split).nbytes for split in (job.splits.train, job.splits.dev))
