"""Tests of `tuner.engine.ray_executor`: how Ray gives what is to be trained to processes."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from tests.engine.full_once import full_once
from tuner.config import ResourceConfig
from tuner.engine import ray_executor as module
from tuner.engine.executor import Key
from tuner.engine.outcome import Crashed, Outcome, Reported, WorkerLost
from tuner.engine.ray_executor import RayExecutor
from tuner.engine.ray_session import workers_available
from tuner.engine.trainable import OUTCOME
from tuner.engine.training_logs import TrainingLogs
from tuner.engine.worker import Assignment, Job
from tuner.paths import RunPaths
from tuner.search.report import EpochReport
from tuner.training.trainable import trainable_of

WORKERS, TRAININGS = 2, 8
REPORT = EpochReport(1, {}, 0.0)


class Trainings:
    """A work of so many trainings, each of one step."""

    def __init__(self, numbers: range) -> None:
        self._waiting = list(numbers)
        self._running: set[Key] = set()
        self.done: list[Any] = []

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._running

    def next(self) -> tuple[Key, Assignment] | None:
        if not self._waiting or len(self._running) == WORKERS:
            return None
        number = self._waiting.pop(0)
        self._running.add(number)
        return number, Assignment({}, number, 1, "nowhere")

    def take(self, key: Key, outcome: Outcome) -> bool:
        self._running.remove(key)
        self.done.append(key)
        return False

    def give_back(self, key: Key) -> None:
        raise AssertionError(key)


def slow_to_start(folder: Path) -> type[tune.Trainable]:
    """Return a trainable whose process takes longer to start than its trials to end; each leaves its number."""

    class SlowToStart(tune.Trainable):
        def setup(self, config: dict[str, Any], job: None = None) -> None:
            time.sleep(0.5)
            (folder / str(os.getpid())).touch()
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            return {OUTCOME: Reported(REPORT, "nobody:0", finished=True, measures={})}

    return SlowToStart


@pytest.mark.timeout(120)
def test_as_many_processes_as_workers_start_and_do_all_works_one_after_the_other(
    two_cpus: None, ray_running: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    works = [Trainings(range(WORKERS)), Trainings(range(2, TRAININGS)), Trainings(range(TRAININGS, TRAININGS + 3))]
    (tmp_path / "processes").mkdir()
    executor = RayExecutor(
        ResourceConfig(gpus_per_trial=0),
        workers=WORKERS,
        name=str(tmp_path),
        say=print,
        trainable=slow_to_start(tmp_path / "processes"),
    )
    nothing: Any = None
    executor.run(nothing, iter(works))
    done = [key for work in works for key in work.done]
    assert sorted(done[:WORKERS]) == list(range(WORKERS))
    assert sorted(done) == list(range(TRAININGS + 3))
    # None was ended for one that was free, nor because it had nothing to do between two works.
    assert len(list((tmp_path / "processes").iterdir())) == WORKERS
    assert capfd.readouterr().out == ""


class Signalled(Trainings):
    """Trainings after the first of which the time of a job is up, as Slurm says it."""

    def take(self, key: Key, outcome: Outcome) -> bool:
        os.kill(os.getpid(), signal.SIGUSR1)
        return super().take(key, outcome)


@pytest.mark.timeout(120)
def test_works_that_a_signal_cut_short_are_not_taken_for_done(ray_running: None, tmp_path: Path) -> None:
    work, later = Signalled(range(TRAININGS)), Trainings(range(TRAININGS, TRAININGS + 1))
    executor = RayExecutor(
        ResourceConfig(), workers=1, name=str(tmp_path), say=print, trainable=slow_to_start(tmp_path)
    )
    nothing: Any = None
    with pytest.raises(KeyboardInterrupt):
        executor.run(nothing, iter([work, later]))
    assert 0 < len(work.done) < TRAININGS
    assert not later.done


class Patient(Trainings):
    """One training of three epochs, which goes on when it has lost its process."""

    def __init__(self, folder: Path, hparams: Mapping[str, Any] | None = None) -> None:
        super().__init__(range(1))
        self._folder = folder
        self._hparams = hparams or {}
        self.outcomes: list[Outcome] = []

    def next(self) -> tuple[Key, Assignment] | None:
        found = super().next()
        return found and (found[0], Assignment(self._hparams, 1, 3, self._folder / "trial"))

    def take(self, key: Key, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        goes_on = not (isinstance(outcome, Reported) and outcome.finished)
        return goes_on or super().take(key, outcome)


@pytest.mark.timeout(120)
def test_a_training_whose_device_was_full_goes_on_in_another_process(
    ray_running: None, job: Job, tmp_path: Path
) -> None:
    work = Patient(tmp_path)
    executor = RayExecutor(ResourceConfig(), workers=1, name=str(tmp_path), say=print)
    executor.run(replace(job, trainable=trainable_of(full_once(tmp_path / "was full"))), iter([work]))
    assert [type(outcome) for outcome in work.outcomes] == [Reported, WorkerLost, Reported, Reported, Reported]
    reports = [outcome.report for outcome in work.outcomes if isinstance(outcome, Reported)]
    assert [report.epoch for report in reports] == [1, 1, 2, 3]
    assert reports[0].metrics["process"] != reports[2].metrics["process"]


class Talkative:
    """A training that prints and warns, and whose second epoch fails the first time."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> None:
        self.folder, self.epoch = Path(hparams["folder"]), 0
        print("building")

    def train_epoch(self) -> dict[str, float]:
        for percent in range(101):
            print(f"\r{percent}%", end="", file=sys.stderr)
        print(file=sys.stderr)
        logging.getLogger("mine").warning("mind the %s", "gap")
        failing = self.folder / "has failed"
        if self.epoch == 1 and not failing.exists():
            failing.touch()
            print("about to fail")
            raise ValueError("not this time")
        self.epoch += 1
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]


@pytest.mark.timeout(120)
def test_what_a_training_prints_and_why_it_failed_stands_in_its_log(
    ray_running: None, job: Job, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work = Patient(tmp_path, {"folder": str(tmp_path)})
    logs = TrainingLogs(RunPaths(tmp_path), print)
    executor = RayExecutor(ResourceConfig(), workers=1, name=str(tmp_path), say=print, logs=logs)
    executor.run(replace(job, trainable=trainable_of(Talkative)), iter([work]))
    assert [type(outcome) for outcome in work.outcomes] == [Reported, Crashed, Reported, Reported, Reported]
    told = re.sub(r"(, [^ ]+:\d+)?, \d{4}-.*", ", TIME", (tmp_path / "logs" / "trial.log").read_text())
    assert told.startswith(
        "--- epoch 1, TIME\nbuilding\n100%\nmind the gap\n"
        "--- failed, TIME\n100%\nmind the gap\nabout to fail\nTraceback (most recent call last):\n"
    )
    assert told.endswith(
        "ValueError: not this time\n--- epoch 1, TIME\nbuilding\n"
        "--- epoch 2, TIME\n100%\nmind the gap\n--- epoch 3, TIME\n100%\nmind the gap\n"
    )
    assert capfd.readouterr().out == ""


class Hanging:
    """A training without a state, so that no bucket is asked for one, whose first epoch does not end."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> None:
        pass

    def train_epoch(self) -> dict[str, float]:
        time.sleep(600)
        return {}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {}


class InABucket(Trainings):
    """One training with its checkpoints in a bucket."""

    def __init__(self) -> None:
        super().__init__(range(1))
        self.outcomes: list[Outcome] = []

    def next(self) -> tuple[Key, Assignment] | None:
        found = super().next()
        return found and (found[0], Assignment({}, 1, 3, "s3://nowhere/trial"))

    def take(self, key: Key, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        return super().take(key, outcome)


@pytest.mark.timeout(120)
def test_where_a_training_hung_is_told_though_its_checkpoints_are_in_a_bucket(
    ray_running: None, job: Job, tmp_path: Path
) -> None:
    work = InABucket()
    executor = RayExecutor(ResourceConfig(), workers=1, name=str(tmp_path), say=print)
    executor.run(replace(job, trainable=trainable_of(Hanging), trial_timeout=2.0), iter([work]))
    [outcome] = work.outcomes
    assert isinstance(outcome, WorkerLost)
    assert "in train_epoch" in outcome.error
    assert outcome.error.endswith("it hung: its epoch took more than --trial-timeout allows")


# GPUs, which exist in Ray's books alone.


@pytest.fixture
def _eight_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 64.0, "GPU": 8.0}}])


def sharing(monkeypatch: pytest.MonkeyPatch, found: tuple[int, int] | None, **resources: Any) -> RayExecutor:
    """Return an executor after the memory of a training was found to be so."""
    asked = replace(ResourceConfig(), **resources)
    executor = RayExecutor(asked, workers=workers_available(asked), name="gpus", say=print)
    monkeypatch.setattr(module, "measure_gpu_memory", lambda job, assignment: found)
    executor.share_gpus(Any, Assignment({}, 0, 1, "nowhere"))  # type: ignore[arg-type] # nobody looks at the job
    return executor


@pytest.mark.usefixtures("_eight_gpus")
@pytest.mark.parametrize(
    ("found", "resources", "workers", "cpus"),
    [
        (None, {}, 8, 8),
        ((70 << 30, 80 << 30), {}, 8, 8),
        ((8 << 30, 80 << 30), {}, 32, 2),
        ((8 << 30, 80 << 30), {"cpus_per_trial": 4}, 16, 4),
        ((8 << 30, 80 << 30), {"gpus_per_trial": 1.0}, 8, 8),
        ((8 << 30, 80 << 30), {"gpus_per_trial": 0.0}, 64, 1),
        ((8 << 30, 80 << 30), {"workers": 6}, 6, 8),
    ],
)
def test_more_trainings_go_on_if_a_gpu_has_room_for_several_and_the_user_has_not_said_how_many(
    monkeypatch: pytest.MonkeyPatch, found: tuple[int, int] | None, resources: dict[str, Any], workers: int, cpus: int
) -> None:
    executor = sharing(monkeypatch, found, **resources)
    assert (executor.workers, executor.cpus_a_trial) == (workers, cpus)
    assert executor.workers_a_node == workers


def test_without_gpus_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    assert sharing(monkeypatch, (1, 80 << 30)).workers == 4
