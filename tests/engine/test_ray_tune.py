"""Tests of `tuner.engine.ray_tune`: what Ray asks and tells, put to it directly, with a real coordinator behind it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine import ray_tune
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.executor import Agenda, Work
from tuner.engine.outcome import Crashed, Failed, Reported, StepOutcome, StorageAway
from tuner.engine.ray_tune import Processes, TuneCallback, TuneScheduler, TuneSearcher, TuneStopper
from tuner.engine.search_phase import SearchPhase
from tuner.engine.worker import Assignment
from tuner.errors import StorageError
from tuner.io import retry
from tuner.journal.events import EpochReported, Event, ModelMeasured, StudyStarted, TrialEnded, TrialRetried
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.search.registry import build_search
from tuner.search.report import EpochReport
from tuner.search.space import load_space
from tuner.search.trial import TrialState


class Controller:
    """Ray's, as far as the parts use it."""

    def __init__(self) -> None:
        self.stopped: list[Any] = []
        self.without_resources: list[Any] = []
        self._trial_to_actor = self
        self._actor_manager = self

    def stop_trial(self, trial: Any) -> None:
        trial.status = Trial.TERMINATED
        self.stopped.append(trial)

    def get(self, trial: Any) -> Any:
        return trial

    def is_actor_started(self, actor: Any) -> bool:
        return actor not in self.without_resources


class Study:
    """A search of 3 trials with 2 workers, all of Ray's four parts, and a disk that can be made to fail."""

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
            scheduler="asha-promote",
            min_epochs=1,
            max_epochs=3,
            reduction_factor=3,
            startup_trials=0,
            max_trials=3,
            objectives=(DEFAULT_OBJECTIVE,),
            protect_starts=False,
            seed=0,
        )
        clock = BudgetClock(None, RetrainLoad(1, 0, 3, 1), 2.0, lambda: 0.0)
        self.coordinator = Coordinator(
            search, self.record, clock, objectives=(DEFAULT_OBJECTIVE,), workers=2, seed=0, discard=self.discard
        )
        self.agenda = Agenda(iter(self.works()), self.said.append)
        self.processes = Processes(2)
        self.searcher = TuneSearcher(self.agenda, self.processes)
        self.scheduler = TuneScheduler(self.agenda, self.processes)
        self.callback = TuneCallback(self.agenda, self.processes)
        self.stopper = TuneStopper(self.agenda)
        self.controller: Any = Controller()

    def works(self) -> Iterator[Work]:
        yield SearchPhase(self.coordinator, self.paths, max_failures=2)
        self.coordinator.finish()

    def record(self, *events: Event) -> None:
        self.attempts += 1
        if self.full:
            raise StorageError("the disk is full")
        self.journal.append(*events)

    def discard(self, trials: Sequence[int]) -> None:
        for trial in trials:
            CheckpointStore(self.paths.trial_checkpoints(trial)).delete()

    def begin(self) -> Any:
        """Give out a trial, with a checkpoint on the disk, and start it as Ray does."""
        config = self.searcher.suggest("ray-id")
        assert isinstance(config, dict)
        folder = Path(config["assignment"].checkpoints)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "epoch").touch()
        trial: Any = SimpleNamespace(config=config, status=Trial.PENDING, num_failures=3, error_file=None)
        self.scheduler.on_trial_add(self.controller, trial)
        self.start()
        return trial

    def start(self) -> Any:
        """Let Ray start what is chosen."""
        trial: Any = self.scheduler.choose_trial_to_run(self.controller)
        if trial is not None:
            trial.status = Trial.RUNNING
        return trial

    def lose(self, trial: Any) -> Any:
        """Let the trial's process die, in Ray's order, and return what Ray starts next."""
        trial.status = Trial.PENDING
        self.scheduler.on_trial_add(self.controller, trial)
        self.callback.on_trial_recover(1, [], trial)
        return self.start()

    def result(
        self,
        trial: Any,
        epoch: int,
        finished: bool = False,
        measures: dict[str, float] | None = None,
        dev_accuracy: float = 0.6,
    ) -> str:
        report = EpochReport(epoch, metrics(1.0, 0.5, 1.0, dev_accuracy, 0.01), 2.0)
        return self.tell(trial, Reported(report, "host:1", finished, measures or {}))

    def tell(self, trial: Any, outcome: StepOutcome) -> str:
        return self.scheduler.on_trial_result(self.controller, trial, {"training_iteration": 9, "outcome": outcome})

    def has_checkpoint(self, trial: Any) -> bool:
        return Path(trial.config["assignment"].checkpoints).exists()

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
    assignment: Assignment = config["assignment"]
    assert config["order"] == 0
    assert assignment.max_epochs == 3
    assert assignment.hparams["learning_rate"] == 0.01
    assert assignment.checkpoints == study.paths.location(study.paths.trial_checkpoints(0))
    assert isinstance(assignment.seed, int)
    assert assignment.conclusion is None  # there is no way from a trial to the test set


def test_ray_is_told_to_wait_while_all_workers_are_busy_and_to_end_when_there_is_no_more(study: Study) -> None:
    first, second = study.begin(), study.begin()
    assert study.searcher.suggest("ray-id") is None
    study.result(first, 1, finished=True)
    third = study.begin()
    study.result(second, 1, finished=True)
    assert study.searcher.suggest("ray-id") is None
    study.result(third, 1, finished=True)
    assert not study.stopper.stop_all()
    assert study.searcher.suggest("ray-id") == Searcher.FINISHED
    assert study.stopper.stop_all()
    assert not study.stopper("ray-id", {})


def test_ray_is_told_to_end_when_the_search_is_stopped_and_nothing_follows_it(study: Study) -> None:
    study.begin()
    study.coordinator.stop("interrupted")
    assert study.searcher.suggest("ray-id") == Searcher.FINISHED
    assert study.stopper.stop_all()


def test_a_result_is_written_down_and_the_trial_goes_on_with_its_checkpoints(study: Study) -> None:
    trial, _ = study.begin(), study.begin()
    study.result(trial, 1)
    (event,) = study.of(EpochReported)
    assert (event.trial, event.epoch, event.worker, event.finished, event.seconds) == (0, 1, "host:1", False, 2.0)
    assert study.has_checkpoint(trial)


def test_what_was_measured_is_written_down_once_and_before_the_first_result(study: Study) -> None:
    trial = study.begin()
    for epoch in (1, 2):
        study.result(trial, epoch, measures={"num_params": 7850.0, "latency": 0.001 * epoch})
    kinds = [type(entry.event) for entry in read_journal(study.paths.journal)]
    assert kinds[2:4] == [ModelMeasured, EpochReported]
    assert study.of(ModelMeasured) == [ModelMeasured(0, {"num_params": 7850.0, "latency": 0.001})]


def test_a_trial_that_is_paused_frees_its_process_and_goes_on_as_another_of_rays(study: Study) -> None:
    first, second = study.begin(), study.begin()
    assert study.result(first, 1) == TrialScheduler.NOOP
    third = study.begin()
    assert study.controller.stopped == [first]  # into Ray's cache, from where the process goes to the third
    study.result(second, 1, dev_accuracy=0.1)
    study.result(third, 1, dev_accuracy=0.1)
    promoted = study.begin()
    assert promoted.config["assignment"].checkpoints == first.config["assignment"].checkpoints
    assert promoted.config["assignment"].known_epochs == 1
    assert study.result(promoted, 2) == TrialScheduler.CONTINUE


def test_a_free_process_is_given_out_before_another_is_started(study: Study) -> None:
    first, _ = study.begin(), study.begin()
    study.result(first, 1, finished=True)
    assert study.controller.stopped == []  # idle, but alive
    assert study.start() is None
    assert study.controller.stopped == []
    study.begin()
    assert study.controller.stopped == [first]


def test_a_failure_by_its_own_fault_fails_the_trial_and_nothing_else(study: Study) -> None:
    trial = study.begin()
    assert study.tell(trial, Failed("the train loss is nan in epoch 1.")) == TrialScheduler.NOOP
    assert study.of(TrialEnded) == [TrialEnded(0, TrialState.FAILED, "the train loss is nan in epoch 1.")]
    assert not study.has_checkpoint(trial)
    assert not study.stopper.stop_all()
    assert list(study.processes.free) == [trial]


def test_a_process_that_a_failure_spoilt_is_not_used_again(study: Study) -> None:
    trial = study.begin()
    spoilt = Failed("its training needs more memory than the device has", "Traceback ...", spoils_process=True)
    assert study.tell(trial, spoilt) == TrialScheduler.CONTINUE  # to its end
    assert not study.processes.free
    assert study.lose(trial) is None
    assert study.controller.stopped == [trial]
    (end,) = study.of(TrialEnded)
    assert (end.state, end.error) == (TrialState.FAILED, "Traceback ...")
    assert study.of(TrialRetried) == []


def test_a_trial_whose_code_crashes_is_begun_again_in_its_process_until_it_has_failed(study: Study) -> None:
    trial = study.begin()
    crashed = Crashed("ValueError: no such layer", "Traceback\n  in build\nValueError: no such layer\n")
    assert [study.tell(trial, crashed) for _ in range(3)] == [*[TrialScheduler.CONTINUE] * 2, TrialScheduler.NOOP]
    assert [event.charged for event in study.of(TrialRetried)] == [True, True]
    (end,) = study.of(TrialEnded)
    assert (end.state, end.reason) == (TrialState.FAILED, "its worker failed 3 times: ValueError: no such layer")
    assert end.error == crashed.error


FULL = StorageAway("no checkpoint can be written.")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which nothing here may wait for: the driver serves all trials."""
    times = [0.0]
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: times[0]))
    return times


@pytest.mark.usefixtures("now")
def test_a_worker_whose_disk_is_full_is_asked_again_until_there_is_room(study: Study) -> None:
    trial = study.begin()
    assert [study.tell(trial, FULL) for _ in range(3)] == [TrialScheduler.CONTINUE] * 3
    assert len(study.said) == 1
    assert study.said[0].startswith("WAITING: no checkpoint can be written")
    study.result(trial, 1)
    assert study.said[1:] == ["The storage is back."]
    assert study.agenda.error is None
    assert [event.epoch for event in study.of(EpochReported)] == [1]


def test_a_disk_that_stays_full_ends_the_search_and_leaves_everything_for_the_resume(
    study: Study, now: list[float]
) -> None:
    trial = study.begin()
    study.tell(trial, FULL)
    now[0] += retry.MOST_SECONDS + 1
    study.tell(trial, FULL)
    assert isinstance(study.agenda.error, StorageError)
    assert "no checkpoint can be written. It has been so for 10 minutes" in str(study.agenda.error)
    assert study.stopper.stop_all()
    assert study.of(TrialEnded) == []
    assert study.has_checkpoint(trial)


def test_a_journal_that_cannot_be_written_ends_the_search_and_leaves_everything_for_the_resume(study: Study) -> None:
    first, second = study.begin(), study.begin()
    study.full = True
    study.result(first, 1)
    assert isinstance(study.agenda.error, StorageError)
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
    study.lose(trial)
    trial.error_file = str(tmp_path / "error.txt")
    Path(trial.error_file).write_text("Traceback\nActorDiedError: killed\n")
    study.lose(trial)
    assert study.of(TrialRetried) == [
        TrialRetried(0, "the worker died without a word"),
        TrialRetried(0, "Traceback\nActorDiedError: killed\n"),
    ]


def test_a_trial_whose_workers_fail_too_often_has_failed_and_is_taken_from_ray(study: Study, tmp_path: Path) -> None:
    trial = study.begin()
    trial.error_file = str(tmp_path / "error.txt")
    traceback = "Traceback\n  in build\nValueError: no such layer\n"
    for failure in range(1, 4):
        with Path(trial.error_file).open("a") as file:
            file.write(f"Failure # {failure} (occurred at noon)\n{traceback}")
        assert study.lose(trial) is (trial if failure < 3 else None)
    assert study.controller.stopped == [trial]
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
    again = study.begin()
    assert again.config["assignment"] == trial.config["assignment"]
    assert list(study.coordinator.orphans) == []


def test_the_loss_of_a_node_is_not_held_against_the_trial(study: Study, tmp_path: Path) -> None:
    trial = study.begin()
    trial.error_file = str(tmp_path / "error.txt")
    Path(trial.error_file).write_text("The actor died because its node has died. Node Id: 5f")
    for _ in range(3):
        assert study.lose(trial) is trial
    assert [event.charged for event in study.of(TrialRetried)] == [False] * 3


def test_what_cannot_get_a_process_any_more_is_given_one_that_is_free(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = study.begin(), study.begin()
    study.lose(first)
    first.status = Trial.PENDING  # its process starts again
    study.result(second, 1, finished=True)
    third = study.begin()
    study.result(third, 1, finished=True)
    later = time.monotonic() + ray_tune._SECONDS_FOR_RESOURCES + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert study.start() is None
    assert study.controller.stopped == [second]
    study.controller.without_resources.append(first)  # its node is gone, and no other has room
    assert study.start() is None
    assert study.controller.stopped == [second, third]  # into the cache, from where it goes to the first


def test_a_trial_whose_worker_hung_says_where(study: Study) -> None:
    trial = study.begin()
    report = study.paths.trial_checkpoints(0).with_suffix(".hanging")
    report.write_text("Thread 0x1:\n  File space.py, line 3 in forward\n")
    study.lose(trial)
    (retried,) = study.of(TrialRetried)
    assert retried.error.splitlines()[1:] == [
        "  File space.py, line 3 in forward",
        "it hung: its epoch took more than --trial-timeout allows",
    ]
    assert retried.charged
    assert not report.exists()


def test_a_trial_whose_checkpoints_are_in_a_bucket_says_where_its_worker_hung_by_the_file_of_its_order(
    study: Study, tmp_path: Path
) -> None:
    trial = study.begin()
    order = study.processes.order_of(trial)
    assert order is not None
    (tmp_path / "scratch").mkdir(mode=0o700)
    file = tmp_path / "scratch" / "0.hanging"
    file.write_text("Thread 0x1:\n  File space.py, line 3 in forward\n")
    order.assignment = replace(order.assignment, checkpoints="s3://bucket/trial-00000", hang_report=file)
    study.lose(trial)
    (retried,) = study.of(TrialRetried)
    assert "line 3 in forward" in retried.error
    assert not file.exists()


def test_pending_trials_are_chosen_once_the_oldest_first(study: Study) -> None:
    first, second = study.begin(), study.begin()
    for trial in (first, second):  # they lost their workers
        trial.status = Trial.PENDING
        study.scheduler.on_trial_add(study.controller, trial)
    first.status = Trial.TERMINATED
    assert study.scheduler.choose_trial_to_run(study.controller) is second
    assert study.scheduler.choose_trial_to_run(study.controller) is None


def test_ray_keeps_no_statistics_of_a_trial_that_has_ended(study: Study) -> None:
    trial = Trial("trainable", stub=True)
    trial.run_metadata.update_metric("training_iteration", 1)  # type: ignore[arg-type] # mypy knows no Number
    study.callback.on_trial_complete(1, [], trial)
    assert trial.metric_analysis == trial.metric_n_steps == {}


def test_nothing_is_printed_of_rays_trials(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    trial = study.begin()
    study.callback.on_trial_result(1, [], trial, {"done": True})
    study.callback.on_trial_error(1, [], trial)
    study.callback.on_trial_complete(1, [], Trial("trainable", stub=True))
    assert capsys.readouterr().out == ""


def test_what_ray_pickles_of_the_parts_holds_nothing_of_the_study(study: Study) -> None:
    for part in (study.searcher, study.scheduler, study.callback, study.stopper):
        assert b"oordinator" not in pickle.dumps(part)
        assert vars(pickle.loads(pickle.dumps(part))) == {}


# From one work to the next.


class Second:
    """A work that follows, with one training."""

    is_over = False

    def __init__(self, checkpoints: Path) -> None:
        self.waiting = [Assignment({}, 0, 1, checkpoints)]

    def next(self) -> Any:
        return ("only", self.waiting.pop()) if self.waiting else None

    def take(self, key: Any, outcome: Any) -> bool:
        self.is_over = True
        return False

    def give_back(self, key: Any) -> None:
        raise AssertionError(key)


@pytest.fixture
def followed(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A search with a work behind it."""
    second = Second(study.paths.checkpoints / "second")
    study.agenda = Agenda(iter([SearchPhase(study.coordinator, study.paths, 2), second]), study.said.append)
    study.searcher = TuneSearcher(study.agenda, study.processes)
    study.scheduler = TuneScheduler(study.agenda, study.processes)
    return study


def test_the_processes_of_a_work_are_the_first_of_the_next(followed: Study) -> None:
    first, second = followed.begin(), followed.begin()
    followed.result(first, 1, finished=True)
    third = followed.begin()
    followed.result(second, 1, finished=True)
    followed.result(third, 1, finished=True)
    retraining = followed.begin()
    assert retraining.config["assignment"].checkpoints == followed.paths.checkpoints / "second"
    assert followed.controller.stopped == [first, third]


def test_what_the_next_work_does_not_want_may_end_its_epoch_and_then_loses_its_process(
    followed: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[Any] = []
    monkeypatch.setattr("ray.kill", killed.append)
    quick, slow = followed.begin(), followed.begin()
    slow.temporary_state = SimpleNamespace(ray_actor="the slow one's")
    followed.coordinator.stop("interrupted")
    assert followed.start() is None
    assert followed.result(quick, 1) == TrialScheduler.NOOP
    assert followed.of(EpochReported) == []  # too late to count
    retraining = followed.begin()
    assert followed.controller.stopped == [quick]
    later = time.monotonic() + ray_tune._SECONDS_TO_FINISH + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    followed.start()
    assert killed == ["the slow one's"]
    assert followed.result(slow, 1) == TrialScheduler.CONTINUE  # it was quicker than its death, which follows
    assert list(followed.processes.free) == []
    assert followed.lose(slow) is None
    assert followed.of(TrialRetried) == []
    assert retraining.status == Trial.RUNNING
