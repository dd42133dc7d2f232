"""Tests of `tuner.engine.trainable`: what a process of Ray's does once, before its trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tests.environment import untouched_environment
from tuner.engine.processors import usable_cpus
from tuner.engine.ray_session import _has_gpus
from tuner.engine.trainable import ASSIGNMENT, TrialTrainable
from tuner.engine.worker import Assignment, Job

WAITED = """
import json, os, sys, time
from pathlib import Path

from tuner.config import ResourceConfig
from tuner.engine.ray_session import ray_session

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def waiting():
    idle = [line.parent.name for line in Path("/proc").glob("[0-9]*/cmdline") if b"ray::IDLE" in line.read_bytes()]
    return [int(pid) for pid in idle if parent(parent(pid)) == os.getpid()]

with ray_session(ResourceConfig(), Path(sys.argv[1]) / "ray.log"):
    from ray import tune

    while not (waited := waiting()):
        time.sleep(0.1)

    class Asked(tune.Trainable):
        def step(self):
            return {"done": True, "pid": os.getpid(), "is_ready": "tuner.training.classifier" in sys.modules}

    tuner = tune.Tuner(Asked, run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0))
    (result,) = tuner.fit()
    answer = {"has_waited": result.metrics["pid"] in waited, "is_ready": result.metrics["is_ready"]}
    (Path(sys.argv[1]) / "answer.json").write_text(json.dumps(answer))
"""


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


@pytest.mark.timeout(180)
@pytest.mark.skipif(
    usable_cpus() > 16 or _has_gpus() or sys.platform != "linux", reason="there Ray's processes do not import ahead"
)
def test_a_trial_gets_a_process_that_has_waited_for_it_and_imported_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITED, str(tmp_path)]
    subprocess.run(command, check=True, env=untouched_environment())
    assert json.loads((tmp_path / "answer.json").read_text()) == {"has_waited": True, "is_ready": True}
