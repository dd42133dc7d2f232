"""Tests of `tuner.engine.coordinator`: a real search and a real journal, trainings by a formula, Ray a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState as OptunaState

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine import coordinator as coordinators
from tuner.engine.clock import CLOSING_SECONDS, BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.known_results import KnownResults
from tuner.errors import StorageError
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    EpochReported,
    Event,
    ModelMeasured,
    ParamsAsked,
    RungDecided,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
)
from tuner.journal.history import fold
from tuner.journal.store import JournalWriter, read_journal
from tuner.results.selection import IN_TIME_RULE, rule, select
from tuner.search.asha import Asha
from tuner.search.asha_promote import AshaPromote
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.objective import Objective, objectives_of
from tuner.search.optuna_searcher import SAMPLERS, OptunaSearcher
from tuner.search.pace import Pace
from tuner.search.report import EpochReport
from tuner.search.rules import TODAYS, Rules
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.space import load_space
from tuner.search.trial import Origin, TrialState

SPACE = """
MODEL = "cnn"
START = [{"x": 0.5, "kind": "a"}, {"x": 0.25, "kind": "b", "y": 3}]


def suggest(trial):
    hparams = {"x": trial.suggest_float("x", 0.0, 1.0), "kind": trial.suggest_categorical("kind", ["a", "b"])}
    if hparams["kind"] == "b":
        hparams["y"] = trial.suggest_int("y", 1, 8)
    return hparams
"""
LEVELS = (1, 3, 9)
RULE = rule(DEFAULT_OBJECTIVE, knows_loss=True)
OPENING = StudyStarted({}, {})

DIVERGING = {0: 2, 5: 1}
"""By trial, the epoch in which it fails."""
STUCK = (6,)
"""Trials that are through after their third epoch, a rung, with nothing better since the first."""


def report_of(trial: TrialProposed, epoch: int, seconds: float = 2.0, **changes: float) -> EpochReport:
    accuracy = (1.0 - abs(trial.hparams["x"] - 0.7)) * (1.0 - 0.5**epoch)
    return EpochReport(epoch, metrics(1.0 / epoch, accuracy, 1.0 - accuracy, accuracy) | changes, seconds)


def accuracy_of(report: EpochReport | EpochReported) -> float:
    return report.metrics["dev_accuracy"]


def measures_of(trial: TrialProposed) -> dict[str, float]:
    return {"num_params": 100.0 * trial.hparams.get("y", 9)}


@dataclass
class Driver:
    """What one driver process has of a search; it can do what Ray does with the coordinator."""

    folder: Path
    trials: int | None = 12
    workers: int = 1
    startup_trials: int = 3
    clock: BudgetClock = field(default_factory=lambda: clock(None))
    source: str = SPACE
    scheduler: type[Asha | AshaPromote] = AshaPromote
    known: KnownResults | None = None
    objectives: tuple[str, ...] = ("dev_accuracy",)
    """With several, what is measured comes with each report, as from a worker."""
    protect_starts: bool = True
    objective: Objective = DEFAULT_OBJECTIVE
    unit_seconds: float | None = None
    """With one, rungs count seconds, and a trial of the kind `b` takes half as many for an epoch."""
    rules: Rules = TODAYS

    def __post_init__(self) -> None:
        objectives = objectives_of(self.objectives, self.objective)
        space = self.folder / "space.py"
        space.parent.mkdir(parents=True, exist_ok=True)
        space.write_text(self.source)
        self.searcher = OptunaSearcher(
            load_space(str(space)),
            SAMPLERS["tpe"],
            LEVELS,
            seed=0,
            startup_trials=self.startup_trials,
            objectives=objectives,
        )
        scheduler = self.scheduler(LEVELS, 3, self.objective)
        self.search = Search(self.searcher, scheduler, self.trials, protect_starts=self.protect_starts)
        self.journal = JournalWriter(self.folder / "journal")
        if not self.journal.entries:
            self.journal.append(OPENING)
        self.refusing = False
        self.discarded: list[int] = []
        self.coordinator = Coordinator(
            self.search,
            self.record,
            self.clock,
            objectives=objectives,
            workers=self.workers,
            seed=0,
            discard=self.discarded.extend,
            known=self.known,
            pace=Pace(LEVELS, self.unit_seconds),
            rules=self.rules,
        )
        self.coordinator.restore(self.journal.entries)

    def record(self, *events: Event) -> None:
        if self.refusing:
            raise StorageError("no space left")
        self.journal.append(*events)

    @property
    def events(self) -> list[Event]:
        """What is on the disk, without the opening."""
        return [entry.event for entry in read_journal(self.folder / "journal")][1:]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def begin(self) -> TrialProposed:
        trial = self.coordinator.next_trial()
        assert trial is not None
        return trial.proposed

    def report(self, trial: TrialProposed, epoch: int, *, finished: bool = False, **changes: Any) -> bool:
        if len(self.objectives) > 1:
            self.coordinator.measured(trial.trial, measures_of(trial))
        action = self.coordinator.report(trial.trial, report_of(trial, epoch, **changes), "host:1", finished)
        return action is Action.CONTINUE

    def run(self) -> list[Event]:
        """Run the search to its end as Ray would, every trial an epoch in turn; return the journal's events."""
        running: dict[int, tuple[TrialProposed, int]] = {}
        while not self.coordinator.is_stopping:
            while (trial := self.coordinator.next_trial()) is not None:
                running[trial.number] = (trial.proposed, max(0, len(trial.epochs) - 1))  # as a worker reports
            if not running:
                break
            for number, (proposed, epoch) in list(running.items()):
                goes_on = self._step(proposed, epoch + 1)
                running[number] = (proposed, epoch + 1)
                if not goes_on:
                    del running[number]
        self.coordinator.finish()
        self.journal.close()
        return self.events

    def _step(self, trial: TrialProposed, epoch: int) -> bool:
        if DIVERGING.get(trial.trial) == epoch:
            self.coordinator.fail(trial.trial, "diverged")
            return False
        changes = {"dev_accuracy": 0.95} if trial.trial in STUCK else {}
        if self.unit_seconds is not None and trial.hparams["kind"] == "b":
            changes |= {"seconds": 1.0}
        return self.report(trial, epoch, finished=trial.trial in STUCK and epoch == 3, **changes)


def clock(budget: float | None, elapsed: Callable[[], float] = lambda: 0.0, *, epoch: float = 2.0) -> BudgetClock:
    """A clock whose retraining is one training of about 9 epochs."""
    return BudgetClock(budget, RetrainLoad(1, 0, 9, 1), epoch, elapsed)


RETRAIN_SECONDS = 2.0 * 9.3 + CLOSING_SECONDS


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


# What a trial asks for as it runs.

UNIT = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}'


def test_a_call_that_begins_again_loses_nothing_that_it_had_asked_for(driver: Driver) -> None:
    trial = driver.begin()
    driver.coordinator.asked(trial.trial, {"x": 0.5}, {"x": UNIT})
    driver.report(trial, 1)
    driver.coordinator.asked(trial.trial, {"x": 0.5, "late": 0.25}, {"x": UNIT, "late": UNIT})
    driver.report(trial, 2)
    driver.coordinator.asked(trial.trial, {"x": 0.5}, {"x": UNIT})  # as before its first report
    driver.report(trial, 1)
    assert [event.params for event in driver.of(ParamsAsked)] == [{"x": 0.5}, {"x": 0.5, "late": 0.25}]
    winner = select(fold(read_journal(driver.folder / "journal")))
    assert winner is not None
    assert winner.hparams == {"x": 0.5, "late": 0.25}


# The journal comes first.


def test_a_trial_is_on_the_disk_before_it_is_given_out(driver: Driver) -> None:
    trial = driver.begin()
    assert driver.events == [trial]


def test_a_trial_that_cannot_be_written_down_is_not_given_out(driver: Driver) -> None:
    driver.refusing = True
    with pytest.raises(StorageError):
        driver.coordinator.next_trial()
    assert driver.coordinator.unfinished == ()
    assert driver.events == []


def test_the_search_does_not_act_on_a_result_that_cannot_be_written_down(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha)
    trial = driver.begin()
    driver.refusing = True
    with pytest.raises(StorageError):
        driver.report(trial, 1)
    assert driver.searcher.studies[1].states() == {0: OptunaState.RUNNING}
    driver.refusing = False
    assert driver.report(trial, 1)
    assert driver.searcher.studies[1].states() == {0: OptunaState.COMPLETE}


def test_the_search_does_not_act_on_a_failure_that_cannot_be_written_down(driver: Driver) -> None:
    trial = driver.begin()
    driver.refusing = True
    with pytest.raises(StorageError):
        driver.coordinator.fail(trial.trial, "diverged")
    assert driver.searcher.studies[1].states() == {0: OptunaState.RUNNING}
    assert driver.coordinator.unfinished == (0,)


def test_the_search_does_not_act_on_the_end_of_progress_that_cannot_be_written_down(driver: Driver) -> None:
    trial = driver.begin()
    driver.report(trial, 1)
    driver.refusing = True
    with pytest.raises(StorageError):
        driver.report(trial, 1, finished=True)
    assert driver.searcher.studies[9].states() == {0: OptunaState.RUNNING}
    driver.refusing = False
    assert not driver.report(trial, 1, finished=True)
    assert driver.searcher.studies[9].states() == {0: OptunaState.COMPLETE}


def test_a_result_then_the_decision_then_the_end_are_written_in_this_order(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, workers=2, protect_starts=False)
    trial = driver.begin()
    for epoch in (1, 2, 3):
        assert driver.report(trial, epoch)
    kinds = [type(event) for event in driver.events]
    assert kinds == [TrialProposed, EpochReported, RungDecided, EpochReported, EpochReported, RungDecided]
    worse = driver.begin()
    assert not driver.report(worse, 1, dev_accuracy=0.1)
    assert [type(event) for event in driver.events[-3:]] == [EpochReported, RungDecided, TrialEnded]


def test_the_journal_holds_the_report_as_it_came_and_who_made_it(driver: Driver) -> None:
    trial = driver.begin()
    driver.report(trial, 1)
    assert driver.of(EpochReported) == [EpochReported(0, 1, report_of(trial, 1).metrics, 2.0, "host:1")]


# Measurements.


def test_what_is_measured_is_on_the_disk_before_the_first_epoch_and_then_told_to_optuna(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, objectives=("dev_accuracy", "num_params"))
    trial = driver.begin()
    driver.report(trial, 1)
    driver.report(trial, 2)
    kinds = [type(event) for event in driver.events]
    assert kinds == [TrialProposed, ModelMeasured, EpochReported, RungDecided, EpochReported]
    assert driver.of(ModelMeasured) == [ModelMeasured(0, {"num_params": 900.0})]
    assert driver.searcher.studies[1].trials[-1].values == [accuracy_of(report_of(trial, 1)), 900.0]


def test_the_first_measurement_stays_whoever_trains_the_trial_later(tmp_path: Path) -> None:
    earlier = Driver(tmp_path)
    earlier.coordinator.measured(earlier.begin().trial, {"num_params": 7.0, "latency": 0.25})
    earlier.coordinator.measured(0, {"num_params": 7.0, "latency": 0.5})
    earlier.journal.close()
    later = Driver(tmp_path)
    trial = later.begin()
    later.coordinator.measured(trial.trial, {"num_params": 7.0, "latency": 0.75})
    later.coordinator.measured(trial.trial, {})
    assert later.of(ModelMeasured) == [ModelMeasured(0, {"num_params": 7.0, "latency": 0.25})]


def test_a_measurement_of_a_trial_that_has_ended_or_never_was_leaves_no_trace(driver: Driver) -> None:
    driver.coordinator.fail(driver.begin().trial, "diverged")
    before = driver.events
    for number in (0, 7):
        driver.coordinator.measured(number, {"num_params": 7.0})
    assert driver.events == before


def test_the_search_does_not_act_on_a_measurement_that_cannot_be_written_down(tmp_path: Path) -> None:
    driver = Driver(tmp_path, objectives=("dev_accuracy", "num_params"))
    trial = driver.begin()
    driver.refusing = True
    with pytest.raises(StorageError):
        driver.report(trial, 1)
    driver.refusing = False
    driver.report(trial, 1)
    assert len(driver.of(ModelMeasured)) == 1
    assert driver.searcher.studies[1].states() == {0: OptunaState.COMPLETE}


# Results.


def test_an_epoch_that_arrives_again_is_ignored(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha)
    trial = driver.begin()
    driver.report(trial, 1)
    before = driver.events
    assert driver.report(trial, 1, dev_accuracy=0.0)
    assert driver.events == before
    assert driver.report(trial, 2)
    assert [report.epoch for report in driver.of(EpochReported)] == [1, 2]


@pytest.mark.parametrize("ended", [True, False])
def test_a_result_of_a_trial_that_has_ended_or_never_was_stops_it_and_leaves_no_trace(
    driver: Driver, ended: bool
) -> None:
    trial = driver.begin()
    if ended:
        driver.coordinator.fail(trial.trial, "diverged")
    before = driver.events
    number = trial.trial if ended else 7
    assert driver.coordinator.report(number, report_of(trial, 1), "host:1", False) is Action.STOP
    driver.coordinator.fail(number, "again")
    assert driver.events == before


def test_each_state_is_told_with_its_reason_to_journal_and_optuna(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, protect_starts=False)
    complete = driver.begin()
    for epoch in range(1, 10):
        driver.report(complete, epoch)
    pruned = driver.begin()
    driver.report(pruned, 1, dev_accuracy=0.1)
    failed = driver.begin()
    driver.report(failed, 1, dev_accuracy=0.99)
    driver.coordinator.fail(failed.trial, "the train loss is nan in epoch 2.", "Traceback ...")
    stuck = driver.begin()
    driver.report(stuck, 1, dev_accuracy=0.995)
    driver.report(stuck, 2, dev_accuracy=0.5, finished=True)

    ends = {end.trial: end for end in driver.of(TrialEnded)}
    states = {trial: end.state for trial, end in ends.items()}
    assert states == {
        0: TrialState.COMPLETE,
        1: TrialState.PRUNED,
        2: TrialState.FAILED,
        3: TrialState.COMPLETE,
    }
    assert ends[0].reason == f"{accuracy_of(report_of(complete, 9)):.4f} after all 9 epochs"
    assert ends[1].reason.startswith("0.1000 < ")
    assert (ends[2].reason, ends[2].error) == ("the train loss is nan in epoch 2.", "Traceback ...")
    assert ends[3].reason == "no better dev accuracy since epoch 1"
    done, cut, fail = OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL
    assert driver.searcher.studies[1].states() == {0: done, 1: done, 2: done, 3: done}
    assert driver.searcher.studies[9].states() == {0: done, 1: cut, 2: fail, 3: done}


def test_a_lost_worker_is_written_down_and_the_trial_goes_on(driver: Driver) -> None:
    trial = driver.begin()
    assert driver.coordinator.lose_worker(trial.trial, "ActorDiedError", charged=True, max_failures=2)
    assert driver.of(TrialRetried) == [TrialRetried(0, "ActorDiedError")]
    assert driver.coordinator.unfinished == (0,)


def test_a_trial_fails_when_it_has_lost_too_many_workers_by_its_own_doing(driver: Driver) -> None:
    trial = driver.begin().trial
    for charged in (True, False, False, True):
        assert driver.coordinator.lose_worker(trial, "the node died", charged=charged, max_failures=2)
    assert not driver.coordinator.lose_worker(trial, "Traceback ...\nMemoryError", charged=True, max_failures=2)
    (end,) = driver.of(TrialEnded)
    assert (end.state, end.reason) == (TrialState.FAILED, "its worker failed 3 times: MemoryError")
    assert end.error == "Traceback ...\nMemoryError"


def test_a_trial_that_loses_node_after_node_is_not_forgiven_without_end(driver: Driver) -> None:
    trial = driver.begin()

    def lose() -> bool:
        return driver.coordinator.lose_worker(trial.trial, "its node has died", charged=False, max_failures=0)

    assert all(lose() for _ in range(3))
    driver.report(trial, 1)  # it is no longer to blame that it lost them
    assert all(lose() for _ in range(3))
    driver.journal.close()
    again = Driver(driver.folder)
    assert not again.coordinator.lose_worker(trial.trial, "its node has died", charged=False, max_failures=0)
    (end,) = again.of(TrialEnded)
    assert (end.state, end.reason) == (TrialState.FAILED, "its worker failed 1 times: its node has died")


def test_seeds_of_trials_differ_and_follow_the_studys(tmp_path: Path) -> None:
    first, again = Driver(tmp_path / "a", workers=4), Driver(tmp_path / "b", workers=4)
    seeds = [first.begin().seed for _ in range(4)]
    assert len(set(seeds)) == 4
    assert [again.begin().seed for _ in range(4)] == seeds


# Giving out trials.


def test_no_more_trials_run_at_a_time_than_there_are_workers(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2)
    first, _ = driver.begin(), driver.begin()
    assert driver.coordinator.next_trial() is None
    assert not driver.coordinator.is_exhausted
    driver.coordinator.fail(first.trial, "diverged")
    assert driver.begin().trial == 2


def test_the_search_is_exhausted_after_its_trials(tmp_path: Path) -> None:
    driver = Driver(tmp_path, trials=1, workers=2)
    trial = driver.begin()
    assert driver.coordinator.next_trial() is None
    assert not driver.coordinator.is_exhausted  # its result might promote a paused one
    driver.coordinator.fail(trial.trial, "diverged")
    assert driver.coordinator.next_trial() is None
    assert driver.coordinator.is_exhausted


def test_a_trial_that_the_last_result_makes_promotable_is_promoted(tmp_path: Path) -> None:
    driver = Driver(tmp_path, trials=3, workers=2, protect_starts=False)
    best, second = driver.begin(), driver.begin()
    driver.report(best, 1, dev_accuracy=0.3)
    third = driver.begin()
    driver.report(second, 1, dev_accuracy=0.2)
    assert driver.coordinator.next_trial() is None  # one in three goes on, and two have come
    driver.report(third, 1, dev_accuracy=0.1)
    assert not driver.coordinator.is_exhausted
    assert driver.begin() == best


@pytest.mark.parametrize("end", ["it fails", "it is impossible", "it is through"])
def test_when_the_last_trial_that_ran_ends_between_rungs_the_best_that_waits_goes_on(tmp_path: Path, end: str) -> None:
    driver = Driver(tmp_path, trials=2, workers=2)
    best, last = driver.begin(), driver.begin()
    for epoch in (1, 2, 3):
        driver.report(best, epoch)
    driver.report(last, 1)
    assert driver.coordinator.next_trial() is None  # the last one could be better at the second rung
    match end:
        case "it fails":
            driver.coordinator.fail(last.trial, "diverged")
        case "it is impossible":
            driver.coordinator.refuse(last.trial, "the units do not divide")
        case _:
            driver.report(last, 2, finished=True)
    assert not driver.coordinator.is_exhausted
    assert driver.begin() == best
    assert driver.of(TrialPromoted) == [TrialPromoted(0)]
    assert [driver.report(best, epoch) for epoch in range(4, 10)] == [True] * 5 + [False]
    assert driver.coordinator.next_trial() is None
    assert driver.coordinator.is_exhausted
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded("all trials have ended")


def test_the_best_of_a_rung_does_not_go_on_where_the_time_is_too_short_for_another_trial(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, trials=1, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    trial = driver.begin()
    for epoch in (1, 2, 3):
        driver.report(trial, epoch)
    now[0] = 98.1  # an epoch takes 2 seconds
    assert driver.coordinator.next_trial() is None
    assert driver.coordinator.is_exhausted
    driver.coordinator.finish()
    reason = "the time for the search is over"
    assert driver.events[-2:] == [TrialEnded(0, TrialState.PRUNED, reason), SearchEnded(reason)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("first", "trials"), [(0, 2), (1, 4)])
def test_a_small_search_trains_one_to_the_end_and_is_resumed_alike_wherever_its_journal_breaks_off(
    tmp_path: Path, first: int, trials: int
) -> None:
    driver = Driver(tmp_path / "uninterrupted", trials=trials)
    uninterrupted = driver.run()
    assert driver.of(TrialPromoted)
    assert any(end.reason.endswith("after all 9 epochs") for end in driver.of(TrialEnded))
    for cut in range(first, len(uninterrupted), 2):
        resumed = resumed_from(tmp_path / f"cut-{cut}", uninterrupted[:cut], trials=trials)
        assert resumed.run() == uninterrupted, f"cut after {cut} events, {uninterrupted[cut - 1]}"


def test_a_search_over_all_its_trials_ends_with_all_of_them_ended(driver: Driver) -> None:
    events = driver.run()
    assert events[-1] == SearchEnded("all trials have ended")
    assert sorted(end.trial for end in driver.of(TrialEnded)) == list(range(12))
    assert {trial.origin for trial in driver.of(TrialProposed)} == set(Origin)
    assert {end.state for end in driver.of(TrialEnded)} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED}


# Ends of a search.


def test_what_still_runs_when_the_search_is_stopped_is_pruned_with_the_reason(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2)
    driver.begin(), driver.begin()
    driver.coordinator.stop("interrupted")
    assert driver.coordinator.is_stopping
    assert driver.coordinator.next_trial() is None
    driver.coordinator.finish()
    assert driver.events[2:] == [
        TrialEnded(0, TrialState.PRUNED, "interrupted"),
        TrialEnded(1, TrialState.PRUNED, "interrupted"),
        SearchEnded("interrupted"),
    ]
    assert not driver.search.running


def test_the_first_reason_to_stop_is_the_one_that_is_kept(driver: Driver) -> None:
    driver.coordinator.stop("interrupted")
    driver.coordinator.stop("the time for the search is over")
    driver.coordinator.finish()
    assert driver.events == [SearchEnded("interrupted")]


def test_a_search_has_a_winner_while_a_trial_that_reported_has_not_failed(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2)
    first, second = driver.begin(), driver.begin()
    assert not driver.coordinator.has_winner
    driver.report(first, 1)
    assert driver.coordinator.has_winner
    driver.coordinator.fail(first.trial, "diverged")
    assert not driver.coordinator.has_winner
    driver.journal.close()
    later = Driver(tmp_path, workers=2)
    assert not later.coordinator.has_winner
    later.report(second, 1)
    assert later.coordinator.has_winner


def test_of_trials_that_could_not_be_retrained_in_time_one_wins_if_there_is_no_other(tmp_path: Path) -> None:
    dear = clock(RETRAIN_SECONDS + 10.0)
    driver = Driver(tmp_path, clock=dear)
    driver.report(driver.begin(), 1, seconds=4.0)
    assert driver.of(TrialEnded)[-1].reason == NO_TIME_TO_RETRAIN
    driver.journal.close()
    later = Driver(tmp_path, clock=dear)
    assert driver.coordinator.has_winner
    assert later.coordinator.has_winner
    later.coordinator.stop("interrupted")
    later.coordinator.finish()
    winner = select(fold(read_journal(tmp_path / "journal")))
    assert winner is not None
    assert winner.trial == 0


def test_a_search_whose_first_three_trials_fail_is_unpromotable(driver: Driver) -> None:
    for expected in (False, False, True):
        driver.coordinator.fail(driver.begin().trial, "the model does not fit")
        assert driver.coordinator.is_stopping is expected
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded("the first 3 trials failed, the last one because the model does not fit")


def test_a_trial_in_its_first_epoch_is_waited_for_when_those_beside_it_failed(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2)
    slow = driver.begin()
    for _ in range(3):
        assert not driver.coordinator.is_stopping
        driver.coordinator.fail(driver.begin().trial, "diverged")
    assert not driver.coordinator.is_stopping
    assert driver.coordinator.next_trial() is None  # nothing is begun while it alone can tell
    assert not driver.coordinator.is_exhausted
    driver.report(slow, 1)
    assert driver.begin().trial == 4


def test_a_search_whose_last_hope_fails_ends(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2)
    slow = driver.begin()
    for _ in range(3):
        driver.coordinator.fail(driver.begin().trial, "diverged")
    driver.coordinator.fail(slow.trial, "it diverged too")
    assert driver.coordinator.is_stopping
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded("the first 4 trials failed, the last one because it diverged too")


def test_failures_beside_a_trial_that_reported_are_the_configurations_own_fault(driver: Driver) -> None:
    driver.report(driver.begin(), 1, finished=True)
    for _ in range(6):
        driver.coordinator.fail(driver.begin().trial, "diverged")
    assert not driver.coordinator.is_stopping


REFUSED = "5 configurations in a row were impossible as they ran, the last one because the units do not divide"


def refuse(driver: Driver, times: int) -> None:
    for _ in range(times):
        driver.coordinator.refuse(driver.begin().trial, "the units do not divide")


@pytest.mark.parametrize("before_resume", [0, 3, 5])
def test_a_search_that_meets_nothing_but_impossible_configurations_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before_resume: int
) -> None:
    monkeypatch.setattr(coordinators, "_HOPELESS_REFUSALS", 5)
    earlier = Driver(tmp_path)
    refuse(earlier, before_resume)
    earlier.journal.close()
    later = Driver(tmp_path)
    refuse(later, 5 - before_resume)
    assert later.coordinator.is_stopping
    later.coordinator.finish()
    assert later.events[-1] == SearchEnded(REFUSED)


def test_with_a_report_between_them_impossible_configurations_end_no_search(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinators, "_HOPELESS_REFUSALS", 5)
    refuse(driver, 4)
    driver.report(driver.begin(), 1)
    refuse(driver, 4)
    assert not driver.coordinator.is_stopping


def test_a_running_trial_is_waited_for_before_a_search_of_impossible_configurations_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinators, "_HOPELESS_REFUSALS", 5)
    driver = Driver(tmp_path, workers=2)
    slow = driver.begin()
    refuse(driver, 5)
    assert not driver.coordinator.is_stopping
    assert driver.coordinator.next_trial() is None
    driver.coordinator.fail(slow.trial, "it diverged")
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded(REFUSED)


def test_the_search_ends_when_only_the_time_for_retraining_is_left(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    driver.begin()
    now[0] = 99.9
    assert not driver.coordinator.is_stopping
    now[0] = 100.0
    assert driver.coordinator.is_stopping
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded("the time for the search is over")


@pytest.mark.parametrize(("left", "reason"), [(2.1, "all trials have ended"), (1.9, "the time for the search is over")])
def test_a_search_whose_time_left_is_too_short_for_another_trial_says_so(
    tmp_path: Path, left: float, reason: str
) -> None:
    now = [0.0]
    driver = Driver(tmp_path, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    driver.report(driver.begin(), 1)  # of 2 seconds
    now[0] = 100.0 - left
    assert not driver.coordinator.is_stopping
    driver.coordinator.finish()
    assert driver.events[-2:] == [TrialEnded(0, TrialState.PRUNED, reason), SearchEnded(reason)]


def test_a_search_over_all_its_trials_has_ended_for_want_of_trials_however_late_it_is(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, trials=1, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    driver.report(driver.begin(), 1, finished=True)
    now[0] = 99.9
    driver.coordinator.finish()
    assert driver.events[-1] == SearchEnded("all trials have ended")


def test_a_cheaper_incumbent_leaves_more_time_to_search(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    driver.report(driver.begin(), 1, seconds=1.0)
    now[0] = 100.0 + 9.3 - 0.1
    assert not driver.coordinator.is_stopping
    now[0] = 100.0 + 9.3
    assert driver.coordinator.is_stopping


def test_a_trial_whose_retraining_would_not_fit_is_pruned_and_the_search_goes_on(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    assert driver.report(cheap, 1, dev_accuracy=0.8)
    # The better of the two at its rung, but 9 epochs of 4 seconds are 18 seconds more than is reserved.
    assert not driver.report(dear, 1, dev_accuracy=0.8, seconds=4.0)
    assert driver.of(RungDecided)[-1].action == "CONTINUE"
    end = driver.of(TrialEnded)[-1]
    assert end == TrialEnded(1, TrialState.PRUNED, "its retraining would not fit into the time left")
    assert not driver.coordinator.is_stopping
    assert driver.begin().trial == 2
    driver.coordinator.finish()
    winner = select(fold(read_journal(tmp_path / "journal")))
    assert winner is not None
    assert (winner.trial, winner.rule) == (0, f"{RULE} {IN_TIME_RULE}")


def test_a_new_best_whose_retraining_would_not_fit_does_not_end_the_search(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8)
    assert not driver.report(dear, 1, dev_accuracy=0.9, seconds=4.0)
    assert driver.of(TrialEnded)[-1] == TrialEnded(
        1, TrialState.PRUNED, "its retraining would not fit into the time left"
    )
    assert not driver.coordinator.is_stopping
    driver.coordinator.finish()
    winner = select(fold(read_journal(tmp_path / "journal")))
    assert winner is not None
    assert winner.trial == 0


def test_a_trial_that_is_through_cannot_win_either_if_its_retraining_would_not_fit(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", scheduler=Asha, workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.9)
    # Half of nine epochs and one more are dear ones, which only the last shows: the scheduler completes the trial.
    for epoch, seconds in enumerate([2.0] * 4 + [4.0] * 5, 1):
        driver.report(dear, epoch, dev_accuracy=0.8 if epoch < 9 else 0.99, seconds=seconds)
    events = driver.events
    assert driver.of(RungDecided)[-1].action == "COMPLETE"
    assert events[-1] == TrialEnded(1, TrialState.PRUNED, "its retraining would not fit into the time left")
    for missing in (1, 2):  # killed before that was written
        later = resumed_from(
            tmp_path / str(missing), events[:-missing], scheduler=Asha, workers=2, clock=clock(RETRAIN_SECONDS + 10.0)
        )
        assert later.events == events
        winner = select(fold(read_journal(tmp_path / str(missing) / "journal")))
        assert winner is not None
        assert winner.trial == 0


def test_one_slow_epoch_of_the_incumbent_does_not_end_the_search(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, clock=clock(RETRAIN_SECONDS + 10.0))
    trial = driver.begin()
    for epoch, seconds in enumerate([2.0, 30.0, 2.0, 2.5], 1):
        assert driver.report(trial, epoch, seconds=seconds)
        assert not driver.coordinator.is_stopping


def test_an_incumbent_that_grows_dearer_ends_the_search_and_stays_the_winner(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, clock=clock(RETRAIN_SECONDS + 10.0))
    trial = driver.begin()
    for epoch, seconds in enumerate([2.0, 4.0, 4.0], 1):
        assert driver.report(trial, epoch, seconds=seconds)
    assert driver.coordinator.is_stopping
    driver.coordinator.finish()
    assert driver.events[-2:] == [
        TrialEnded(0, TrialState.PRUNED, "the time for the search is over"),
        SearchEnded("the time for the search is over"),
    ]
    winner = select(fold(read_journal(tmp_path / "journal")))
    assert winner is not None
    assert (winner.trial, winner.rule) == (0, RULE)


def test_an_incumbent_that_fails_gives_the_reserve_back_to_the_next_best(tmp_path: Path) -> None:
    driver = Driver(tmp_path, workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8, seconds=1.0)
    driver.report(dear, 1, dev_accuracy=0.9, seconds=3.0)
    assert driver.clock.search_seconds_left == pytest.approx(10.0 - 9.3)
    driver.coordinator.fail(dear.trial, "diverged")
    assert driver.clock.search_seconds_left == pytest.approx(10.0 + 9.3)


@pytest.mark.parametrize(
    ("objectives", "losses", "rules", "kept"),
    [
        (("dev_accuracy",), (0.5, 0.3), TODAYS, 3.0),
        (("dev_accuracy",), (0.5, 0.3), Rules.of(7), 1.0),
        (("dev_accuracy",), (0.5, 0.5), TODAYS, 1.0),
        (("dev_accuracy", "num_params"), (0.3, 0.5), TODAYS, 3.0),  # which has fewer
    ],
)
def test_of_trials_that_tie_the_reserve_is_for_the_one_that_would_win(
    tmp_path: Path, objectives: tuple[str, ...], losses: tuple[float, float], rules: Rules, kept: float
) -> None:
    budget = clock(RETRAIN_SECONDS + 100.0)
    driver = Driver(tmp_path, workers=2, clock=budget, objectives=objectives, rules=rules)
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8, dev_loss=losses[0], seconds=1.0)
    driver.report(dear, 1, dev_accuracy=0.8, dev_loss=losses[1], seconds=3.0)
    assert budget.search_seconds_left == pytest.approx(100.0 + (2.0 - kept) * 9.3)
    later = resumed_from(
        tmp_path / "later",
        driver.events,
        workers=2,
        clock=clock(RETRAIN_SECONDS + 100.0),
        objectives=objectives,
        rules=rules,
    )
    assert later.clock.search_seconds_left == budget.search_seconds_left


def test_a_trial_that_ties_with_the_best_and_could_not_be_retrained_does_not_take_its_place(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8, dev_loss=0.5)
    assert not driver.report(dear, 1, dev_accuracy=0.8, dev_loss=0.3, seconds=4.0)
    assert driver.of(TrialEnded) == [TrialEnded(1, TrialState.PRUNED, NO_TIME_TO_RETRAIN)]
    assert driver.clock.search_seconds_left == pytest.approx(10.0)
    later = resumed_from(tmp_path / "later", driver.events[:-2], workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    assert later.events == driver.events
    assert later.clock.search_seconds_left == pytest.approx(10.0)


def test_a_trial_that_was_late_ends_though_a_dearer_one_leads_without_it(tmp_path: Path) -> None:
    now = [0.0]
    several = ("dev_accuracy", "dev_f1:maximize")
    budget = clock(RETRAIN_SECONDS + 40.0, lambda: now[0])
    driver = Driver(tmp_path, scheduler=Asha, workers=3, clock=budget, objectives=several)
    cheap, dear, late = (driver.begin() for _ in range(3))
    driver.report(cheap, 1, dev_accuracy=0.8, dev_f1=0.5, dev_loss=0.5, seconds=1.0)
    driver.report(dear, 1, dev_accuracy=0.8, dev_f1=0.4, dev_loss=0.3, seconds=5.0)
    assert budget.search_seconds_left == pytest.approx(40.0 + 9.3)
    now[0] = 35.0
    # Better than the cheap one, which is off the front then: of the two that can win the dear one has the lower loss.
    assert not driver.report(late, 1, dev_accuracy=0.8, dev_f1=0.6, dev_loss=0.4, seconds=4.0)
    assert driver.of(TrialEnded) == [TrialEnded(late.trial, TrialState.PRUNED, NO_TIME_TO_RETRAIN)]
    assert budget.search_seconds_left == pytest.approx(5.0 - 3 * 9.3)


def test_seconds_of_an_earlier_run_are_not_ours(tmp_path: Path) -> None:
    driver = Driver(tmp_path, known=known_reference(3), clock=clock(RETRAIN_SECONDS + 10.0))
    driver.begin()
    reused = driver.of(EpochReported)
    assert [report.reused for report in reused] == [True] * 3
    assert driver.clock.search_seconds_left == pytest.approx(10.0)  # by the reference's own 2 seconds


def test_a_resumed_search_keeps_the_incumbent_that_fitted_when_it_reported(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path / "earlier", clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    driver.report(driver.begin(), 1, seconds=4.0)
    now[0] = 99.0  # 82 seconds are left for 4 seconds an epoch, and one second too few
    later = resumed_from(
        tmp_path / "later", driver.events, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]), protect_starts=True
    )
    assert later.clock.search_seconds_left == pytest.approx(1.0 - 18.6)


@pytest.mark.parametrize("rules", [TODAYS, Rules.of(7)])
def test_a_driver_that_died_before_it_ended_a_new_best_between_rungs_is_followed_by_one_that_does(
    tmp_path: Path, rules: Rules
) -> None:
    arguments: dict[str, Any] = {"scheduler": Asha, "workers": 2}
    driver = Driver(tmp_path / "earlier", clock=clock(RETRAIN_SECONDS + 10.0), **arguments)
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.9)
    for epoch, seconds in enumerate([2.0, 2.0, 4.0, 4.0, 4.0], 1):
        driver.report(dear, epoch, dev_accuracy=0.8 if epoch < 5 else 0.99, seconds=seconds)
    events = driver.events
    assert [type(event) for event in events[-2:]] == [EpochReported, TrialEnded]
    assert events[-1] == TrialEnded(1, TrialState.PRUNED, NO_TIME_TO_RETRAIN)
    later = resumed_from(tmp_path / "later", events[:-1], clock=clock(RETRAIN_SECONDS + 10.0), rules=rules, **arguments)
    if rules == TODAYS:
        assert later.events == events
        assert later.clock.search_seconds_left == pytest.approx(10.0)
    else:  # which ended the search
        assert later.events == events[:-1]
        assert later.coordinator.is_stopping
    # What the search has gone on from is followed.
    last = events[-2]
    assert isinstance(last, EpochReported)
    sequel = replace(last, trial=0, epoch=2, seconds=2.0, metrics={**last.metrics, "dev_accuracy": 0.9})
    gone_on: list[Event] = [*events[:-1], sequel]
    followed = resumed_from(
        tmp_path / "followed", gone_on, clock=clock(RETRAIN_SECONDS + 10.0), rules=rules, **arguments
    )
    assert followed.events == gone_on
    assert followed.coordinator.unfinished == (0, 1)


def test_a_decision_at_a_rung_that_was_written_is_no_answer_of_the_clock(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8)
    driver.report(dear, 1, dev_accuracy=0.9, seconds=4.0)
    assert [type(event) for event in driver.events[-3:]] == [EpochReported, RungDecided, TrialEnded]
    later = resumed_from(tmp_path / "later", driver.events[:-1], workers=2, clock=clock(RETRAIN_SECONDS + 10.0))
    assert later.events == driver.events


def test_on_resume_the_clock_is_asked_of_the_time_when_the_last_result_came(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", scheduler=Asha, workers=2, clock=clock(RETRAIN_SECONDS + 100.0))
    cheap, dear = driver.begin(), driver.begin()
    driver.report(cheap, 1, dev_accuracy=0.8)
    for epoch, accuracy in ((1, 0.7), (2, 0.9)):
        driver.report(dear, epoch, dev_accuracy=accuracy, seconds=4.0)
    assert isinstance(driver.events[-1], EpochReported)
    late = clock(RETRAIN_SECONDS + 100.0, lambda: 90.0)  # too late for 4 seconds an epoch
    later = resumed_from(tmp_path / "later", driver.events, scheduler=Asha, workers=2, clock=late)
    assert later.events == driver.events
    assert later.coordinator.unfinished == (0, 1)
    assert late.search_seconds_left == pytest.approx(10.0 - 18.6)


def test_no_trial_begins_that_could_not_reach_the_first_rung(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, workers=3, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    trial, dear = driver.begin(), driver.begin()
    driver.report(trial, 1)  # 2 seconds
    driver.report(dear, 1, seconds=50.0)  # says nothing of others
    now[0] = 97.0
    cheap = driver.begin()
    now[0] = 98.0
    driver.coordinator.fail(cheap.trial, "diverged")
    assert driver.coordinator.next_trial() is None
    for last in (trial, dear):
        driver.coordinator.fail(last.trial, "diverged")
    assert driver.coordinator.next_trial() is None
    assert driver.coordinator.is_exhausted
    assert not driver.coordinator.is_stopping


# Resume is replay.


def resumed_from(tmp_path: Path, events: Sequence[Event], **arguments: Any) -> Driver:
    """A driver on a journal that ends after `events`."""
    with JournalWriter(tmp_path / "journal") as journal:
        journal.append(OPENING, *events)
    return Driver(tmp_path, **arguments)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("first", "scheduler", "objectives"),
    [
        (0, Asha, ("dev_accuracy",)),
        (1, AshaPromote, ("dev_accuracy",)),
        (2, Asha, ("dev_accuracy", "num_params")),
        (3, AshaPromote, ("dev_accuracy", "num_params")),
    ],
)
def test_wherever_the_journal_breaks_off_the_sequel_is_that_of_the_uninterrupted_search(
    tmp_path: Path, first: int, scheduler: type[Asha | AshaPromote], objectives: tuple[str, ...]
) -> None:
    """Of every four events one of the searches breaks off behind each."""
    arguments: dict[str, Any] = {"scheduler": scheduler, "objectives": objectives}
    driver = Driver(tmp_path / "uninterrupted", **arguments)
    uninterrupted = driver.run()
    assert len(driver.of(ModelMeasured)) == (11 if len(objectives) > 1 else 0)  # one failed in its first epoch
    assert Origin.MODEL in {trial.origin for trial in driver.of(TrialProposed)}
    assert resumed_from(tmp_path / "ended", uninterrupted, **arguments).events == uninterrupted
    for cut in range(first, len(uninterrupted), 4):
        resumed = resumed_from(tmp_path / f"cut-{cut}", uninterrupted[:cut], **arguments)
        assert resumed.run() == uninterrupted, f"cut after {cut} events, {uninterrupted[cut - 1]}"


def test_where_rungs_count_seconds_a_trial_of_half_the_cost_has_twice_the_epochs_at_each(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "uninterrupted", unit_seconds=2.0)
    uninterrupted = driver.run()
    kinds = {trial.trial: trial.hparams["kind"] for trial in driver.of(TrialProposed)}
    reached: dict[str, set[tuple[int, int]]] = {"a": set(), "b": set()}
    epochs: dict[int, int] = {}
    for event in uninterrupted:
        if isinstance(event, EpochReported):
            epochs[event.trial] = event.epoch
        elif isinstance(event, RungDecided):
            reached[kinds[event.trial]].add((event.epoch, epochs[event.trial]))
    assert reached["b"] == {(1, 2), (3, 6), (9, 18)}
    assert {(1, 1), (3, 3)} <= reached["a"] <= {(1, 1), (3, 3), (9, 9)}
    for cut in range(0, len(uninterrupted), 5):
        resumed = resumed_from(tmp_path / f"cut-{cut}", uninterrupted[:cut], unit_seconds=2.0)
        assert resumed.run() == uninterrupted, f"cut after {cut} events, {uninterrupted[cut - 1]}"


def test_a_trial_with_a_cold_first_epoch_is_compared_after_as_many_as_the_others(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", unit_seconds=2.0, scheduler=Asha)
    trial = driver.begin()
    assert driver.report(trial, 1, seconds=8.0)
    assert driver.coordinator.max_epochs(0) == 72  # what it costs is not settled
    assert driver.report(trial, 2)
    assert driver.coordinator.max_epochs(0) == 9
    assert driver.report(trial, 3)
    assert [event.epoch for event in driver.of(RungDecided)] == [1, 3]
    later = resumed_from(tmp_path / "later", driver.events, unit_seconds=2.0, scheduler=Asha)
    assert later.coordinator.max_epochs(0) == 9
    assert later.events == driver.events


@pytest.mark.parametrize("objectives", [("dev_accuracy",), ("dev_accuracy", "num_params")])
def test_a_paused_trial_is_promoted_in_writing_and_goes_on_where_it_paused(
    tmp_path: Path, objectives: tuple[str, ...]
) -> None:
    driver = Driver(tmp_path / "uninterrupted", scheduler=AshaPromote, trials=40, objectives=objectives)
    events = driver.run()
    promoted = driver.of(TrialPromoted)
    assert promoted
    for place, promotion in enumerate(promoted):
        before = events[: events.index(promotion)]
        assert RungDecided in {type(event) for event in before if getattr(event, "trial", None) == promotion.trial}
        epochs = [
            event.epoch for event in events if isinstance(event, EpochReported) and event.trial == promotion.trial
        ]
        assert epochs == list(range(1, len(epochs) + 1))
        for cut in (len(before), len(before) + 1) if place % 3 == 0 else ():  # each is a search of its own
            arguments: dict[str, Any] = {"scheduler": AshaPromote, "trials": 40, "objectives": objectives}
            assert resumed_from(tmp_path / f"cut-{cut}", events[:cut], **arguments).run() == events


def test_a_paused_trial_takes_no_worker_and_keeps_its_checkpoints(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=AshaPromote, protect_starts=False)
    trial = driver.begin()
    assert driver.coordinator.report(trial.trial, report_of(trial, 1), "host:1", False) is Action.PAUSE
    assert driver.discarded == []
    assert driver.begin().trial == 1


def test_a_start_configuration_is_not_given_up_at_the_first_rung_in_any_driver(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "earlier", scheduler=AshaPromote)
    trial = driver.begin()
    assert trial.origin is Origin.START
    assert driver.report(trial, 1, dev_accuracy=0.0)
    driver.report(trial, 2, dev_accuracy=0.0)
    later = resumed_from(tmp_path / "later", driver.events, scheduler=AshaPromote)
    assert later.begin() == trial
    assert later.coordinator.report(0, report_of(trial, 3, dev_accuracy=0.0), "host:1", False) is Action.PAUSE


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"dev_accuracy": float("nan")}, "'dev_accuracy' is nan in epoch 1, but an objective must be finite."),
        ({"dev_accuracy": float("inf")}, "'dev_accuracy' is inf in epoch 1, but an objective must be finite."),
        ({"loss": 0.5}, "epoch 1 reports no 'dev_accuracy', which is an objective; it reports: loss."),
        ({}, "epoch 1 reports no 'dev_accuracy', which is an objective; it reports: nothing."),
    ],
)
def test_a_report_without_a_finite_objective_fails_its_trial_and_leaves_no_epoch(
    driver: Driver, found: dict[str, float], reason: str
) -> None:
    trial = driver.begin()
    assert driver.coordinator.report(trial.trial, EpochReport(1, found, 1.0), "host:1", False) is Action.STOP
    assert driver.of(EpochReported) == []
    assert driver.of(TrialEnded) == [TrialEnded(0, TrialState.FAILED, reason)]


def test_another_metric_that_is_not_finite_is_left_out_of_the_journal(driver: Driver) -> None:
    trial = driver.begin()
    found = {"dev_accuracy": 0.9, "norm": float("inf"), "whole": 3}
    assert driver.coordinator.report(trial.trial, EpochReport(1, found, 1.0), "host:1", False) is Action.CONTINUE
    assert [event.metrics for event in driver.of(EpochReported)] == [{"dev_accuracy": 0.9, "whole": 3.0}]


def test_an_error_is_minimised_and_shown_as_it_was_measured(tmp_path: Path) -> None:
    rmse = Objective("dev_rmse", "minimize")
    settings: dict[str, Any] = {"scheduler": Asha, "protect_starts": False, "objectives": ("dev_rmse",)}
    driver = Driver(tmp_path, workers=2, objective=rmse, **settings)
    better, worse = driver.begin(), driver.begin()
    driver.coordinator.report(better.trial, EpochReport(1, {"dev_rmse": 0.83}, 1.0), "host:1", False)
    driver.coordinator.report(worse.trial, EpochReport(1, {"dev_rmse": 0.91}, 1.0), "host:1", False)
    assert [decision.reason for decision in driver.of(RungDecided)] == [
        "0.8300 is in the best 1 of 1 result",
        "0.9100 > 0.8300, the cutoff of the best 1 of 2 results",
    ]
    assert driver.searcher.studies[1].trials[better.trial].values == [-0.83]


def test_of_a_trial_that_has_ended_nothing_is_kept(driver: Driver) -> None:
    driver.run()
    assert sorted(driver.discarded) == sorted(end.trial for end in driver.of(TrialEnded))


def test_a_paused_trial_that_can_no_longer_be_promoted_ends(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=AshaPromote)
    driver.run()
    reasons = [end.reason for end in driver.of(TrialEnded)]
    assert "out of reach at its rung" in reasons


def five_at_the_first_rung(driver: Driver, begun: int) -> list[TrialProposed]:
    """Begin trials and report the first epoch of five of them, of which one has earned the next rung."""
    trials = [driver.begin() for _ in range(begun)]
    for place, trial in enumerate(trials[:5]):
        driver.report(trial, 1, dev_accuracy=0.5 - place / 10)
    assert driver.coordinator.unfinished[:2] == (0, 1)  # with a sixth result the second one has earned it, too
    return trials


OUT_OF_REACH = TrialEnded(1, TrialState.PRUNED, "out of reach at its rung")


@pytest.mark.parametrize("rules", [TODAYS, Rules.of(7)])
def test_who_is_out_of_reach_when_another_ends_between_rungs_does_not_wait_for_the_next_result_at_one(
    tmp_path: Path, rules: Rules
) -> None:
    settings: dict[str, Any] = {"trials": 6, "workers": 6, "protect_starts": False, "unit_seconds": 2.0}
    driver = Driver(tmp_path / "whole", **settings, rules=rules)
    trials = five_at_the_first_rung(driver, 6)
    assert not driver.report(trials[5], 1, seconds=1.0, finished=True)  # for that it comes to the rung with its second
    ended = TrialEnded(5, TrialState.COMPLETE, "the training ended after epoch 1")
    assert driver.of(TrialEnded)[3:] == ([ended, OUT_OF_REACH] if rules.gives_up_at_once else [ended])
    if rules.gives_up_at_once:  # whenever its driver is killed
        for missing in (1, 2):
            later = resumed_from(tmp_path / str(missing), driver.events[:-missing], **settings)
            assert later.events == driver.events


def test_who_is_out_of_reach_when_the_space_has_nothing_more_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, trials=6, workers=6, protect_starts=False)
    five_at_the_first_rung(driver, 5)
    propose = driver.searcher.propose

    def refused(number: int) -> Any:
        proposal = propose(number)
        return None if proposal is None else replace(proposal, hparams={}, infeasible="infeasible: never")

    monkeypatch.setattr(driver.searcher, "propose", refused)
    assert driver.begin().trial == 0
    assert driver.coordinator.next_trial() is None
    assert driver.of(TrialEnded)[3:] == [TrialEnded(5, TrialState.PRUNED, "infeasible: never"), OUT_OF_REACH]


@pytest.mark.timeout(180)
def test_wherever_the_journal_breaks_off_every_trial_of_several_workers_ends_once(tmp_path: Path) -> None:
    uninterrupted = Driver(tmp_path / "uninterrupted", workers=3).run()
    for cut in range(0, len(uninterrupted), 5):
        resumed = resumed_from(tmp_path / f"cut-{cut}", uninterrupted[:cut], workers=3)
        events = resumed.run()
        assert events[:cut] == uninterrupted[:cut]
        assert sorted(end.trial for end in resumed.of(TrialEnded)) == list(range(12))
        epochs = [(report.trial, report.epoch) for report in resumed.of(EpochReported)]
        assert len(epochs) == len(set(epochs))
        assert len(resumed.of(SearchEnded)) == 1


def test_trials_an_earlier_driver_left_are_given_out_again_before_new_ones(tmp_path: Path) -> None:
    earlier = Driver(tmp_path, scheduler=Asha, workers=3)
    left = [earlier.begin() for _ in range(3)]
    earlier.report(left[1], 1)
    earlier.coordinator.fail(left[0].trial, "diverged")
    earlier.journal.close()
    later = Driver(tmp_path, scheduler=Asha, workers=3)
    assert not later.coordinator.is_exhausted
    assert later.coordinator.unfinished == (1, 2)
    assert [later.begin() for _ in range(2)] == left[1:]
    assert later.begin().trial == 3


def test_fewer_workers_than_trials_that_were_left_get_them_all(tmp_path: Path) -> None:
    earlier = Driver(tmp_path, workers=3)
    left = [earlier.begin() for _ in range(3)]
    earlier.journal.close()
    later = Driver(tmp_path, workers=1)
    assert [later.begin() for _ in range(3)] == left
    assert later.coordinator.next_trial() is None


def test_what_an_earlier_driver_had_no_time_to_write_is_written_once(tmp_path: Path) -> None:
    earlier = Driver(tmp_path / "earlier", scheduler=Asha, protect_starts=False)
    earlier.report(earlier.begin(), 1, finished=True)
    earlier.report(earlier.begin(), 1, dev_accuracy=0.1)
    events = earlier.events
    assert [type(event) for event in events[-3:]] == [EpochReported, RungDecided, TrialEnded]
    for missing in (1, 2):
        later = resumed_from(tmp_path / str(missing), events[:-missing], scheduler=Asha, protect_starts=False)
        assert later.events == events
        assert later.coordinator.unfinished == ()


def test_a_hopeless_search_stays_hopeless_when_it_is_resumed(tmp_path: Path) -> None:
    earlier = Driver(tmp_path)
    for _ in range(3):
        earlier.coordinator.fail(earlier.begin().trial, "the model does not fit")
    earlier.journal.close()
    later = Driver(tmp_path)
    assert later.coordinator.is_stopping
    assert later.coordinator.next_trial() is None
    later.coordinator.finish()
    assert later.events[-1] == SearchEnded("the first 3 trials failed, the last one because the model does not fit")


def test_failures_count_on_after_a_resume(tmp_path: Path) -> None:
    earlier = Driver(tmp_path)
    for _ in range(2):
        earlier.coordinator.fail(earlier.begin().trial, "the model does not fit")
    earlier.journal.close()
    later = Driver(tmp_path)
    assert not later.coordinator.is_stopping
    later.coordinator.fail(later.begin().trial, "the model does not fit")
    assert later.coordinator.is_stopping


def test_a_resumed_search_knows_what_its_incumbent_costs(tmp_path: Path) -> None:
    earlier = Driver(tmp_path)
    earlier.report(earlier.begin(), 1, seconds=1.0)
    earlier.journal.close()
    now = [100.0 + 9.3 - 0.1]
    later = Driver(tmp_path, clock=clock(RETRAIN_SECONDS + 100.0, lambda: now[0]))
    assert not later.coordinator.is_stopping
    now[0] = 100.0 + 9.3
    assert later.coordinator.is_stopping


def test_the_search_is_told_what_first_epochs_took_here_by_whichever_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, float]] = []
    monkeypatch.setattr(OptunaSearcher, "timed", lambda self, number, seconds: told.append((number, seconds)))
    earlier = Driver(tmp_path, known=known_reference(9))  # of which no epoch was trained here
    trial = earlier.begin()
    earlier.report(trial, 1)
    earlier.report(trial, 2)
    assert told == [(trial.trial, 2.0)] == [(1, 2.0)]
    earlier.journal.close()
    Driver(tmp_path)
    assert told == [(1, 2.0)] * 2


# Results of an earlier run.


def known_reference(
    epochs: int,
    *,
    stalled: bool = False,
    measures: dict[str, float] | None = None,
    wanted: Sequence[str] = (),
    relative_cost: float | None = None,
    most: int = LEVELS[-1],
) -> KnownResults:
    """What an earlier run knows of the first start configuration."""
    hparams = {"x": 0.5, "kind": "a"}
    proposed = TrialProposed(4, hparams, {}, hparams, Origin.START, 12345)
    reports = (report_of(proposed, epoch) for epoch in range(1, epochs + 1))
    known = [EarlierEpoch(one.epoch, one.metrics, one.seconds, "there:9") for one in reports]
    trial = EarlierTrial(4, hparams, hparams, 12345, TrialState.COMPLETE, known, stalled, measures or {}, relative_cost)
    return KnownResults(
        WarmStart([trial], {}, reusable=True), most, objectives_of(["dev_accuracy", *wanted], DEFAULT_OBJECTIVE)
    )


def test_a_configuration_that_is_known_to_its_end_is_not_given_out_but_stands_in_the_journal(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, known=known_reference(9))
    assert driver.begin().trial == 1
    reference = driver.of(TrialProposed)[0]
    assert reference.seed == 12345
    assert driver.of(TrialProposed)[1].seed != 12345
    reports = driver.of(EpochReported)
    assert [report.epoch for report in reports] == list(range(1, 10))
    assert all(report.reused and report.worker == "there:9" for report in reports)
    assert driver.of(TrialEnded) == [TrialEnded(0, TrialState.COMPLETE, "0.7984 after all 9 epochs")]
    assert driver.searcher.studies[9].states()[0] is OptunaState.COMPLETE
    assert driver.discarded == [0]


def test_what_was_measured_of_a_known_trial_is_taken_over_with_its_epochs(tmp_path: Path) -> None:
    known = known_reference(9, measures={"num_params": 900.0}, wanted=["num_params"])
    driver = Driver(tmp_path, scheduler=Asha, known=known, objectives=("dev_accuracy", "num_params"))
    driver.begin()
    assert [type(event) for event in driver.events[:3]] == [TrialProposed, ModelMeasured, EpochReported]
    assert driver.searcher.studies[9].trials[0].values == [accuracy_of(driver.of(EpochReported)[8]), 900.0]


def test_a_known_trial_of_which_an_objective_was_not_measured_is_trained_again(tmp_path: Path) -> None:
    known = known_reference(9, measures={"num_params": 900.0}, wanted=["num_params", "latency"])
    driver = Driver(tmp_path, known=known, objectives=("dev_accuracy", "num_params", "latency"))
    assert driver.begin().trial == 0
    assert driver.of(EpochReported) == []


def test_what_lies_beyond_the_known_is_trained(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, known=known_reference(2))
    trial = driver.begin()
    assert trial.trial == 0
    assert [report.epoch for report in driver.of(EpochReported)] == [1, 2]
    # It is trained from its first epoch; what is known already is not taken twice.
    for epoch in (1, 2, 3):
        assert driver.report(trial, epoch, dev_accuracy=0.6)
    assert [(report.epoch, report.reused) for report in driver.of(EpochReported)] == [(1, True), (2, True), (3, False)]


def test_a_known_trial_comes_to_its_rungs_by_what_it_cost_where_it_was_trained(tmp_path: Path) -> None:
    known = known_reference(7, relative_cost=0.5, most=8 * LEVELS[-1])
    driver = Driver(tmp_path / "whole", known=known, unit_seconds=2.0, scheduler=Asha)
    trial = driver.begin()
    assert trial.trial == 0
    assert driver.coordinator.max_epochs(0) == 18
    places = [type(event) for event in driver.events]
    decided = [place for place, kind in enumerate(places) if kind is RungDecided]
    epochs = [sum(kind is EpochReported for kind in places[:place]) for place in decided]
    assert [(event.epoch, at) for event, at in zip(driver.of(RungDecided), epochs, strict=True)] == [(1, 2), (3, 6)]
    resumed = resumed_from(tmp_path / "resumed", driver.events, known=known, unit_seconds=2.0, scheduler=Asha)
    assert resumed.coordinator.max_epochs(0) == 18
    assert resumed.events == driver.events


def test_what_a_known_trial_would_take_to_retrain_is_by_what_it_cost_there(tmp_path: Path) -> None:
    dear = known_reference(9, relative_cost=4.0, most=8 * LEVELS[-1])
    driver = Driver(tmp_path, known=dear, unit_seconds=2.0, scheduler=Asha, clock=clock(2.0 * RETRAIN_SECONDS))
    assert driver.begin().trial == 1  # that one could not be retrained in time
    assert driver.of(TrialEnded) == [TrialEnded(0, TrialState.PRUNED, NO_TIME_TO_RETRAIN)]


def test_a_known_trial_that_pauses_goes_on_with_what_is_known_when_it_is_promoted(tmp_path: Path) -> None:
    driver = Driver(tmp_path, known=known_reference(9), scheduler=AshaPromote, workers=3, protect_starts=False)
    others = [driver.begin() for _ in range(2)]
    assert [trial.trial for trial in others] == [1, 2]
    assert [report.epoch for report in driver.of(EpochReported)] == [1]
    for trial in others:
        driver.report(trial, 1, dev_accuracy=0.1)
    driver.begin()
    assert driver.of(TrialPromoted) == [TrialPromoted(0)]
    assert [report.epoch for report in driver.of(EpochReported) if report.trial == 0] == [1, 2, 3]
    assert driver.coordinator.unfinished[0] == 0  # paused again, at the next rung


def test_a_known_trial_that_stalled_is_complete(tmp_path: Path) -> None:
    driver = Driver(tmp_path, scheduler=Asha, known=known_reference(2, stalled=True))
    assert driver.begin().trial == 1
    (end,) = driver.of(TrialEnded)
    assert (end.trial, end.state) == (0, TrialState.COMPLETE)


def test_a_driver_that_died_while_it_took_over_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    known = known_reference(9, measures={"num_params": 900.0})
    first = Driver(tmp_path / "whole", known=known)
    first.begin()
    events = first.events
    for length in range(1, len(events)):
        folder = tmp_path / str(length)
        with JournalWriter(folder / "journal") as journal:
            journal.append(OPENING, *events[:length])
        later = Driver(folder, known=known)
        assert later.begin().trial == 1
        assert later.events == events


def test_the_earlier_machine_does_not_tell_how_long_a_rung_takes_here(tmp_path: Path) -> None:
    now = [0.0]
    driver = Driver(tmp_path, known=known_reference(9), clock=clock(RETRAIN_SECONDS + 1.0, lambda: now[0]))
    # A reused first rung of 2 seconds is no reason to begin nothing in the second that is left.
    assert driver.begin().trial == 1
