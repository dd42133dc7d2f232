"""Tests of `tuner.engine.trainable`: what a process of Ray's does once, before its trainings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import ray
from threadpoolctl import threadpool_info, threadpool_limits

from tuner.engine.trainable import ASSIGNMENT, TrialTrainable
from tuner.engine.worker import Assignment, Job


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with threadpool_limits():
        yield


def test_what_was_imported_before_the_training_gets_no_more_threads_than_it(
    job: Job, assign: Callable[..., Assignment]
) -> None:
    threadpool_limits(os.cpu_count())
    TrialTrainable.setup(object.__new__(TrialTrainable), {ASSIGNMENT: assign()}, job)
    assert {pool["num_threads"] for pool in threadpool_info()} == {job.threads}


def test_a_process_has_what_it_needs_before_it_is_asked_for_a_training(ray_running: None) -> None:
    @ray.remote
    def is_imported() -> bool:
        import sys

        return "tuner.engine.trainable" in sys.modules

    assert ray.get(is_imported.remote())
