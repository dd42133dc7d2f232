"""Tests of a study that starts with the trials of another: refusals by the command, and the real thing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tests.metrics import metrics
from tuner import cli
from tuner.config import StudyConfig, merge, nested
from tuner.data import load_dataset
from tuner.engine import driver
from tuner.journal.events import EpochReported, Event, StudyStarted, TrialProposed
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.run import run
from tuner.search.trial import Origin

SPACE = """
import torch


def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)}


START = [{"learning_rate": 0.01}, {"learning_rate": 0.003}]


def MODEL(hparams):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.py"
    path.write_text(SPACE)
    return path


def write_run(root: Path, params: dict[str, float], hashes: dict[str, str] | None = None) -> Path:
    """Write the journal of a run with one epoch of one trial."""
    environment = {"data_hashes": hashes or load_dataset("digits", None).hashes}
    events: list[Event] = [
        StudyStarted({}, environment),
        TrialProposed(0, params, {}, params, Origin.START, 1),
        EpochReported(0, 1, metrics(1.0, 0.5, 1.0, 0.6, 0.01), 1.0, "desk:1"),
    ]
    with JournalWriter(RunPaths(root).journal) as journal:
        journal.append(*events)
    return root


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("missing", "but there is no such folder or file."),
        ("other data", "was trained on other data"),
        ("nothing in common", "but none of its 1 trials fits the space"),
        ("out of range", "but none of its 1 trials fits the space"),
    ],
)
def test_a_warm_start_that_cannot_be_is_refused_in_one_line_before_anything_begins(
    tmp_path: Path, space: Path, capsys: pytest.CaptureFixture[str], case: str, sentence: str
) -> None:
    earlier = {
        "missing": lambda: tmp_path / "nowhere",
        "other data": lambda: write_run(tmp_path / "first", {"learning_rate": 0.1}, {"train": "another"}),
        "nothing in common": lambda: write_run(tmp_path / "first", {"x": 0.1}),
        "out of range": lambda: write_run(tmp_path / "first", {"learning_rate": 0.5}),
    }[case]()
    arguments = ["--space", str(space), "--dataset", "digits", "--storage", str(tmp_path / "runs"), "--name", "second"]
    with pytest.raises(SystemExit) as caught:
        cli.main(lambda: run([*arguments, "--warm-start", str(earlier)]))
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: --warm-start is ")
    assert sentence in printed.err
    assert not (tmp_path / "runs" / "second").exists()


def study(tmp_path: Path, space: Path, name: str, **changes: object) -> RunPaths:
    counts = {
        "trials": 3,
        "max_epochs": 3,
        "in_process": True,
        "retrain_seeds": 1,
        "scheduler": "none",
        "dataset": "digits",
    }
    where = {"space": str(space), "storage": str(tmp_path / "runs"), "name": name}
    config = merge(StudyConfig(), nested({**counts, **where, **changes}), "the test")
    return driver.run_new(config, Console(quiet=True))


@pytest.mark.timeout(300)
def test_a_second_study_takes_over_what_the_first_one_trained(tmp_path: Path, space: Path) -> None:
    first = study(tmp_path, space, "first")
    second = study(tmp_path, space, "second", warm_start=str(first.root), trials=4, max_epochs=4)
    before, after = pd.read_parquet(first.trials), pd.read_parquet(second.trials)
    best = before.sort_values("best_dev_accuracy")["hp_learning_rate"].tolist()[-1]
    assert best in after["hp_learning_rate"].tolist()[:3]
    # Both start configurations, at least, were trained before: three epochs of them are not trained again.
    assert after["reused_epochs"].tolist()[:2] == [3, 3]
    assert after["epochs"].tolist()[:2] == [4, 4]
    assert after["seed"].tolist()[:1] == before["seed"].tolist()[:1]
    epochs_before, epochs_after = pd.read_parquet(first.epochs), pd.read_parquet(second.epochs)
    taken_over = epochs_after[epochs_after["reused"] & (epochs_after["trial"] == 0)]
    reference = epochs_before[epochs_before["trial"] == 0]
    assert taken_over["dev_accuracy"].tolist() == reference["dev_accuracy"].tolist()
    assert read_history(second.journal).ended
