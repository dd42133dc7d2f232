"""Tests of `tuner.engine.ray_tune`: what Ray asks and tells, put to it directly, with a real coordinator behind it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.ray_tune import TuneCallback, TuneScheduler, TuneSearcher, TuneStopper
from tuner.errors import StorageError
from tuner.io import retry
from tuner.journal.events import EpochReported, Event, ModelMeasured, StudyStarted, TrialEnded, TrialRetried
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.search.registry import build_search
from tuner.search.report import EpochReport
from tuner.search.space import load_space
from tuner.search.trial import TrialState

CONTROLLER: Any = None
"""The bridge asks nothing of Ray's controller."""


class Study:
    """A coordinator of 3 trials for 2 workers, all of Ray's four parts, and a disk that can be made to fail."""

    def __init__(self, root: Path) -> None:
        self.paths = RunPaths(root)
        self.journal = JournalWriter(self.paths.journal)
        self.journal.append(StudyStarted({}, {}))
        self.full = False
        self.attempts = 0
        self.said: list[str] = []
        search = build_search(
            load_space("cnn"),
            searcher="random",
            scheduler="asha",
            min_epochs=1,
            max_epochs=3,
            reduction_factor=3,
            startup_trials=0,
            max_trials=3,
            objectives=(DEFAULT_OBJECTIVE,),
            seed=0,
            protect_starts=False,
        )
        clock = BudgetClock(None, RetrainLoad(1, 0, 3, 1), 2.0, lambda: 0.0)
        self.coordinator = Coordinator(
            search, self.record, clock, objectives=(DEFAULT_OBJECTIVE,), workers=2, seed=0, discard=self.discard
        )
        self.searcher = TuneSearcher(self.coordinator, self.paths)
        self.scheduler = TuneScheduler(self.coordinator, self.said.append)
        self.callback = TuneCallback(self.coordinator, self.paths, max_failures=2)
        self.stopper = TuneStopper(self.coordinator)

    def record(self, *events: Event) -> None:
        self.attempts += 1
        if self.full:
            raise StorageError("the disk is full")
        self.journal.append(*events)

    def discard(self, trial: int) -> None:
        CheckpointStore(self.paths.trial_checkpoints(trial)).delete()

    def begin(self) -> Any:
        """Give out a trial, with a checkpoint on the disk, as Ray knows it."""
        config = self.searcher.suggest("ray-id")
        assert isinstance(config, dict)
        folder = Path(config["checkpoints"])
        folder.mkdir(parents=True)
        (folder / "epoch").touch()
        return SimpleNamespace(config=config, status=Trial.PENDING, num_failures=3, error_file=None)

    def result(
        self, trial: Any, epoch: int, finished: bool = False, measures: dict[str, float] | None = None, **changes: Any
    ) -> str:
        """Tell a result as Ray does: flat."""
        flat: dict[str, Any] = {"report": EpochReport(epoch, metrics(**changes), 2.0)}
        flat |= {f"measures/{name}": value for name, value in (measures or {}).items()}
        return self.tell(trial, {"worker": "host:1", "finished": finished, "training_iteration": 9, **flat})

    def tell(self, trial: Any, result: dict[str, Any]) -> str:
        return self.scheduler.on_trial_result(CONTROLLER, trial, {"trial": trial.config["trial"], **result})

    def has_checkpoint(self, trial: Any) -> bool:
        return Path(trial.config["checkpoints"]).exists()

    def of(self, kind: type[Event]) -> list[Any]:
        return [entry.event for entry in read_journal(self.paths.journal) if isinstance(entry.event, kind)]


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    study = Study(tmp_path / "run")
    yield study
    study.journal.close()


def test_a_trial_comes_with_all_that_its_worker_needs(study: Study) -> None:
    config = study.searcher.suggest("ray-id")
    assert isinstance(config, dict)
    assert config["trial"] == 0
    assert config["max_epochs"] == 3
    assert config["hparams"]["learning_rate"] == 0.01
    assert Path(config["checkpoints"]) == study.paths.trial_checkpoints(0)
    assert isinstance(config["seed"], int)


def test_ray_is_told_to_wait_while_all_workers_are_busy_and_to_end_when_there_is_no_more(study: Study) -> None:
    first, second = study.begin(), study.begin()
    assert study.searcher.suggest("ray-id") is None
    study.result(first, 1, finished=True)
    third = study.begin()
    study.result(second, 1, finished=True)
    assert study.searcher.suggest("ray-id") is None
    study.result(third, 1, finished=True)
    assert study.searcher.suggest("ray-id") == Searcher.FINISHED


def test_ray_is_told_to_end_when_the_search_is_stopped(study: Study) -> None:
    study.begin()
    assert not study.stopper.stop_all()
    study.coordinator.stop("interrupted")
    assert study.searcher.suggest("ray-id") == Searcher.FINISHED
    assert study.stopper.stop_all()
    assert not study.stopper("ray-id", {})


def test_a_result_is_written_down_and_the_trial_goes_on_with_its_checkpoints(study: Study) -> None:
    trial = study.begin()
    assert study.result(trial, 1) == TrialScheduler.CONTINUE
    assert study.of(EpochReported) == [EpochReported(0, 1, metrics(), 2.0, "host:1")]
    assert study.has_checkpoint(trial)


def test_what_was_measured_is_written_down_once_and_before_the_first_result(study: Study) -> None:
    trial = study.begin()
    for epoch in (1, 2):
        study.result(trial, epoch, measures={"num_params": 7850.0, "latency": 0.001 * epoch})
    kinds = [type(entry.event) for entry in read_journal(study.paths.journal)]
    assert kinds[2:4] == [ModelMeasured, EpochReported]
    assert study.of(ModelMeasured) == [ModelMeasured(0, {"num_params": 7850.0, "latency": 0.001})]


def test_a_trial_that_is_stopped_loses_its_checkpoints(study: Study) -> None:
    first, second = study.begin(), study.begin()
    study.result(first, 1)
    assert study.result(second, 1, dev_accuracy=0.1) == TrialScheduler.STOP
    assert not study.has_checkpoint(second)
    assert study.has_checkpoint(first)


def test_a_result_with_a_reason_fails_the_trial_and_nothing_else(study: Study) -> None:
    trial = study.begin()
    answer = study.tell(trial, {"worker": "host:1", "reason": "the train loss is nan in epoch 1.", "storage": False})
    assert answer == TrialScheduler.STOP
    assert study.of(TrialEnded) == [TrialEnded(0, TrialState.FAILED, "the train loss is nan in epoch 1.")]
    assert not study.has_checkpoint(trial)
    assert not study.stopper.stop_all()
    assert study.coordinator.fatal is None


FULL = {"worker": "host:1", "reason": "no checkpoint can be written.", "storage": True}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only sleep moves."""
    times = [0.0]
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: times[0], sleep=lambda s: add(times, s)))
    return times


def add(times: list[float], seconds: float) -> None:
    times[0] += seconds


@pytest.mark.usefixtures("now")
def test_a_worker_whose_disk_is_full_is_asked_again_until_there_is_room(study: Study) -> None:
    trial = study.begin()
    study.result(trial, 1)
    assert [study.tell(trial, FULL) for _ in range(3)] == [TrialScheduler.CONTINUE] * 3
    assert len(study.said) == 1
    assert study.said[0].startswith("WAITING: no checkpoint can be written")
    study.result(trial, 2)
    assert study.said[1:] == ["The storage is back."]
    assert study.coordinator.fatal is None
    assert [event.epoch for event in study.of(EpochReported)] == [1, 2]


def test_a_disk_that_stays_full_ends_the_search_and_leaves_everything_for_the_resume(
    study: Study, now: list[float]
) -> None:
    trial = study.begin()
    study.result(trial, 1)
    study.tell(trial, FULL)
    now[0] += retry.MOST_SECONDS
    study.tell(trial, FULL)
    assert isinstance(study.coordinator.fatal, StorageError)
    assert "no checkpoint can be written. It has been so for 10 minutes" in str(study.coordinator.fatal)
    assert study.stopper.stop_all()
    assert study.of(TrialEnded) == []
    assert study.has_checkpoint(trial)


def test_a_journal_that_cannot_be_written_ends_the_search_and_leaves_everything_for_the_resume(study: Study) -> None:
    first, second = study.begin(), study.begin()
    study.result(first, 1)
    study.full = True
    study.result(first, 2)
    assert isinstance(study.coordinator.fatal, StorageError)
    assert study.stopper.stop_all()
    assert study.has_checkpoint(first)
    assert study.coordinator.unfinished == (0, 1)

    # An event behind one that is missing would be a lie, even if there is space again.
    study.full, attempts = False, study.attempts
    study.result(second, 1)
    study.callback.on_trial_error(1, [], second)
    study.callback.on_trial_recover(1, [], second)
    assert study.searcher.suggest("ray-id") == Searcher.FINISHED
    assert study.attempts == attempts
    assert study.has_checkpoint(second)


def test_a_lost_worker_is_noted_with_its_error(study: Study, tmp_path: Path) -> None:
    trial = study.begin()
    study.callback.on_trial_recover(1, [], trial)
    trial.error_file = str(tmp_path / "error.txt")
    Path(trial.error_file).write_text("Traceback\nActorDiedError: killed\n")
    study.callback.on_trial_recover(1, [], trial)
    assert study.of(TrialRetried) == [
        TrialRetried(0, "the worker died without a word"),
        TrialRetried(0, "Traceback\nActorDiedError: killed\n"),
    ]


def test_a_trial_whose_workers_fail_too_often_has_failed_and_is_taken_from_ray(study: Study, tmp_path: Path) -> None:
    trial = study.begin()
    trial.error_file = str(tmp_path / "error.txt")
    traceback = "Traceback\n  in build\nValueError: no such layer\n"
    stopped: list[Any] = []
    controller: Any = SimpleNamespace(stop_trial=stopped.append)
    for failure in range(1, 4):
        with Path(trial.error_file).open("a") as file:
            file.write(f"Failure # {failure} (occurred at noon)\n{traceback}")
        # In Ray's order.
        study.scheduler.on_trial_add(CONTROLLER, trial)
        study.callback.on_trial_recover(1, [], trial)
        chosen = study.scheduler.choose_trial_to_run(controller)
        assert chosen is (trial if failure < 3 else None)
    assert stopped == [trial]
    assert not study.has_checkpoint(trial)
    (end,) = study.of(TrialEnded)
    assert (end.state, end.reason) == (TrialState.FAILED, "its worker failed 3 times: ValueError: no such layer")
    assert end.error == traceback


def test_a_trial_that_ray_gives_up_before_it_began_is_given_out_again(study: Study) -> None:
    trial = study.begin()
    study.begin()
    study.callback.on_trial_error(1, [], trial)
    assert study.of(TrialEnded) == []
    assert [event.trial for event in study.of(TrialRetried)] == [0]
    assert list(study.coordinator.orphans) == [0]
    assert not study.coordinator.is_exhausted  # or Ray would ask for no more
    again = study.searcher.suggest("another-ray-id")
    assert isinstance(again, dict)
    assert again == trial.config
    assert list(study.coordinator.orphans) == []


def test_the_loss_of_a_node_is_not_held_against_the_trial(study: Study, tmp_path: Path) -> None:
    trial = study.begin()
    trial.error_file = str(tmp_path / "error.txt")
    Path(trial.error_file).write_text("The actor died because its node has died. Node Id: 5f")
    for _ in range(9):
        study.callback.on_trial_recover(1, [], trial)
    assert [event.charged for event in study.of(TrialRetried)] == [False] * 9


def test_a_trial_whose_worker_hung_says_where(study: Study) -> None:
    trial = study.begin()
    report = study.paths.trial_checkpoints(0).with_suffix(".hanging")
    report.write_text("Thread 0x1:\n  File space.py, line 3 in forward\n")
    study.callback.on_trial_recover(1, [], trial)
    (retried,) = study.of(TrialRetried)
    assert retried.error.splitlines()[1:] == [
        "  File space.py, line 3 in forward",
        "it hung: its epoch took more than --trial-timeout allows",
    ]
    assert retried.charged
    assert not report.exists()


def test_pending_trials_are_chosen_once_the_oldest_first(study: Study) -> None:
    def chosen() -> Any:
        return study.scheduler.choose_trial_to_run(CONTROLLER)

    first, second = study.begin(), study.begin()
    assert chosen() is None
    study.scheduler.on_trial_add(CONTROLLER, first)
    study.scheduler.on_trial_add(CONTROLLER, second)
    assert chosen() is first
    assert chosen() is second
    assert chosen() is None
    study.scheduler.on_trial_add(CONTROLLER, first)  # it lost its worker
    study.scheduler.on_trial_add(CONTROLLER, second)
    first.status = Trial.TERMINATED
    assert chosen() is second


def test_ray_keeps_no_statistics_of_a_trial_that_has_ended(study: Study) -> None:
    trial = Trial("trainable", stub=True)
    trial.run_metadata.update_metric("report/dev_accuracy", 0.6)  # type: ignore[arg-type] # mypy knows no Number
    study.callback.on_trial_complete(1, [], trial)
    assert trial.metric_analysis == trial.metric_n_steps == {}


def test_what_ray_pickles_of_the_bridge_holds_nothing_of_the_study(study: Study) -> None:
    for part in (study.searcher, study.scheduler, study.callback, study.stopper):
        assert b"onductor" not in pickle.dumps(part)
        assert vars(pickle.loads(pickle.dumps(part))) == {}
