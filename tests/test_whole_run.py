"""Tests of `tuner.run`: a run from the command to its files, also if it is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from tests.commands import SMOKE, Ended, Running, Terminal, are_gone, in_a_process, training_processes
from tuner import tune
from tuner.data import load_dataset
from tuner.data.splits import Split
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    PlanMade,
    RetrainEpochReported,
    RetrainingPlanned,
    StudyStarted,
)
from tuner.journal.history import History, read_history
from tuner.journal.store import read_journal
from tuner.loaded_run import LoadedRun, load_run
from tuner.paths import RunPaths

# A whole run. One worker and one seed give one study, whoever starts it and however often it dies.

VALUES: dict[str, Any] = {
    "trials": 8,
    "max_epochs": 3,
    "startup_trials": 4,
    "workers": 1,
    "retrain_seeds": 1,
    "retrain_epochs": 4,
    "precision": "float32",
}
FLAGS = [text for name, value in VALUES.items() for text in (f"--{name.replace('_', '-')}", str(value))]
RUN = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end, and what was seen of it."""

    ended: Ended
    home: Path
    run: LoadedRun
    began: float
    """Seconds since the epoch when it was started."""

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.run.path)

    @property
    def history(self) -> History:
        return read_history(self.paths.journal)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory, space_file: Path) -> Finished:
    """The smoke preset on a narrow network, as a user starts it, in a home of its own."""
    folder = tmp_path_factory.mktemp("smoke")
    home = folder / "home"
    home.mkdir()
    arguments = [*SMOKE, "--space", str(space_file), *FLAGS, "--name", "study"]
    began = time.time()
    ended = in_a_process(folder, *arguments, HOME=str(home))
    assert ended.code == 0, ended.err
    return Finished(ended, home, load_run(folder / "runs" / "study"), began)


@RUN
def test_a_run_leaves_every_file_of_the_design_and_no_other(smoke: Finished) -> None:
    left = {str(path.relative_to(smoke.run.path)) for path in smoke.run.path.rglob("*") if path.is_file()}
    assert left == {
        "config.json",
        "environment.json",
        "journal/00000001.jsonl",
        "journal/holder",
        "journal/lock",
        "space/narrow.py",
        "trials.parquet",
        "epochs.parquet",
        "final.parquet",
        "retrain_epochs.parquet",
        "best/model.safetensors",
        "best/hparams.json",
        "best/README.md",
        "best/dev_predictions.npz",
        "data_sample.npz",
        "report.html",
        "report.txt",
        "run.log",
    }
    assert not smoke.paths.checkpoints.exists()
    assert [path.name for path in smoke.run.path.parent.iterdir()] == ["study"]


@RUN
def test_a_run_prints_little_and_nothing_of_rays(smoke: Finished) -> None:
    assert smoke.ended.err == ""
    assert len(smoke.ended.out) < 8_000
    assert len(smoke.ended.out.splitlines()) < 150
    for chatter in ("(pid=", "WARNING", "INFO", "ray::", "Traceback"):
        assert chatter not in smoke.ended.out
    assert smoke.paths.log.stat().st_size < 100_000


@RUN
def test_a_run_prints_the_plan_the_events_the_answer_and_what_to_do_next(smoke: Finished) -> None:
    first, *lines = smoke.ended.out.splitlines()
    assert first == "measuring how fast it trains"
    assert lines[0] == "data       digits: 1,074 train, 359 dev, 364 test"
    assert lines[1].startswith("workers    1, as --workers says; this machine has ")
    assert lines[2].startswith("epoch      ")
    assert lines[3] == "rungs      1 3 epochs; one trial in 3 goes on from each"
    assert lines[4] == "trials     8"
    assert any("] the search ended: all trials have ended" in line for line in lines)
    assert any(line.startswith("After tuning, the test accuracy is 0.") for line in lines)
    assert lines[-3] == "Report    runs/study/report.html"
    assert lines[-2].startswith("Next      tuner predict runs/study IMAGE...  # ")
    assert lines[-1].startswith("          tuner report runs/study            # ")


@RUN
def test_a_run_writes_nothing_of_rays_into_the_users_home(smoke: Finished) -> None:
    assert not (smoke.home / ".ray").exists()
    assert not (smoke.home / "ray_results").exists()


@RUN
def test_the_configuration_and_the_environment_are_those_of_the_journal(smoke: Finished) -> None:
    assert json.loads(smoke.paths.config.read_text()) == smoke.history.config
    assert json.loads(smoke.paths.environment.read_text()) == smoke.history.environment
    assert smoke.run.config["search"]["trials"] == 8
    assert smoke.history.environment["dataset"] == "digits"
    assert smoke.history.ended


@RUN
def test_the_clock_counts_from_the_command_and_not_from_when_all_was_loaded(smoke: Finished) -> None:
    first = read_journal(smoke.paths.journal)[0]
    assert first.elapsed > 0.6 * (first.time - smoke.began)


@RUN
def test_every_epoch_of_every_trial_is_there_once(smoke: Finished) -> None:
    epochs, trials = smoke.run.epochs, smoke.run.trials
    assert not epochs.duplicated(["trial", "epoch"]).any()
    assert trials["trial"].tolist() == list(range(8))
    for trial in trials.to_dict("records"):
        own = epochs[epochs["trial"] == trial["trial"]]
        assert own["epoch"].tolist() == list(range(1, trial["epochs"] + 1))
        best = own.sort_values(["dev_accuracy", "dev_loss", "epoch"], ascending=[False, True, True]).iloc[0]
        assert (best["dev_accuracy"], best["epoch"]) == (trial["best_dev_accuracy"], trial["best_epoch"])
        assert own["seconds"].sum() == pytest.approx(trial["seconds"])
    assert set(trials["state"]) == {"COMPLETE", "PRUNED"}
    assert trials["origin"].tolist()[0] == "start"
    assert "model" in trials["origin"].tolist()
    assert trials["reason"].notna().all()


@RUN
def test_one_process_trains_one_trial_after_another(smoke: Finished) -> None:
    assert smoke.run.epochs["worker"].nunique() == 1
    assert smoke.run.trials["retries"].sum() == 0


@RUN
def test_the_final_table_has_every_split_of_every_candidate_once(smoke: Finished) -> None:
    final = smoke.run.final
    assert not final.duplicated(["candidate", "seed", "split"]).any()
    assert set(zip(final["candidate"], final["split"], strict=True)) == {
        (candidate, split) for candidate in ("tuned", "baseline") for split in ("train", "dev", "test")
    }
    sizes = {"train": 1074, "dev": 359, "test": 364}
    assert final["n"].tolist() == [sizes[split] for split in final["split"]]
    dev = final[final["split"] == "dev"].set_index("candidate")["accuracy"]
    best = smoke.run.retrain_epochs.groupby("candidate")["dev_accuracy"].max()
    assert dev.to_dict() == pytest.approx(best.to_dict())


def accuracy(model: nn.Module, split: Split, mean: float, std: float) -> float:
    images = (torch.from_numpy(split.images.copy()).unsqueeze(1) / 255 - mean) / std
    with torch.inference_mode():
        return float((model(images).argmax(1) == torch.from_numpy(split.labels)).float().mean())


@RUN
def test_the_model_in_best_scores_what_the_tables_say(smoke: Finished) -> None:
    dataset, final = load_dataset("digits", None), smoke.run.final
    tuned = final[final["candidate"] == "tuned"].set_index("split")["accuracy"]
    model = smoke.run.model()
    for split in ("train", "dev", "test"):
        found = accuracy(model, getattr(dataset, split), *dataset.train.moments)
        assert found == pytest.approx(tuned[split], abs=1e-6)
    assert tuned["dev"] > 0.3  # it has learnt something: chance is 0.1


@RUN
def test_the_hyperparameters_in_best_are_the_winners(smoke: Finished) -> None:
    winner = smoke.history.winner
    assert winner is not None
    assert smoke.run.hparams == winner.hparams
    best = smoke.run.trials.sort_values("best_dev_accuracy", ascending=False).iloc[0]
    assert winner.value == best["best_dev_accuracy"]


def decisions(paths: RunPaths) -> list[Event]:
    """What happened in a run, without what differs from one time to the next: who, where and how long."""
    events: list[Event] = []
    for entry in read_journal(paths.journal):
        event = entry.event
        if isinstance(event, StudyStarted | DriverStarted | PlanMade):
            continue
        if isinstance(event, EpochReported):
            event = replace(event, seconds=0.0, worker="")
        elif isinstance(event, RetrainEpochReported):
            event = replace(event, seconds=0.0)
        elif isinstance(event, RetrainingPlanned):
            event = replace(event, seconds_per_epoch={})
        events.append(event)
    return events


@RUN
def test_python_does_the_same_as_the_command_with_ray_or_without(
    smoke: Finished, space_file: Path, tmp_path: Path
) -> None:
    found = tune("smoke", space=str(space_file), **VALUES, in_process=True, storage=str(tmp_path), name="python")
    assert decisions(RunPaths(found.path)) == decisions(smoke.paths)
    pd.testing.assert_frame_equal(found.final, smoke.run.final)
    names = {str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(smoke.run.path)) for path in smoke.run.path.rglob("*") if path.is_file()}


# A run that dies.


@dataclass(frozen=True)
class Survivor:
    """A run whose first driver was hung up on and then terminated, whose second was killed, and whose third lost its
    terminal and came to the end."""

    paths: RunPaths
    terminated: Ended
    killed: Ended
    trainers_are_gone: bool
    resumed: Ended
    log_of_the_last: str


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory, space_file: Path) -> Survivor:
    folder = tmp_path_factory.mktemp("survivor")
    paths = RunPaths(folder / "runs" / "study")
    with Running(folder, *SMOKE, "--space", str(space_file), *FLAGS, "--name", "study") as first:
        first.wait_for(EpochReported, 1)
        os.killpg(first.process.pid, signal.SIGHUP)  # a shell whose terminal is closed tells Ray's processes, too
        first.wait_for(EpochReported, 3)
        first.process.terminate()
        terminated = first.end()
    had = sum(isinstance(entry.event, EpochReported) for entry in read_journal(paths.journal))
    with Running(folder, "--resume", "runs/study") as second:
        second.wait_for(EpochReported, had + 2)
        trainers = training_processes(second.process.pid)
        second.process.kill()
        killed = second.end()
    gone = bool(trainers) and are_gone(trainers, within=30.0)
    before = len(paths.log.read_text())
    terminal = Terminal()
    with Running(folder, "--resume", "runs/study", terminal=terminal) as third:
        terminal.read_until(b"rungs ")
        terminal.close()
        resumed = third.end()
    return Survivor(paths, terminated, killed, gone, resumed, paths.log.read_text()[before:])


@RUN
def test_a_study_outlives_the_terminal_it_was_started_in_and_its_log_has_what_was_said(survivor: Survivor) -> None:
    assert survivor.resumed.code == 0, survivor.resumed.err
    for line in ("data       digits", "trials     8", "the search ended", "ended with the weights of epoch"):
        assert line in survivor.log_of_the_last


@RUN
def test_a_terminated_run_says_that_it_can_be_resumed(survivor: Survivor) -> None:
    assert survivor.terminated.code == 130
    assert survivor.terminated.err.strip() == ("Stopped. Nothing is lost: go on with --resume and the run's folder.")


@RUN
def test_a_killed_driver_leaves_nobody_training(survivor: Survivor) -> None:
    assert survivor.killed.code == -signal.SIGKILL
    assert survivor.trainers_are_gone


@RUN
def test_a_run_that_died_twice_is_the_run_that_never_died(survivor: Survivor, smoke: Finished) -> None:
    assert survivor.resumed.code == 0, survivor.resumed.err
    assert survivor.resumed.err == ""
    assert decisions(survivor.paths) == decisions(smoke.paths)
    assert len(read_history(survivor.paths.journal).drivers) == 3
    assert not survivor.paths.checkpoints.exists()


@RUN
def test_the_books_of_a_run_that_died_are_balanced(survivor: Survivor, smoke: Finished) -> None:
    found = load_run(survivor.paths.root)
    assert not found.epochs.duplicated(["trial", "epoch"]).any()
    assert found.trials["epochs"].sum() == len(found.epochs)
    own = ["trial", "state", "origin", "seed", "epochs", "best_dev_accuracy", "best_epoch", "reason"]
    pd.testing.assert_frame_equal(found.trials[own], smoke.run.trials[own])
    pd.testing.assert_frame_equal(found.final, smoke.run.final)
