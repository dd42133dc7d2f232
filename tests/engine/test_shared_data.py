"""The images are put once and mapped by every process of a node, and a damaged copy is refused; on a real Ray."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.worker import Job, Worker
from tuner.errors import DataError
from tuner.models import get_model
from tuner.training.classifier import classifier_of

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def large_job() -> Job:
    """A job whose images are too many to travel inside a message."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5000, 28, 28), dtype=np.uint8)
    split = Split(images, rng.integers(0, 10, 5000))
    splits = SearchData(split, split)
    return Job(splits, classifier_of(get_model("cnn")), 10, "float32", threads=1, splits_sha256=splits.fingerprint())


def where_the_images_lie(job: Job) -> tuple[int, str, bool]:
    """Return the process, the mapped file (device and inode) that holds the images, and whether they can be changed."""
    images = job.splits.train.images
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, device, inode, *_ = line.split()
        first, _, last = span.partition("-")
        if int(first, 16) <= images.ctypes.data < int(last, 16):
            return os.getpid(), f"{device} {inode}", images.flags.writeable
    raise AssertionError("the images lie nowhere")


@pytest.mark.usefixtures("ray_running")
def test_all_processes_of_a_node_map_the_same_bytes_and_cannot_change_them(large_job: Job) -> None:
    reference = ray.put(large_job)
    look: Any = ray.remote(num_cpus=0, max_calls=1)(where_the_images_lie)  # a process for each
    seen = ray.get([look.remote(reference) for _ in range(3)])
    assert len({process for process, _, _ in seen}) == 3
    [file] = {file for _, file, _ in seen}
    assert not file.endswith(" 0"), "the images are in memory of the process's own"
    assert not any(writeable for _, _, writeable in seen)


def test_a_damaged_copy_is_refused_with_the_nodes_name(large_job: Job) -> None:
    images = large_job.splits.train.images.copy()
    images[17, 3, 3] ^= 1
    train = dataclasses.replace(large_job.splits.train, images=images)
    damaged = dataclasses.replace(large_job, splits=dataclasses.replace(large_job.splits, train=train))
    with pytest.raises(DataError, match=f"the data on node {os.uname().nodename} are damaged"):
        Worker(damaged)


def test_a_whole_copy_is_accepted(large_job: Job) -> None:
    assert Worker(large_job).job is large_job
