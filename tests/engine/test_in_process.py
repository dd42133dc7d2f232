"""Tests of `tuner.engine.in_process`: whole studies without Ray, which say what one of Ray's workers would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.commands import Running
from tests.engine.full_once import full_once
from tests.environment import untouched_environment
from tuner import tune
from tuner.config import ResourceConfig, StudyConfig, merge, nested, to_dict
from tuner.engine import driver
from tuner.engine.executor import Key
from tuner.engine.in_process import InProcessExecutor
from tuner.engine.outcome import Outcome, Reported, WorkerLost
from tuner.engine.worker import Assignment, Job
from tuner.errors import ConfigError, ResourceError, TunerError
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RetrainingPlanned,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    TrialRetried,
    WinnerSelected,
)
from tuner.journal.store import read_journal
from tuner.paths import RunPaths
from tuner.presets import preset
from tuner.search.trial import TrialState
from tuner.training.trainable import trainable_of

SPACE = '''
"""A linear model; one configuration diverges, one cannot be built."""

import os
import signal
from pathlib import Path

from torch import nn

FATES = ["lives", "diverges", "cannot be built"]
START = [{"fate": fate, "learning_rate": 0.01} for fate in FATES]


def suggest(trial):
    fate = trial.suggest_categorical("fate", FATES)
    learning_rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    return {"fate": fate, "learning_rate": 1e38 if fate == "diverges" else learning_rate, "batch_size": 64}


def now():
    """Return what the study is at, by its folder and its journal."""
    if not any(Path(__file__).parent.glob("runs/*")):
        return "before the run"
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("runs/*/journal/*.jsonl"))
    if "WinnerSelected" in text:
        return "retraining"
    proposed = text.count("TrialProposed")
    return f"trial {proposed - 1}" if proposed else "measuring"


def build(hparams):
    if now() == os.environ.get("INTERRUPTED_AT"):
        os.kill(os.getpid(), signal.SIGINT)
    if now() == os.environ.get("BREAKPOINT_AT"):
        breakpoint()
    if hparams["fate"] == "cannot be built" or now() == os.environ.get("BROKEN_AT"):
        raise ValueError("there is no such layer")
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


MODEL = build
'''
SMALL: dict[str, Any] = {
    "retrain_seeds": 1,
    "retrain_epochs": 3,
    "baseline": False,
    "precision": "float32",
    "startup_trials": 4,
}


@pytest.fixture(autouse=True)
def interruptible_by_default() -> Iterator[None]:
    """Let SIGINT interrupt, also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.py"
    path.write_text(SPACE)
    return path


def config(space: Path, name: str, **changes: Any) -> StudyConfig:
    values = {"space": str(space), "storage": str(space.parent / "runs"), "name": name, "in_process": True}
    return merge(preset("smoke"), nested({**SMALL, **values, "trials": 2, "max_epochs": 1, **changes}), "test")


def events_of(paths: RunPaths) -> list[Event]:
    return [entry.event for entry in read_journal(paths.journal)]


def comparable(events: list[Event]) -> Iterator[Event]:
    """Leave out what another process, or another time, makes different."""
    for event in events:
        match event:
            case StudyStarted():
                yield replace(event, config={}, environment={})
            case DriverStarted():
                yield replace(event, host="")
            case PlanMade():
                yield replace(event, plan={name: event.plan[name] for name in ("workers", "rungs", "max_trials")})
            case RetrainingPlanned():
                yield replace(event, seconds_per_epoch={})
            case EpochReported():
                yield replace(event, seconds=0.0, worker="")
            case RetrainEpochReported():
                yield replace(event, seconds=0.0)
            case _:
                yield event


@pytest.mark.timeout(240)
def test_the_journal_is_that_of_one_worker_under_ray_event_for_event(ray_running: None, space: Path) -> None:
    journals = []
    for name, changes in (("ray", {"in_process": False, "workers": 1}), ("here", {})):
        wanted = config(space, name, trials=9, max_epochs=3, min_epochs=1, **changes)
        journals.append(events_of(driver.run_new(wanted, Console(quiet=True))))
    under_ray, here = journals
    assert list(comparable(here)) == list(comparable(under_ray))
    kinds = {type(event) for event in here}
    assert kinds >= {EpochReported, TrialRetried, TrialEnded, SearchEnded, WinnerSelected, RetrainEnded}
    states = {event.state for event in here if isinstance(event, TrialEnded)}
    assert TrialState.FAILED in states


@pytest.mark.timeout(180)
def test_without_ray_a_breakpoint_works_and_a_traceback_shows_the_users_line(space: Path) -> None:
    line = next(n for n, text in enumerate(SPACE.splitlines(), 1) if "raise ValueError" in text)
    command = ["--preset", "smoke", "--space", str(space), "--in-process", "--trials", "3", "--max-epochs", "1"]
    code = (
        "import sys; from tuner.run import run; run(sys.argv[1:]); "
        "print('RAY' if any(name.partition('.')[0] == 'ray' for name in sys.modules) else 'NO RAY')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, *command, "--storage", str(space.parent / "runs"), "--max-failures", "0"],
        input="p 6 * 7\np hparams['fate']\nc\n",
        # As where a Ray ran before in the same shell or notebook: it takes breakpoints for itself.
        env={**untouched_environment(), "BREAKPOINT_AT": "trial 0", "PYTHONBREAKPOINT": "ray.util.rpdb.set_trace"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "(Pdb) 42" in found.stdout
    assert "(Pdb) 'lives'" in found.stdout
    assert f'File "{space}", line {line}, in build' in found.stdout
    assert found.stdout.rstrip().endswith("NO RAY")


@pytest.mark.timeout(180)
def test_a_traceback_that_ends_the_run_is_told_once(space: Path) -> None:
    command = ["--preset", "smoke", "--space", str(space), "--in-process", "--trials", "2", "--max-epochs", "1"]
    found = subprocess.run(
        [sys.executable, "-m", "tuner.run", *command, "--storage", str(space.parent / "runs")],
        env={**untouched_environment(), "BROKEN_AT": "measuring"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2, found.stderr
    assert (found.stdout + found.stderr).count("in build") == 1


def test_one_of_many_workers_is_refused_in_this_process(space: Path) -> None:
    for changes in ({"workers": 2}, {"address": "auto"}):
        with pytest.raises(ConfigError, match="--in-process trains one trial after another"):
            tune("smoke", space=str(space), in_process=True, **changes)


@pytest.mark.timeout(120)
def test_a_run_that_was_begun_for_another_machine_goes_on_where_it_is_told(space: Path) -> None:
    wanted = replace(
        config(space, "study"), resources=ResourceConfig(workers=512, address="127.0.0.1:1", precision="float32")
    )
    folder = space.parent / "runs" / "study"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(to_dict(wanted)))
    with pytest.raises(ResourceError, match="--address"):
        driver.resume(folder, Console(quiet=True))
    paths = driver.resume(folder, Console(quiet=True), where={"in_process": True})
    events = events_of(paths)
    assert isinstance(events[-1], StudyEnded)
    assert [event.workers for event in events if isinstance(event, DriverStarted)] == [1]


@pytest.mark.timeout(120)
def test_torchs_threads_are_as_before(space: Path) -> None:
    torch.set_num_threads(2)
    tune("smoke", **nested_of(config(space, "study", cpus_per_trial=1)))
    assert torch.get_num_threads() == 2


def nested_of(study: StudyConfig) -> dict[str, Any]:
    """Return what a notebook would write."""
    names = ("space", "storage", "name", "in_process", "trials", "max_epochs", "cpus_per_trial", *SMALL)
    return {name: value for name in names if (value := _value(study, name)) is not None}


def _value(study: StudyConfig, name: str) -> Any:
    for section in (study, study.search, study.resources, study.retrain):
        if hasattr(section, name):
            return getattr(section, name)
    raise KeyError(name)


class Spends:
    """A training that takes its hyperparameters apart."""

    def __init__(self, hparams: dict[str, Any], data: object, *, seed: int, device: torch.device) -> None:
        self._rate = hparams.pop("rate")
        self._width = hparams["widths"].pop()

    def train_epoch(self) -> dict[str, float]:
        return {"dev_accuracy": self._rate, "width": self._width}

    def evaluate(self, split: object) -> dict[str, float]:
        return {}


class Both:
    """A work of two trainings of the same configuration, as two seeds of a retraining are."""

    epochs = 1

    def __init__(self, hparams: dict[str, Any], folder: Path) -> None:
        self._waiting = [Assignment(hparams, seed, self.epochs, folder / str(seed)) for seed in (1, 2)]
        self.outcomes: list[Outcome] = []

    @property
    def is_over(self) -> bool:
        return not self._waiting

    def next(self) -> tuple[Key, Assignment]:
        return 0, self._waiting[0]

    def take(self, key: Key, outcome: Outcome) -> bool:
        self._waiting.pop(0)
        self.outcomes.append(outcome)
        return False

    def give_back(self, key: Key) -> None:
        raise AssertionError(key)


def test_what_a_training_does_to_its_hyperparameters_reaches_nobody_else(job: Job, tmp_path: Path) -> None:
    hparams = {"rate": 0.5, "widths": [8, 16]}
    work = Both(hparams, tmp_path)
    InProcessExecutor(print).run(replace(job, trainable=trainable_of(Spends)), iter([work]))
    metrics = [outcome.report.metrics for outcome in work.outcomes if isinstance(outcome, Reported)]
    assert metrics == [{"dev_accuracy": 0.5, "width": 16.0}] * 2
    assert hparams == {"rate": 0.5, "widths": [8, 16]}


class Patient(Both):
    """Goes on with the first training, should it lose its process, to its end."""

    epochs = 3

    def take(self, key: Key, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        if isinstance(outcome, Reported) and outcome.finished:
            self._waiting.clear()
        return not self.is_over


def test_a_training_goes_on_when_its_device_is_no_longer_full(job: Job, tmp_path: Path) -> None:
    work = Patient({}, tmp_path)
    InProcessExecutor(print).run(replace(job, trainable=trainable_of(full_once(tmp_path / "was full"))), iter([work]))
    assert [type(outcome) for outcome in work.outcomes] == [Reported, WorkerLost, Reported, Reported, Reported]
    assert [outcome.report.epoch for outcome in work.outcomes if isinstance(outcome, Reported)] == [1, 1, 2, 3]


# What a driver does between the works; Ray is not needed to see it.


@pytest.mark.timeout(120)
def test_an_interrupt_in_the_search_ends_it_and_the_winner_is_retrained(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPTED_AT", "trial 1")
    events = events_of(driver.run_new(config(space, "study"), Console(quiet=True)))
    assert [event for event in events if isinstance(event, SearchEnded)] == [SearchEnded("interrupted")]
    assert any(isinstance(event, RetrainEnded) for event in events)


FAILS_LATER = '''
import os
import signal
from pathlib import Path

from tuner import Dataset, Objective

OBJECTIVE = Objective("dev_loss", "minimize")
START = [{"x": 0.0}, {"x": 0.5}]


def suggest(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def load_data(data_dir):
    if "TERMINATED" in os.environ:
        os.kill(os.getpid(), signal.SIGTERM)
    return Dataset(train=[1], dev=[2], test=[3], name="three numbers", fingerprint="3")


class TRAINABLE:
    """Where x is 0 it diverges after its first epoch, once the search is on; elsewhere the user interrupts."""

    def __init__(self, hparams, data, *, seed, device):
        self.x, self.epoch = hparams["x"], 0

    def train_epoch(self):
        self.epoch += 1
        if self.x == 0.5 and "INTERRUPTED" in os.environ:
            os.kill(os.getpid(), signal.SIGINT)
        journals = Path(__file__).parent.glob("runs/*/journal/*.jsonl")
        diverges = self.x == 0.0 and self.epoch == 2 and any("TrialProposed" in one.read_text() for one in journals)
        return {"dev_loss": float("nan") if diverges else self.x + 1 / self.epoch}

    def evaluate(self, split):
        return {"loss": self.x + 1 / self.epoch}

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]
'''


@pytest.mark.timeout(120)
def test_an_interrupt_when_all_that_reported_have_failed_quits_and_a_resume_goes_on(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.write_text(FAILS_LATER)
    monkeypatch.setenv("INTERRUPTED", "yes")
    with pytest.raises(KeyboardInterrupt):
        driver.run_new(config(space, "study", max_epochs=3, min_epochs=3), Console(quiet=True))
    paths = RunPaths(space.parent / "runs" / "study")
    kinds = [type(event) for event in events_of(paths)]
    assert EpochReported in kinds
    assert SearchEnded not in kinds
    monkeypatch.delenv("INTERRUPTED")
    driver.resume(paths.root, Console(quiet=True))
    (winner,) = [event.trial for event in events_of(paths) if isinstance(event, WinnerSelected)]
    assert winner == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", ["starting", "reporting"])
def test_a_command_that_is_terminated_where_nothing_is_trained_says_so_and_can_be_resumed(
    space: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.write_text(FAILS_LATER)
    arguments = ["--space", "space.py", "--in-process", "--trials", "2", "--max-epochs", "1", "--retrain-seeds", "1"]
    if moment == "starting":
        monkeypatch.setenv("TERMINATED", "yes")
    with Running(space.parent, *arguments, "--name", "study") as running:
        if moment == "reporting":
            running.wait_for(StudyEnded, 1)
            running.process.terminate()
        ended = running.end()
    assert ended.code == 130
    paths = RunPaths(space.parent / "runs" / "study")
    if moment == "starting":
        assert ended.err.strip() == "Stopped. No trial had begun, so nothing is kept."
        assert not paths.root.exists()
        return
    assert ended.err.strip() == "Stopped. Nothing is lost: go on with --resume and the run's folder."
    assert not paths.report_text.exists()
    driver.resume(paths.root, Console(quiet=True))
    assert paths.report_text.exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", ["before the run", "measuring"])
def test_an_interrupt_before_there_is_a_journal_leaves_nothing_and_says_so(
    space: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPTED_AT", moment)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept"):
        driver.run_new(config(space, "study"), Console(quiet=True))
    assert not (space.parent / "runs" / "study").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("moment", "last"), [("trial 0", [TrialProposed]), ("retraining", [WinnerSelected, RetrainingPlanned])]
)
def test_an_interrupt_when_no_search_can_be_ended_quits_and_a_resume_goes_on(
    space: Path, moment: str, last: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPTED_AT", moment)
    with pytest.raises(KeyboardInterrupt):
        driver.run_new(config(space, "study", trials=1), Console(quiet=True))
    paths = RunPaths(space.parent / "runs" / "study")
    assert [type(event) for event in events_of(paths)[-len(last) :]] == last
    monkeypatch.delenv("INTERRUPTED_AT")
    driver.resume(paths.root, Console(quiet=True))
    assert [type(event) for event in events_of(paths)[-3:-1]] == [RetrainEpochReported, RetrainEnded]


@pytest.mark.timeout(120)
def test_when_every_retraining_failed_a_resume_tries_again_and_says_why(
    space: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROKEN_AT", "retraining")
    with pytest.raises(TunerError, match=r"no retraining .* no such layer; --resume tries it again; after a"):
        driver.run_new(config(space, "study", trials=1, max_failures=0), Console(quiet=True))
    paths = RunPaths(space.parent / "runs" / "study")
    assert isinstance(events_of(paths)[-1], RetrainFailed)
    monkeypatch.delenv("BROKEN_AT")
    with (tmp_path / "said").open("w") as said:
        driver.resume(paths.root, Console(file=said))
    assert "NOTICE: retraining tuned seed 1 failed before (its worker failed 1 times" in (tmp_path / "said").read_text()
    assert paths.best_model.is_file()
    assert "failed:" not in paths.report_text.read_text()
