"""Tests of `tuner.engine.progress`: few lines where nobody watches, one that moves where somebody does."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tests.metrics import metrics
from tuner.engine.live.state import LiveState, Phase
from tuner.engine.plan import Plan
from tuner.engine.progress import Progress, plan_lines
from tuner.journal.events import (
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    TrialEnded,
    TrialProposed,
    TrialRetried,
    WinnerSelected,
)
from tuner.search.trial import Origin, TrialState

PLAN = Plan(
    workers=2,
    rungs=(1, 3, 9),
    reduction_factor=3,
    seconds_per_epoch=12.34,
    max_trials=None,
    expected_trials=17,
    search_seconds=1500.0,
    retrain_seconds=280.0,
    budget_seconds=1800.0,
)


RETRAININGS = [("tuned", 1), ("tuned", 2), ("baseline", 1)]
WORKERS = "3, one for each of 3 usable cores of this machine, at niceness 0"
SEEDS = "the winner with 2 seeds and the baseline with 1 seed"


def proposed(trial: int) -> TrialProposed:
    return TrialProposed(trial, {}, {}, {}, Origin.RANDOM, trial)


def epoch(trial: int, number: int, accuracy: float) -> EpochReported:
    return EpochReported(trial, number, metrics(1.0, 0.5, 1.0, accuracy, 0.01), 2.0, "host:1")


IMPORTANT: list[tuple[Event, str]] = [
    (SearchEnded("all trials have ended"), "the search ended: all trials have ended"),
    (SearchEnded("converged", 750.0), "the search ended: converged; 12m 30s before its time was over"),
    (WinnerSelected(3, {}, "dev_accuracy", 0.9, 2, "rule"), "trial 3 won with dev accuracy 0.9000 at epoch 2"),
    (
        RetrainingPlanned(
            [{"candidate": "tuned", "seed": seed, "max_epochs": 44, "hparams": {}} for seed in (1, 2)]
            + [{"candidate": "baseline", "seed": 1, "max_epochs": 1, "hparams": {}}],
            {"tuned": 20.0, "baseline": 56.0},
            None,
        ),
        "the retraining is planned: tuned for 44 epochs with 2 seeds, baseline for 1 epoch with 1 seed",
    ),
    (TrialRetried(3, "ValueError: no"), "trial 3 failed and is taken up again: ValueError: no"),
    (TrialRetried(3, "killed", charged=False), "trial 3 lost its worker and is taken up again: killed"),
    (TrialEnded(3, TrialState.FAILED, "'dev_loss' is nan"), "trial 3 ended FAILED: 'dev_loss' is nan"),
    (RetrainFailed("tuned", 1, "the loss is nan"), "retraining tuned, seed 1, failed: the loss is nan"),
    (
        RetrainEnded("tuned", 1, {}, 2, {"dev": {"accuracy": 0.93}, "test": {"accuracy": 0.92}}, "w", "5ha"),
        "retraining tuned, seed 1, ended with the weights of epoch 2: dev 0.9300, test 0.9200",
    ),
]


class Screen:
    """A progress on a console that remembers, and a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._file = io.StringIO()
        console = Console(file=self._file, width=200, color_system=None)
        self.progress = Progress(console, lambda: self.now - 1000.0)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    @property
    def text(self) -> str:
        return self._file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_without_a_terminal_a_line_comes_at_most_every_five_seconds(screen: Screen) -> None:
    with screen.progress as progress:
        for step in range(6000):  # one a hundredth of a second, for a minute
            screen.now = 1000.0 + step / 100
            progress.on_event(proposed(step))
            progress.on_event(epoch(step, 1, 0.5))
            progress.on_event(RungDecided(step, 1, "STOP", "worse"))
            progress.on_event(TrialEnded(step, TrialState.PRUNED, "worse"))
    assert len(screen.lines) == 12
    assert screen.lines[0] == "[0.0s] trial 0 epoch 1: dev accuracy 0.5000"
    assert screen.lines[-1].startswith("[55.0s] ")


def test_a_log_says_what_is_done_before_there_is_a_plan(screen: Screen) -> None:
    screen.progress.enter(Phase.MEASURING)
    assert screen.lines == ["measuring how fast it trains"]
    screen.progress.enter(Phase.REPORT)
    assert len(screen.lines) == 1  # the plan and the events tell the rest


@pytest.mark.parametrize(("event", "text"), IMPORTANT, ids=lambda value: type(value).__name__)
def test_what_must_not_be_missed_is_told_at_once(screen: Screen, event: Event, text: str) -> None:
    screen.progress.on_event(epoch(0, 1, 0.5))
    screen.progress.on_event(event)
    assert screen.lines[1] == f"[0.0s] {text}"


def test_an_important_line_puts_off_the_next_ordinary_one(screen: Screen) -> None:
    screen.progress.on_event(SearchEnded("over"))
    screen.now += 4.9
    screen.progress.on_event(RetrainEpochReported("tuned", 1, 1, metrics(1.0, 0.5, 1.0, 0.6, 0.01), 2.0))
    assert len(screen.lines) == 1
    screen.now += 0.1
    screen.progress.on_event(RetrainEpochReported("tuned", 1, 2, metrics(1.0, 0.5, 1.0, 0.7, 0.01), 2.0))
    assert screen.lines[1:] == ["[5.0s] retraining tuned, seed 1: epoch 2: dev accuracy 0.7000"]


def test_proposals_and_decisions_are_not_worth_a_line(screen: Screen) -> None:
    screen.progress.on_event(proposed(0))
    screen.progress.on_event(RungDecided(0, 1, "CONTINUE", "best"))
    assert screen.text == ""


def test_markup_in_a_reason_is_printed_as_it_is(screen: Screen) -> None:
    screen.progress.restore([proposed(0)])
    screen.progress.on_event(TrialEnded(0, TrialState.FAILED, "[red]:smile: [/nothing]"))
    assert screen.lines == ["[0.0s] trial 0 ended FAILED: [red]:smile: [/nothing]"]


def test_nothing_in_a_reason_steers_the_terminal(screen: Screen) -> None:
    screen.progress.on_event(SearchEnded("\x1b[2J\rgone"))
    assert screen.lines == ["[0.0s] the search ended: \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}gone"]


def test_a_long_line_is_not_broken(screen: Screen) -> None:
    screen.progress.say("x" * 500)
    assert screen.lines == ["x" * 500]


class Tty(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def watched() -> Iterator[tuple[Progress, io.StringIO]]:
    """A progress that is watched on a terminal, and what was written there."""
    shown = Tty()
    console = Console(file=shown, width=100, height=30, color_system=None)
    with Progress(console, lambda: 65.0) as progress:
        yield progress, shown


def until(shown: io.StringIO, text: str) -> str:
    """Return what was written once it holds the text; the view is drawn now and then."""
    end = time.monotonic() + 5
    while text not in shown.getvalue():
        assert time.monotonic() < end, shown.getvalue()
        time.sleep(0.02)
    return shown.getvalue()


def test_a_terminal_shows_a_view_that_follows_the_run(watched: tuple[Progress, io.StringIO]) -> None:
    progress, shown = watched
    until(shown, "starting the workers  1m 05s")
    progress.enter(Phase.MEASURING)
    until(shown, "measuring how fast it trains  1m 05s")
    progress.on_event(PlanMade(PLAN.to_dict()))
    progress.on_event(proposed(0))
    progress.on_event(epoch(0, 1, 0.8))
    assert "1m 05s of 30m 00s, 28m 55s left" in until(shown, "best  dev accuracy 0.8000  trial 0, epoch 1")


def test_where_a_view_is_watched_only_what_must_not_be_missed_is_a_line(
    watched: tuple[Progress, io.StringIO],
) -> None:
    progress, shown = watched
    progress.on_event(proposed(0))
    progress.on_event(epoch(0, 1, 0.8))
    progress.on_event(TrialEnded(0, TrialState.PRUNED, "worse"))
    progress.on_event(SearchEnded("over"))
    until(shown, "[1m 05s] the search ended: over\n")
    assert "trial 0 epoch 1" not in shown.getvalue()
    assert "trial 0 ended" not in shown.getvalue()


def test_a_resumed_run_goes_on_from_the_earlier_drivers_events(watched: tuple[Progress, io.StringIO]) -> None:
    progress, shown = watched
    progress.restore([PlanMade(PLAN.to_dict()), proposed(0), proposed(1), epoch(0, 1, 0.9)])
    progress.on_event(epoch(1, 1, 0.8))
    until(shown, "best  dev accuracy 0.9000  trial 0, epoch 1")


def test_a_signal_that_comes_while_an_event_is_taken_may_speak(
    watched: tuple[Progress, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the ticker draws meanwhile, and waits for the state."""
    progress, shown = watched

    def take(*_: object) -> None:
        assert progress._ticker is not None
        progress._ticker.changed()
        time.sleep(1.0)
        progress.say_soon("interrupted")

    monkeypatch.setattr(LiveState, "take", take)
    event = threading.Thread(target=progress.on_event, args=[proposed(0)], daemon=True)
    event.start()
    event.join(timeout=5)
    assert not event.is_alive()
    until(shown, "interrupted")


def test_what_a_signal_tells_is_said_where_nothing_is_drawn_and_nothing_happens_and_at_the_latest_at_the_end() -> None:
    shown = io.StringIO()
    with Progress(Console(file=shown, width=100), lambda: 0.0) as progress:
        progress.say_soon("interrupted")
        until(shown, "interrupted\n")
        progress.say_soon("again")
    assert shown.getvalue() == "interrupted\nagain\n"


def test_a_signal_may_speak_while_a_full_pipe_holds_a_line_up() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w", buffering=1) as stream:
        progress = Progress(Console(file=stream, width=100), lambda: 0.0)
        before = signal.signal(signal.SIGINT, lambda *_: progress.say_soon("interrupted"))
        reader = threading.Thread(target=_read_late, args=[ours])
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        reader.start()
        try:
            with progress:
                for _ in range(1000):
                    progress.say("x" * 100)
        finally:
            signal.signal(signal.SIGINT, before)
    reader.join()


def _read_late(pipe: int) -> None:
    time.sleep(1.0)
    said = b""
    while more := os.read(pipe, 1 << 16):
        said += more
    os.close(pipe)
    assert b"interrupted" in said


def test_a_view_that_cannot_be_drawn_ends_nothing(
    watched: tuple[Progress, io.StringIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    progress, shown = watched
    monkeypatch.setattr("tuner.engine.progress.draw", lambda *_: 1 // 0)
    with caplog.at_level("INFO", logger="tuner"):
        progress.say("still here")
    until(shown, "still here")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("shown", "environment"),
    [(Tty(), {"TERM": "dumb"}), (Tty(), {"TERM": "unknown"}), (io.StringIO(), {"FORCE_COLOR": "1"})],
    ids=["dumb", "unknown", "a pipe that is to be coloured"],
)
def test_where_no_cursor_can_be_moved_there_are_lines(
    shown: io.StringIO, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Progress(Console(file=shown, width=80), lambda: 1.0) as progress:
        progress.on_event(epoch(0, 1, 0.8))
        progress.say("said")
    assert shown.getvalue() == "[1.0s] trial 0 epoch 1: dev accuracy 0.8000\nsaid\n"


def test_the_plan_says_what_will_happen_and_how_long_it_takes() -> None:
    """Made for two workers; this driver has three."""
    assert plan_lines(PLAN, "digits: 1,078 train", WORKERS, RETRAININGS) == [
        "data       digits: 1,078 train",
        "workers    3, one for each of 3 usable cores of this machine, at niceness 0",
        "epoch      12.3s for the first configuration, with all workers busy",
        "rungs      1 3 9 epochs; one trial in 3 goes on from each",
        "trials     about 17 if they cost what the first configuration does",
        f"retraining {SEEDS}, 9 epochs each",
        "time       search 25m 00s, retraining 4m 40s; in 30m 00s together",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reduction_factor": None}, "rungs      1 3 9 epochs; no trial is stopped from each"),
        ({"rungs": (1,)}, "rungs      1 epoch, a whole training: no trial is stopped"),
        ({"rungs": (9,)}, "rungs      9 epochs, a whole training: no trial is stopped"),
        ({"max_trials": 20}, "trials     about 17 if they cost what the first configuration does, at most 20"),
        ({"budget_seconds": None, "max_trials": 17}, "trials     17"),
        ({"budget_seconds": None}, "time       search 25m 00s, retraining 4m 40s; about 29m 40s together"),
        (
            {"most_retrain_epochs": 81, "expected_retrain_epochs": 18},
            f"retraining {SEEDS}, as many epochs as there is time for: 18 of the first configuration",
        ),
        (
            {"least_retrain_epochs": 40},
            f"retraining {SEEDS}, 40 epochs each",
        ),
        ({"least_retrain_epochs": 1}, f"retraining {SEEDS}, 1 epoch each"),
        ({"seconds_per_epoch": 0.012}, "epoch      12ms for the first configuration, with all workers busy"),
    ],
)
def test_the_plan_without_stopping_with_a_limit_and_without_a_budget(changes: dict[str, Any], expected: str) -> None:
    assert expected in plan_lines(replace(PLAN, **changes), "digits", WORKERS, RETRAININGS)


def test_where_there_is_no_baseline_the_plan_speaks_of_none() -> None:
    assert not any("baseline" in line for line in plan_lines(PLAN, "digits", WORKERS, RETRAININGS[:1]))
