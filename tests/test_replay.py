from __future__ import annotations

import contextlib
import itertools
import math
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.metrics import metrics
from tuner import config as configs
from tuner.config import DEFAULT_OBJECTIVE, ResourceConfig, SearchConfig, StudyConfig
from tuner.engine.after_search import AfterSearch
from tuner.engine.brains import coordinator_of
from tuner.engine.coordinator import ALL_ENDED, INFEASIBLE, INTERRUPTED, TIME_IS_OVER, Coordinator
from tuner.engine.plan import Plan
from tuner.engine.recorded import remember
from tuner.engine.replay import DivergenceError, Replay
from tuner.errors import JournalError, SpaceError
from tuner.io.files import hash_file
from tuner.io.sources import Sources
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    SCHEMA_VERSION,
    DriverStarted,
    EpochReported,
    Event,
    ModelMeasured,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    WarmStarted,
    WinnerSelected,
)
from tuner.journal.history import read_history
from tuner.journal.store import Entry, JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.replay import replay, run
from tuner.results.earlier import read_earlier
from tuner.results.selection import TUNED, select
from tuner.search.gp_searcher import GaussianProcessSearcher
from tuner.search.report import EpochReport
from tuner.search.rungs import rung_levels
from tuner.search.scheduler import NONE_YET, Action
from tuner.search.space import load_space
from tuner.search.trial import TrialState

SPACE = """
def suggest(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "y": trial.suggest_int("y", 1, 9)}

START = [{"x": 0.5, "y": 3}]

def MODEL(hparams):
    raise AssertionError("a replay builds no model")
"""
MAX_EPOCHS, PATIENCE, WORKERS = 9, 3, 2
SETTING = {"data_hashes": {"train": "1"}, "model": "a formula"}

pytestmark = pytest.mark.timeout(300)  # none takes long, but all together: begun early


class DeathError(Exception):
    """The driver is no more."""


class Drivers:
    """Drivers of a run whose workers are a formula: they work, die where they are told to, and are followed."""

    def __init__(
        self,
        root: Path,
        workers: int = WORKERS,
        seed: int = 0,
        objectives: tuple[str, ...] = ("dev_accuracy",),
        prior: str = "{}",
        version: int = SCHEMA_VERSION,
        **changes: Any,
    ) -> None:
        """Work in `root`, on a run that a `version` of the journal began; `changes` are to the `SearchConfig`."""
        space = root.parent / "space.py"
        space.write_text(f"{SPACE}\nPRIOR = {prior}\n")
        settings: dict[str, Any] = {"trials": 14, "max_epochs": MAX_EPOCHS, "startup_trials": 4, "patience": PATIENCE}
        search = SearchConfig(objectives=objectives, **settings | changes)
        self.workers = workers
        self.version = version
        resources = ResourceConfig(workers=workers)
        self.config = StudyConfig(space=str(space), seed=seed, search=search, resources=resources)
        self.space = load_space(str(space))
        remember(Sources.read(space))
        self.paths = RunPaths(root)
        self.elapsed = 0.0
        self.times: list[float] = []
        """By their own clock, when they wrote each event."""
        self.warm_started: WarmStarted | None = None

    def drive(self, *, dies_after: int | None = None, meddle: Callable[[Coordinator], None] | None = None) -> None:
        """Work as one driver, to the end or until `dies_after` events are written; `meddle` comes between epochs."""
        with JournalWriter(self.paths.journal) as journal:
            written = 0

            def record(*events: Event) -> None:
                nonlocal written
                for event in events:
                    if written == dies_after:
                        raise DeathError
                    journal.append(event)
                    self.times.append(self.elapsed)
                    written += 1

            with contextlib.suppress(DeathError):
                self._work(journal, record, meddle)

    def _work(
        self, journal: JournalWriter, record: Callable[..., None], meddle: Callable[[Coordinator], None] | None
    ) -> None:
        trials = self.config.search.trials
        assert trials is not None
        rungs, budget = rung_levels(1, MAX_EPOCHS, 3), self.config.budget_seconds
        plan = Plan(self.workers, rungs, 3, 1.0, trials, trials, 10.0, 10.0, budget)
        if not journal.entries:
            environment = {"space_sha256": hash_file(Path(self.config.space)), **SETTING}
            record(StudyStarted(configs.to_dict(self.config), environment, self.version))
        record(DriverStarted("here", None, self.workers))
        if not journal.entries:
            record(*([self.warm_started] if self.warm_started else []))
            record(PlanMade(plan.to_dict()))
        clock = iter(_clock(self.elapsed))

        def elapsed() -> float:
            self.elapsed = next(clock)
            return self.elapsed

        coordinator = coordinator_of(
            self.config,
            self.space,
            DEFAULT_OBJECTIVE,
            plan,
            record,
            workers=self.workers,
            elapsed=elapsed,
            discard=lambda _: None,
            schema_version=self.version,
            warm_start=self.warm_started.warm_start() if self.warm_started else None,
        )
        coordinator.restore(journal.entries)
        if not any(isinstance(entry.event, SearchEnded) for entry in journal.entries):
            self._search(coordinator, meddle)
        self._retrain(record)

    def _search(self, coordinator: Coordinator, meddle: Callable[[Coordinator], None] | None) -> None:
        rng = random.Random(3)
        live: dict[int, Iterator[tuple[EpochReport, bool]]] = {}
        measures: dict[int, dict[str, float]] = {}
        while not coordinator.is_stopping:
            trial = coordinator.next_trial() if len(live) < self.workers else None
            if trial is not None:
                live[trial.number] = _reports(trial.proposed)
                measures[trial.number] = _measures(trial.proposed)
            elif live:
                number = rng.choice(sorted(live))
                report, finished = next(live[number])
                coordinator.measured(number, measures[number])
                if coordinator.report(number, report, "here:1", finished) is not Action.CONTINUE:
                    live.pop(number, None)
                if meddle is not None:
                    meddle(coordinator)
                live = {one: reports for one, reports in live.items() if one in coordinator.unfinished}
            elif coordinator.is_exhausted:
                break
        coordinator.finish()

    def _retrain(self, record: Callable[..., None]) -> None:
        history = read_history(self.paths.journal)
        winner = history.winner or select(history)
        assert winner is not None
        if history.winner is None:
            record(winner)
        if history.retraining_planned is None:
            plan = read_history(self.paths.journal).plan
            assert plan is not None
            after = AfterSearch(self.config, self.space, Plan.from_dict(plan), self.workers)
            budget = self.config.budget_seconds
            left = None if budget is None else budget - self.elapsed
            record(after.planned(read_history(self.paths.journal), left))
        accuracies = [0.5, 0.7, 0.7]
        for epoch, accuracy in enumerate(accuracies, 1):
            record(RetrainEpochReported(TUNED, 1, epoch, metrics(1.0, 0.5, 1.0, accuracy, 0.01), 1.0))
        evaluations = {split: {"accuracy": 0.7, "loss": 1.0, "n": 10.0} for split in ("train", "dev", "test")}
        record(RetrainEnded(TUNED, 1, winner.hparams, 2, evaluations, "w", "00"), StudyEnded())


def _clock(start: float) -> Iterator[float]:
    """Yield a time that moves a little at each look."""
    while True:
        start += 0.01
        yield start


def _measures(trial: TrialProposed) -> dict[str, float]:
    return {"num_params": 10.0 * trial.hparams["y"], "latency": 0.001 * trial.hparams["x"]}


def _reports(trial: TrialProposed) -> Iterator[tuple[EpochReport, bool]]:
    """Yield what a worker reports from the first epoch on, some epochs perhaps known already."""
    x, y = trial.hparams["x"], trial.hparams["y"]
    best, since = -1.0, 0
    for epoch in range(1, MAX_EPOCHS + 1):
        accuracy = round(0.9 - (x - 0.3) ** 2 - 0.5 / (epoch + y), 4) if y < 7 or epoch < 3 else 0.2
        since = 0 if accuracy > best else since + 1
        best = max(best, accuracy)
        found = metrics(1.0, 0.5, 1 - accuracy, accuracy)
        yield EpochReport(epoch, found, 0.4), epoch == MAX_EPOCHS or since >= PATIENCE


@pytest.fixture
def drivers(tmp_path: Path) -> Drivers:
    return Drivers(tmp_path / "run")


def kinds(paths: RunPaths) -> list[str]:
    return [type(entry.event).__name__ for entry in read_journal(paths.journal)]


def test_an_undisturbed_run_is_derived_again_as_recorded(drivers: Drivers) -> None:
    drivers.drive()
    counts = replay(drivers.paths.root)
    assert counts["TrialProposed"] == 14
    assert counts["TrialEnded"] == 14
    assert counts["RungDecided"] > 14
    assert counts["WinnerSelected"] == 1


OBJECTIVES = [("dev_accuracy",), ("dev_accuracy", "num_params"), ("dev_accuracy", "latency", "num_params")]


@pytest.mark.parametrize("objectives", OBJECTIVES, ids=",".join)
@pytest.mark.parametrize("moment", range(3, 60, 7))
def test_a_run_whose_driver_died_at_any_event_is_derived_again_as_recorded(
    tmp_path: Path, moment: int, objectives: tuple[str, ...]
) -> None:
    drivers = Drivers(tmp_path / "run", objectives=objectives)
    drivers.drive(dies_after=moment)
    drivers.drive(dies_after=7)
    drivers.drive()
    assert kinds(drivers.paths)[-1] == "StudyEnded"
    assert replay(drivers.paths.root)["DriverStarted"] == 3


@pytest.mark.parametrize("moment", [None, *range(4, 40, 9)])
def test_a_run_whose_author_believes_in_something_is_derived_again_as_recorded(
    tmp_path: Path, moment: int | None
) -> None:
    drivers = Drivers(tmp_path / "run", prior='{"x": 0.3, "y": 9}')
    if moment is not None:
        drivers.drive(dies_after=moment)
    drivers.drive()
    assert replay(drivers.paths.root)["TrialProposed"] == 14
    drivers.space = replace(drivers.space, prior={})
    with pytest.raises(DivergenceError, match="TrialProposed"):
        Replay(drivers.config, drivers.space, read_journal(drivers.paths.journal)).run()


def of_version(version: int, entries: list[Entry]) -> list[Entry]:
    opening = entries[0].event
    assert isinstance(opening, StudyStarted)
    return [replace(entries[0], event=replace(opening, schema_version=version)), *entries[1:]]


@pytest.mark.parametrize("version", [4, 5])
def test_what_a_run_of_an_older_version_proposed_is_given(tmp_path: Path, version: int) -> None:
    drivers = Drivers(tmp_path / "run", prior='{"x": 0.3, "y": 9}')
    drivers.drive()
    entries = of_version(version, read_journal(drivers.paths.journal))
    space = replace(drivers.space, prior={})  # from which other proposals follow
    with contextlib.nullcontext() if version < 5 else pytest.raises(DivergenceError, match="TrialProposed"):
        assert Replay(drivers.config, space, entries).run()["TrialProposed"] == 14


@pytest.mark.parametrize("version", [4, 5])
def test_when_a_run_of_an_older_version_had_nothing_more_to_propose_is_given(
    drivers: Drivers, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    propose = GaussianProcessSearcher.propose
    with monkeypatch.context() as older:
        older.setattr(GaussianProcessSearcher, "propose", lambda self, n: propose(self, n) if n < 10 else None)
        drivers.drive()
    entries = of_version(version, read_journal(drivers.paths.journal))
    with contextlib.nullcontext() if version < 5 else pytest.raises(DivergenceError, match=r"TrialProposed .* follows"):
        assert Replay(drivers.config, drivers.space, entries).run()["TrialProposed"] == 10


@pytest.mark.parametrize("version", [6, SCHEMA_VERSION])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("moment", [None, 5, 9, 13, 17])
def test_whether_the_best_of_a_rung_goes_on_follows_from_the_version_that_began_the_run(
    tmp_path: Path, moment: int | None, workers: int, version: int
) -> None:
    drivers = Drivers(tmp_path / "run", workers=workers, trials=2, version=version)
    if moment is not None:
        drivers.drive(dies_after=moment)
    drivers.drive()
    promoted = replay(drivers.paths.root)["TrialPromoted"]
    last = max(event.epoch for event in events(drivers) if isinstance(event, EpochReported))
    assert (promoted > 0, last) == ((False, 3) if version == 6 else (True, MAX_EPOCHS))
    other = of_version(6 if version != 6 else SCHEMA_VERSION, read_journal(drivers.paths.journal))
    with pytest.raises(DivergenceError):
        Replay(drivers.config, drivers.space, other).run()


def test_a_reason_in_the_words_of_an_older_version_is_no_other_decision(drivers: Drivers) -> None:
    drivers.drive()
    formerly = [
        replace(entry, event=replace(entry.event, reason=entry.event.reason.replace(NONE_YET, "the best 0 go on")))
        if isinstance(entry.event, RungDecided)
        else entry
        for entry in read_journal(drivers.paths.journal)
    ]
    assert formerly != read_journal(drivers.paths.journal)
    assert Replay(drivers.config, drivers.space, formerly).run()["RungDecided"] > 14


def search_of(drivers: Drivers) -> list[Event]:
    """Return the search and its winner, without the drivers' comings; the formula's retraining knows no resume."""
    others = (DriverStarted, RetrainEpochReported, RetrainEnded, StudyEnded)
    return [event for event in events(drivers) if not isinstance(event, others)]


@pytest.mark.parametrize("objectives", OBJECTIVES[:2], ids=",".join)
def test_with_one_worker_a_run_whose_driver_died_equals_an_undisturbed_one_wherever_it_died(
    tmp_path: Path, objectives: tuple[str, ...]
) -> None:
    undisturbed = Drivers(tmp_path / "undisturbed", workers=1, objectives=objectives)
    undisturbed.drive()
    expected = search_of(undisturbed)
    for moment in range(2 + len(objectives), len(expected), 9):
        killed = Drivers(tmp_path / f"killed-{moment}", workers=1, objectives=objectives)
        killed.drive(dies_after=moment)
        killed.drive(dies_after=4)
        killed.drive()
        assert search_of(killed) == expected, moment


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that ended, to be copied."""
    drivers = Drivers(tmp_path_factory.mktemp("earlier") / "run", seed=5)
    drivers.drive()
    return drivers.paths.root


@pytest.fixture
def warm_drivers(drivers: Drivers, earlier: Path, tmp_path: Path) -> Drivers:
    """Drivers of a run that starts with the trials of another."""
    copy = shutil.copytree(earlier, tmp_path / "earlier")
    drivers.warm_started = read_earlier(str(copy), SETTING, PATIENCE, {}, DEFAULT_OBJECTIVE)
    return drivers


@pytest.mark.parametrize("moment", [None, *range(4, 40, 7)])
def test_a_warm_run_is_derived_again_from_its_own_journal_alone(warm_drivers: Drivers, moment: int | None) -> None:
    if moment is not None:
        warm_drivers.drive(dies_after=moment)
        warm_drivers.drive(dies_after=5)
    warm_drivers.drive()
    shutil.rmtree(warm_drivers.paths.root.with_name("earlier"))
    replay(warm_drivers.paths.root)
    reused = [event for event in events(warm_drivers) if isinstance(event, EpochReported) and event.reused]
    # The reference and the best of the earlier run; a configuration of the space is hardly ever met by chance.
    assert {event.trial for event in reused} == {0, 1}
    assert sum(1 for event in events(warm_drivers) if isinstance(event, TrialEnded)) == 14


@pytest.mark.parametrize("moment", [None, 9, 20])
def test_a_run_some_of_whose_configurations_were_refused_is_derived_again_as_recorded(
    drivers: Drivers, moment: int | None
) -> None:
    def meddle(coordinator: Coordinator) -> None:
        last = max(coordinator.unfinished, default=0)
        if last % 3 == 1:
            coordinator.refuse(last, "the units do not divide")

    if moment is not None:
        drivers.drive(dies_after=moment, meddle=meddle)
    drivers.drive(meddle=meddle)
    refused = [one for one in events(drivers) if isinstance(one, TrialEnded) and one.reason.startswith(INFEASIBLE)]
    assert len(refused) > 3
    assert replay(drivers.paths.root)["TrialProposed"] == 14


def test_failures_and_an_interruption_are_given_not_derived(drivers: Drivers) -> None:
    calls = iter(range(1000))

    def meddle(coordinator: Coordinator) -> None:
        call = next(calls)
        if call == 3:
            coordinator.lose_worker(coordinator.unfinished[0], "its worker died", charged=True, max_failures=2)
        if call == 6:
            coordinator.fail(coordinator.unfinished[0], "diverged", "Traceback ...")
        if call == 20:
            coordinator.stop(INTERRUPTED)

    drivers.drive(meddle=meddle)
    ends = [event for event in events(drivers) if isinstance(event, TrialEnded)]
    assert [end.state for end in ends].count(TrialState.FAILED) == 1
    assert any(end.reason == INTERRUPTED for end in ends)
    assert replay(drivers.paths.root)["TrialRetried"] == 1


def events(drivers: Drivers) -> list[Event]:
    return [entry.event for entry in read_journal(drivers.paths.journal)]


# A search that ends when it has converged.

MOST_TRIALS = 80


def converging(root: Path, workers: int = 1, threshold: float | None = 0.002) -> Drivers:
    return Drivers(root, workers=workers, trials=MOST_TRIALS, stop_when_converged=threshold)


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Drivers]:
    """Returns drivers whose search has converged, by their number of workers; made once, so only to be read."""

    @cache
    def driven(workers: int) -> Drivers:
        drivers = converging(tmp_path_factory.mktemp("converged") / "run", workers)
        drivers.drive()
        return drivers

    return driven


def end_of_search(drivers: Drivers) -> SearchEnded:
    (end,) = [event for event in events(drivers) if isinstance(event, SearchEnded)]
    return end


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_that_converged_is_derived_again_as_recorded(
    converged: Callable[[int], Drivers], workers: int
) -> None:
    drivers = converged(workers)
    counts = replay(drivers.paths.root)
    assert 10 < counts["TrialProposed"] < MOST_TRIALS
    assert counts["TrialEnded"] == counts["TrialProposed"]
    end = end_of_search(drivers)
    assert end.reason.startswith("converged, as each of the last 5 trials that the model proposed was expected to ")
    assert end.seconds_left is None
    last = [entry.event for entry in read_journal(drivers.paths.journal) if isinstance(entry.event, TrialProposed)][-1]
    assert last.expected_improvement is not None
    assert last.expected_improvement < 0.002


def test_what_runs_when_a_search_has_converged_is_reported_on_and_not_cut_off(
    converged: Callable[[int], Drivers],
) -> None:
    found = events(converged(3))
    last = [event for event in found if isinstance(event, TrialProposed)][-1]
    assert last.trial in {event.trial for event in found[found.index(last) :] if isinstance(event, EpochReported)}
    cut_off = [event for event in found if isinstance(event, TrialEnded) and event.reason.startswith("converged")]
    paused = {event.trial for event in found if isinstance(event, RungDecided) and event.action == Action.PAUSE}
    assert {event.trial for event in cut_off} <= paused


def test_with_one_worker_a_converged_search_ends_at_the_same_trial_wherever_its_driver_died(
    converged: Callable[[int], Drivers],
) -> None:
    undisturbed = converged(1)
    expected = search_of(undisturbed)
    ended = next(place for place, event in enumerate(expected) if isinstance(event, SearchEnded))
    last = max(place for place, event in enumerate(expected) if isinstance(event, TrialProposed))
    # A driver's own coming is one of the events that it writes, so it dies before and behind each of the two.
    for moment in (ended // 2, last + 1, last + 2, ended + 1, ended + 2):
        killed = converging(undisturbed.paths.root.with_name(f"killed-{moment}"))  # beside it, of the same space
        killed.drive(dies_after=moment)
        killed.drive(dies_after=4)
        killed.drive()
        assert search_of(killed) == expected, moment


def test_with_another_threshold_or_another_improvement_something_else_follows(
    converged: Callable[[int], Drivers],
) -> None:
    drivers = converged(1)
    entries = read_journal(drivers.paths.journal)
    for threshold, follows in ((1e-9, "TrialProposed"), (0.5, "less than 0.5")):
        search = replace(drivers.config.search, stop_when_converged=threshold)
        with pytest.raises(DivergenceError, match=follows):
            Replay(replace(drivers.config, search=search), drivers.space, entries).run()
    told = next(entry for entry in entries if getattr(entry.event, "expected_improvement", None) is not None)
    assert isinstance(told.event, TrialProposed)
    forged = replace(told, event=replace(told.event, expected_improvement=0.0))
    with pytest.raises(DivergenceError, match=rf"event {told.seq}: .*expected_improvement"):
        Replay(drivers.config, drivers.space, [forged if entry is told else entry for entry in entries]).run()


def test_with_a_budget_the_time_that_a_converged_search_left_is_told_and_planned_with(tmp_path: Path) -> None:
    drivers = converging(tmp_path / "run")
    drivers.config = replace(drivers.config, budget="300s")
    drivers.drive()
    left = end_of_search(drivers).seconds_left
    assert left is not None
    # The retraining keeps 20 seconds and, for each of two seeds, 9.3 epochs of 0.4 seconds.
    assert left == pytest.approx(300.0 - (20.0 + 2 * 9.3 * 0.4) - drivers.elapsed, abs=0.1)
    (planned,) = [event for event in events(drivers) if isinstance(event, RetrainingPlanned)]
    assert planned.seconds_left is not None
    assert planned.seconds_left > left
    replay(drivers.paths.root)


@pytest.mark.parametrize("budget", [29.4, 30.0])
def test_an_end_for_want_of_time_for_another_trial_is_derived_again_and_older_runs_called_it_otherwise(
    drivers: Drivers, budget: float
) -> None:
    drivers.config = replace(drivers.config, budget=f"{budget}s", search=replace(drivers.config.search, trials=99))
    known: list[Coordinator] = []
    drivers.drive(meddle=known.append)
    assert not known[-1].is_stopping  # the time was not over, but too short
    assert end_of_search(drivers).reason == TIME_IS_OVER
    entries = [
        replace(entry, elapsed=time)
        for entry, time in zip(read_journal(drivers.paths.journal), drivers.times, strict=True)
    ]
    Replay(drivers.config, drivers.space, entries).run()
    older = [
        replace(entry, event=replace(entry.event, reason=ALL_ENDED))
        if isinstance(entry.event, TrialEnded | SearchEnded) and entry.event.reason == TIME_IS_OVER
        else entry
        for entry in entries
    ]
    Replay(drivers.config, drivers.space, of_version(5, older)).run()
    with pytest.raises(DivergenceError, match=ALL_ENDED):
        Replay(drivers.config, drivers.space, older).run()


def set_times(entries: list[Entry], seconds: float) -> list[Entry]:
    """Return the entries with times that rise evenly to `seconds`."""
    return [replace(entry, elapsed=seconds * index / len(entries)) for index, entry in enumerate(entries)]


def test_an_end_for_want_of_time_holds_only_if_the_time_was_over(drivers: Drivers) -> None:
    calls = iter(range(1000))
    drivers.config = replace(drivers.config, budget="100s")
    drivers.drive(meddle=lambda coordinator: coordinator.stop(TIME_IS_OVER) if next(calls) == 15 else None)
    entries = read_journal(drivers.paths.journal)
    over = next(entry.seq for entry in entries if getattr(entry.event, "reason", None) == TIME_IS_OVER)
    late = [replace(entry, elapsed=0.0 if entry.seq < over else 99.0) for entry in entries]
    Replay(drivers.config, drivers.space, late).run()
    with pytest.raises(DivergenceError, match=rf"event {over}: the journal has \w+ \(.*{TIME_IS_OVER}"):
        Replay(drivers.config, drivers.space, set_times(entries, 10.0)).run()


def that_improved(entries: list[Entry]) -> set[int]:
    """Return the trials that were the best once."""
    best, improved = -1.0, set()
    for entry in entries:
        if isinstance(entry.event, EpochReported) and entry.event.metrics["dev_accuracy"] > best:
            best = entry.event.metrics["dev_accuracy"]
            improved.add(entry.event.trial)
    return improved


def dear(entries: list[Entry], trial: int) -> list[Entry]:
    """Return the entries as of a run's first moment, with epochs of the trial that take five times as long."""
    return [
        replace(entry, elapsed=0.0, event=replace(entry.event, seconds=2.0))
        if isinstance(entry.event, EpochReported) and entry.event.trial == trial
        else replace(entry, elapsed=0.0)
        for entry in entries
    ]


def test_a_trial_ended_because_it_could_not_be_retrained_holds_only_if_that_was_so(drivers: Drivers) -> None:
    drivers.config = replace(drivers.config, budget="100s")
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    # Cut behind a report without a decision, where the driver asks the clock alone; of a trial that was never the best.
    improved = that_improved(entries)
    place = next(
        entry.seq
        for entry, after in itertools.pairwise(entries)
        if isinstance(entry.event, EpochReported)
        and entry.event.trial not in improved
        and not isinstance(after.event, RungDecided)
    )
    report = entries[place].event
    assert isinstance(report, EpochReported)
    end = TrialEnded(report.trial, TrialState.PRUNED, NO_TIME_TO_RETRAIN)
    prefix = dear(entries[: place + 1], report.trial)
    for seconds, fits in ((0.0, True), (99.0, False)):
        cut = [*prefix, Entry(len(prefix), 0.0, seconds, end)]
        if fits:
            with pytest.raises(DivergenceError, match="nothing follows"):
                Replay(drivers.config, drivers.space, cut).run()
        else:
            Replay(drivers.config, drivers.space, cut).run()
    # With that report it leads, its driver dies, and the next one ends it.
    leading = replace(report, seconds=2.0, metrics={**report.metrics, "dev_accuracy": 1.0})
    sequel: list[Event] = [leading, DriverStarted("here", None, drivers.workers), end]
    for seconds, fits in ((0.0, True), (99.0, False)):
        cut = [*prefix[:-1], *(Entry(place + later, 0.0, seconds, event) for later, event in enumerate(sequel))]
        if fits:
            with pytest.raises(DivergenceError, match="nothing follows"):
                Replay(drivers.config, drivers.space, cut).run()
        else:
            Replay(drivers.config, drivers.space, cut).run()


def test_the_clock_is_asked_after_each_result_at_its_time(drivers: Drivers) -> None:
    drivers.config = replace(drivers.config, budget="100s")
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    improved = that_improved(entries)
    # Two results of a trial in a row, without a decision, of which the second alone came too late.
    first, place = next(
        (event, entry.seq)
        for entry, after in itertools.pairwise(entries)
        if isinstance(event := entry.event, EpochReported)
        and not isinstance(after.event, RungDecided)
        and event.trial not in improved
        and event.epoch > 3
    )
    second = replace(first, epoch=first.epoch + 1, seconds=2.0)
    end = TrialEnded(first.trial, TrialState.PRUNED, NO_TIME_TO_RETRAIN)
    late = [Entry(place + 1, 0.0, 99.0, second), Entry(place + 2, 0.0, 99.0, end)]
    Replay(drivers.config, drivers.space, [*dear(entries[: place + 1], first.trial), *late]).run()


def changes(event: Event) -> list[Event]:
    """Return what a decision might wrongly have been."""
    match event:
        case TrialProposed():
            params = {**event.params, "x": math.nextafter(event.params["x"], 2)}
            return [replace(event, params=params), replace(event, seed=event.seed + 1), replace(event, trial=77)]
        case RungDecided():
            return [replace(event, action="STOP" if event.action != "STOP" else "CONTINUE"), replace(event, reason="")]
        case TrialEnded():
            other = TrialState.COMPLETE if event.state is TrialState.PRUNED else TrialState.PRUNED
            return [replace(event, state=other), replace(event, reason="it was tired")]
        case SearchEnded():
            return [replace(event, reason="enough")]
        case WinnerSelected():
            return [replace(event, trial=event.trial + 1), replace(event, epoch=event.epoch + 1)]
        case RetrainingPlanned():
            longer = [{**one, "max_epochs": one["max_epochs"] + 1} for one in event.retrainings]
            return [replace(event, retrainings=longer), replace(event, retrainings=event.retrainings[1:])]
        case RetrainEnded():
            return [replace(event, best_epoch=3)]
    return []


def test_the_first_decision_that_differs_is_found_whichever_it_is(drivers: Drivers) -> None:
    drivers.drive(dies_after=31)
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    tried: Counter[type[Event]] = Counter()
    for place, entry in enumerate(entries):
        wrong = changes(entry.event)
        # Of each kind all that may be wrong of the first, and of the next ones one thing each.
        for changed in wrong if tried[type(entry.event)] == 0 else wrong[place % 5 : place % 5 + 1]:
            forged = [*entries[:place], replace(entry, event=changed), *entries[place + 1 :]]
            with pytest.raises(DivergenceError, match=f"event {place}[ :]"):
                Replay(drivers.config, drivers.space, forged).run()
            tried[type(entry.event)] += 1
    assert tried.keys() >= {TrialProposed, RungDecided, TrialEnded, SearchEnded, WinnerSelected, RetrainingPlanned}
    assert tried.total() > 30


def test_proposals_follow_from_what_was_measured_if_it_is_an_objective(tmp_path: Path) -> None:
    def difference(objectives: tuple[str, ...]) -> str:
        drivers = Drivers(tmp_path / "-".join(objectives), objectives=objectives)
        drivers.drive()
        forged = [
            replace(entry, event=replace(entry.event, measures={"params": -1.0, "latency": 1.0 / (1 + entry.seq)}))
            if isinstance(entry.event, ModelMeasured)
            else entry
            for entry in read_journal(drivers.paths.journal)
        ]
        try:
            Replay(drivers.config, drivers.space, forged).run()
        except DivergenceError as error:
            return str(error)
        return "none"

    of_one, of_two, of_three = map(difference, OBJECTIVES)
    assert of_one == "none"
    assert "TrialProposed" in of_two
    assert "TrialProposed" in of_three


@pytest.mark.parametrize("kind", [EpochReported, ModelMeasured])
def test_an_event_recorded_twice_is_found(drivers: Drivers, kind: type[Event]) -> None:
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    place = next(entry.seq for entry in entries if isinstance(entry.event, kind))
    doubled = [*entries[: place + 1], *entries[place:]]
    with pytest.raises(DivergenceError, match=f"event {place + 1}"):
        Replay(drivers.config, drivers.space, doubled).run()


def test_a_decision_that_was_left_out_is_found(drivers: Drivers) -> None:
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    for place in [entry.seq for entry in entries if isinstance(entry.event, RungDecided)]:
        with pytest.raises(DivergenceError, match=f"event {place}"):
            Replay(drivers.config, drivers.space, [*entries[:place], *entries[place + 1 :]]).run()


def test_the_command_says_in_one_line_that_all_is_as_recorded(
    drivers: Drivers, capsys: pytest.CaptureFixture[str]
) -> None:
    drivers.drive()
    assert run([str(drivers.paths.root)]) == 0
    printed = capsys.readouterr()
    assert "all as recorded: 14 proposals" in printed.out
    assert len(printed.out.splitlines()) == 1


def test_the_command_ends_with_code_1_and_one_line_where_a_decision_differs(
    drivers: Drivers, capsys: pytest.CaptureFixture[str]
) -> None:
    drivers.drive()
    entries = read_journal(drivers.paths.journal)
    (winner,) = [entry.event.trial for entry in entries if isinstance(entry.event, WinnerSelected)]
    forged = RunPaths(drivers.paths.root.with_name("forged"))
    with JournalWriter(forged.journal) as journal:
        for entry in entries:
            event = entry.event
            journal.append(replace(event, trial=event.trial + 1) if isinstance(event, WinnerSelected) else event)
    assert run([str(forged.root)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert f"WinnerSelected (trial {winner + 1}" in printed.err


def test_a_changed_space_is_refused(drivers: Drivers) -> None:
    drivers.drive()
    Path(drivers.config.space).write_text(SPACE.replace("0.5", "0.6"))
    with pytest.raises(SpaceError, match=r"space\.py has changed since .*, and the run has no copy of it"):
        replay(drivers.paths.root)


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds no journal"):
        replay(tmp_path)
