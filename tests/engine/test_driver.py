"""Tests of `tuner.engine.driver` and `tuner.tune`: whole studies, under Ray only where processes die."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from torch import nn

from tuner import Dataset, tune
from tuner.config import StudyConfig, merge, nested, to_dict
from tuner.engine import driver
from tuner.engine.model_formats import inputs_like
from tuner.errors import ConfigError, JournalError, ResourceError, TunerError
from tuner.io.files import write_json
from tuner.journal.events import (
    EpochReported,
    SearchEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    TrialRetried,
)
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter, read_journal
from tuner.loaded_run import LoadedRun, load_run
from tuner.paths import RunPaths
from tuner.presets import preset
from tuner.results.best import read_description
from tuner.search.trial import TrialState

FATES = '''
"""A model of the user's own, each of whose trials meets another fate."""

import os
import signal
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent
START = [{"fate": fate} for fate in ("lives", "diverges", "dies once", "dies always", "cannot be built", "lives on")]


def suggest(trial):
    return {"fate": trial.suggest_categorical("fate", [start["fate"] for start in START]), "learning_rate": 0.003}


class Mortal(nn.Module):
    def __init__(self, fate, folder):
        super().__init__()
        self.fate, self.folder = fate, folder
        self.turns = 0  # from evaluating back to training
        self.layer = nn.Linear(784, 10)

    def train(self, mode=True):
        self.turns += mode and not self.training
        return super().train(mode)

    def forward(self, images):
        (self.folder / f"threads-{torch.get_num_threads()}").touch()
        if self.fate == "diverges":
            return self.layer(images.flatten(1)) * float("nan")
        death = self.folder / self.fate
        if self.turns == 1 and (self.fate == "dies always" or (self.fate == "dies once" and not death.exists())):
            death.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.layer(images.flatten(1))


def build(hparams):
    if hparams["fate"] == "cannot be built":
        raise ValueError("there is no such\\nlayer")
    return Mortal(hparams["fate"], Path(hparams.get("folder", FOLDER)))


MODEL = build
'''

SMALL: dict[str, Any] = {
    "workers": 1,
    "retrain_seeds": 1,
    "retrain_epochs": 2,
    "baseline": False,
    "precision": "float32",
}
HERE = {**SMALL, "in_process": True}
REAL = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Study:
    folder: Path
    run: LoadedRun

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.run.path)

    def ends(self) -> dict[int, TrialEnded]:
        events = [entry.event for entry in read_journal(self.paths.journal)]
        return {event.trial: event for event in events if isinstance(event, TrialEnded)}


@pytest.fixture(scope="module")
def fates(two_cpus: None, ray_running: None, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of six trials with two CPUs each, of which two live; their workers may die once more."""
    folder = tmp_path_factory.mktemp("fates")
    (folder / "fates.py").write_text(FATES)
    found = tune(
        "smoke",
        space=str(folder / "fates.py"),
        trials=6,
        max_epochs=3,
        scheduler="none",
        cpus_per_trial=2,
        max_failures=1,
        storage=str(folder / "runs"),
        name="study",
        **SMALL,
    )
    return Study(folder, found)


@REAL
def test_a_study_whose_trials_meet_every_fate_comes_to_its_end_with_every_state_told(fates: Study) -> None:
    states = dict(zip(fates.run.trials["trial"], fates.run.trials["state"], strict=True))
    assert states == {
        0: "COMPLETE",
        1: "FAILED",
        2: "COMPLETE",
        3: "FAILED",
        4: "FAILED",
        5: "COMPLETE",
    }
    assert read_history(fates.paths.journal).ended


@REAL
def test_a_trial_that_diverges_has_failed_with_a_reason_and_is_not_tried_again(fates: Study) -> None:
    end = fates.ends()[1]
    assert end.state is TrialState.FAILED
    assert end.reason == "the train loss is nan in epoch 1."
    assert fates.run.trials["retries"].tolist()[1] == 0


@REAL
def test_a_trial_whose_worker_dies_goes_on_from_its_checkpoint(fates: Study) -> None:
    events = [entry.event for entry in read_journal(fates.paths.journal)]
    own = [event for event in events if isinstance(event, EpochReported | TrialRetried) and event.trial == 2]
    assert [type(event) for event in own] == [EpochReported, TrialRetried, EpochReported, EpochReported]
    assert [event.epoch for event in own if isinstance(event, EpochReported)] == [1, 2, 3]
    assert len({event.worker for event in own if isinstance(event, EpochReported)}) == 2


@REAL
def test_a_trial_whose_workers_always_die_has_failed_after_the_retries_allowed(fates: Study) -> None:
    assert fates.run.trials["retries"].tolist()[3] == 1
    assert fates.ends()[3].reason.startswith("its worker failed 2 times: ")


@REAL
def test_a_model_that_cannot_be_built_has_failed_with_the_workers_traceback(fates: Study) -> None:
    end = fates.ends()[4]
    assert end.error is not None
    assert "ValueError: there is no such" in end.error
    assert "in build" in end.error


@REAL
def test_a_trial_trains_with_as_many_threads_as_it_has_cpus(fates: Study) -> None:
    assert [path.name for path in fates.folder.glob("threads-*")] == ["threads-2"]


@REAL
def test_a_process_is_used_again_after_a_trial_that_failed_by_its_own_fault(fates: Study) -> None:
    workers = fates.run.epochs.groupby("trial")["worker"].first()
    assert workers[0] == fates.run.epochs[fates.run.epochs["trial"] == 2]["worker"].iloc[0]


@REAL
def test_the_users_own_model_is_retrained_and_can_be_loaded(fates: Study) -> None:
    assert set(fates.run.final["candidate"]) == {"tuned"}
    assert type(fates.run.model()).__name__ == "Mortal"
    assert fates.run.hparams["fate"] in ("lives", "dies once", "lives on")


@REAL
def test_no_checkpoint_is_left(fates: Study) -> None:
    assert not fates.paths.checkpoints.exists()


@REAL
def test_a_study_without_hope_says_why_in_a_line_and_keeps_its_journal(tmp_path: Path) -> None:
    values = {**HERE, "trials": 9, "max_epochs": 1, "storage": str(tmp_path), "name": "study"}
    (tmp_path / "space.py").write_text(FATES.replace('"learning_rate": 0.003', '"learning_rate": 1e38'))
    with pytest.raises(TunerError) as caught:
        tune("smoke", space=str(tmp_path / "space.py"), **values)
    assert str(caught.value) == (
        "no trial finished an epoch; 3 failed, the last because the train loss is nan in epoch 1."
    )
    history = read_history(tmp_path / "study" / "journal")
    assert history.search_ended == SearchEnded(
        "the first 3 trials failed, the last one because the train loss is nan in epoch 1."
    )
    assert len(history.trials) == 3


def test_what_is_written_down_of_colour_images_is_what_they_were_normalised_by(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = (rng.random((60, 3, 6, 6)) * np.array([60, 120, 250]).reshape(3, 1, 1)).astype(np.uint8)
    labels = rng.integers(0, 2, 60)
    run = tune(
        "smoke",
        suggest=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2)},
        model=lambda hparams: nn.Sequential(nn.Flatten(), nn.Linear(108, 2)),
        load_data=lambda folder: Dataset((images[:40], labels[:40]), (images[40:], labels[40:])),
        trials=1,
        max_epochs=1,
        storage=str(tmp_path),
        name="study",
        **HERE,
    )
    found = read_description(RunPaths(run.path))
    assert found.mean == pytest.approx((images[:40] / 255).mean((0, 2, 3)).tolist())
    assert found.std == pytest.approx((images[:40] / 255).std((0, 2, 3)).tolist())
    assert inputs_like(found, 4, seed=0)[1].shape == (4, 3, 6, 6)


# Before and after.


def start(config: StudyConfig) -> RunPaths:
    return driver.run_new(config, Console(quiet=True))


def small(tmp_path: Path, **changes: Any) -> StudyConfig:
    values = {"trials": 2, "max_epochs": 1, "storage": str(tmp_path / "runs"), "name": "study", **HERE, **changes}
    return merge(preset("smoke"), nested(values), "test")


def test_python_refuses_an_argument_nobody_knows_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'trails', but must be one of: .*trials"):
        tune(trails=3)
    with pytest.raises(ConfigError, match="--preset is 'fast'"):
        tune("fast")


def test_a_study_that_is_interrupted_before_it_begins_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ray.is_initialized", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start(small(tmp_path, in_process=False))
    assert list((tmp_path / "runs").iterdir()) == []


def test_why_a_study_never_began_is_told_though_its_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        shutil.rmtree(tmp_path / "runs" / "study")
        raise ResourceError("there is no room.")

    monkeypatch.setattr(driver, "InProcessExecutor", fail)
    with pytest.raises(ResourceError, match="there is no room"):
        start(small(tmp_path))


def test_a_driver_that_is_kept_out_of_a_run_is_told_before_any_work_and_leaves_its_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "gather", lambda *arguments: pytest.fail("the data are loaded"))
    study = small(tmp_path)
    paths = RunPaths(tmp_path / "runs" / "study")
    write_json(paths.config, to_dict(study))
    with JournalWriter(paths.journal):
        with pytest.raises(JournalError, match="is being written"):
            driver.resume(paths.root, Console(quiet=True))
        assert sorted(path.name for path in paths.root.iterdir()) == ["config.json", "journal"]


@pytest.mark.parametrize("has_journal", [False, True])
def test_nobody_else_goes_on_with_a_run_while_a_driver_makes_ready_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_journal: bool
) -> None:
    config = to_dict(small(tmp_path))
    paths = RunPaths(tmp_path / "runs" / "study")
    write_json(paths.config, config)
    if has_journal:
        with JournalWriter(paths.journal) as journal:
            journal.append(StudyStarted(config, {}))

    def gather(*arguments: Any) -> None:
        with pytest.raises(JournalError, match="is being written"):
            JournalWriter(paths.journal)
        raise ResourceError("that is far enough.")

    monkeypatch.setattr(driver, "gather", gather)
    with pytest.raises(ResourceError, match="far enough"):
        driver.resume(paths.root, Console(quiet=True))
    JournalWriter(paths.journal).close()


def test_a_new_run_that_another_driver_has_at_once_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_run(config: StudyConfig) -> RunPaths:
        paths = RunPaths(tmp_path / "runs" / "study")
        others.append(JournalWriter(paths.journal))
        return paths

    others: list[JournalWriter] = []
    monkeypatch.setattr(driver, "create_run", create_run)
    with pytest.raises(JournalError, match="is being written"):
        start(small(tmp_path))
    assert (tmp_path / "runs" / "study" / "journal" / "lock").exists()
    others[0].close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, space_file: Path) -> RunPaths:
    """A small study at its end."""
    return start(small(tmp_path_factory.mktemp("finished"), space=str(space_file), retrain_seeds=2, seed=3))


@pytest.mark.timeout(240)
def test_a_finished_run_is_only_reported_on_again_when_it_is_resumed(finished: RunPaths) -> None:
    before = read_journal(finished.journal)
    tables = [finished.trials, finished.epochs, finished.final, finished.retrain_epochs]
    contents = [pd.read_parquet(path) for path in tables]
    for path in (*tables, finished.report_html, finished.report_text):
        path.unlink()
    assert driver.resume(finished.root, Console(quiet=True)) == finished
    assert read_journal(finished.journal) == before
    for path, content in zip(tables, contents, strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(path), content)
    assert finished.report_html.exists()


@pytest.mark.timeout(240)
def test_the_retrainings_seeds_follow_the_studys_and_are_not_the_trials(finished: RunPaths) -> None:
    assert sorted(load_run(finished.root).final["seed"].dropna().unique()) == [3001, 3002]
    assert not set(load_run(finished.root).trials["seed"]) & {3001, 3002}


@pytest.mark.timeout(240)
def test_a_run_that_died_between_search_and_selection_goes_on_there(finished: RunPaths, tmp_path: Path) -> None:
    entries = read_journal(finished.journal)
    kept = []
    for entry in entries:
        kept.append(entry.event)
        if isinstance(entry.event, SearchEnded):
            break
    paths = RunPaths(tmp_path / "study")
    shutil.copytree(finished.root, paths.root, ignore=shutil.ignore_patterns("journal", "best", "*.parquet"))
    with JournalWriter(paths.journal) as journal:
        journal.append(*kept)
    driver.resume(paths.root, Console(quiet=True))
    events = [entry.event for entry in read_journal(paths.journal)]
    assert events[: len(kept)] == kept
    assert not any(isinstance(event, TrialProposed | EpochReported) for event in events[len(kept) :])
    pd.testing.assert_frame_equal(load_run(paths.root).final, load_run(finished.root).final)
    assert paths.best_model.read_bytes() == finished.best_model.read_bytes()


def test_the_configuration_is_saved_resolved(finished: RunPaths) -> None:
    saved = load_run(finished.root).config
    assert saved["search"]["startup_trials"] == preset("smoke").search.startup_trials
    assert saved["retrain"]["retrain_seeds"] == 2
    assert set(saved) == set(to_dict(preset("smoke")))
