"""A name that is nearly one that a task file may define is refused or told, and ordinary helpers are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuner.engine.task import Task, load_task
from tuner.errors import SpaceError

WHOLE = """
import numpy as np
from tuner import Dataset, Objective

OBJECTIVE = Objective("dev_loss", "minimize")
START = [{"a": 0.5}]


def suggest(trial):
    return {"a": trial.suggest_float("a", 0.1, 1.0)}


def load_data(data_dir):
    x = np.arange(20.0)
    return Dataset(train=(x, x), dev=(x, x), test=(x, x))


def train(hparams, data, *, seed, device, max_epochs):
    yield {"dev_loss": hparams["a"]}


TRAINABLE = train
"""


def loaded(folder: Path, source: str) -> Task:
    path = folder / "own.py"
    path.write_text(source)
    task = load_task(str(path))
    task.check_names()
    return task


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("load_data", "loaddata"),
        ("load_data", "Load_Data"),
        ("load_data", "laod_data"),
        ("load_data", "load_dataset"),
        ("OBJECTIVE", "OBJECTVE"),
        ("OBJECTIVE", "objective"),
        ("START", "start"),
        ("suggest", "sugest"),
        ("TRAINABLE", "Trainable"),
        ("TRAINABLE", "TRAINABEL"),
    ],
)
def test_a_clear_near_miss_of_a_name_that_is_lacking_is_refused(tmp_path: Path, known: str, name: str) -> None:
    source = re.sub(rf"\b{known}\b", name, WHOLE)
    with pytest.raises(SpaceError, match=rf"defines '{name}' and no '{known}', .*; did you mean '{known}'\?"):
        loaded(tmp_path, source)


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ('prior = {"a": 0.5}', "PRIOR"),
        ('EPOCHHPARAMS = ["a"]', "EPOCH_HPARAMS"),
        ('if True:\n    retrain = {"a": 1.0}', "RETRAIN"),
        ("from tuner import Callback\nCALLBACK = [Callback()]", "CALLBACKS"),
    ],
)
def test_so_is_one_of_what_may_be_left_out(tmp_path: Path, more: str, known: str) -> None:
    with pytest.raises(SpaceError, match=rf"did you mean '{known}'\?"):
        loaded(tmp_path, WHOLE + more)


def test_a_run_that_was_begun_goes_on_with_the_names_it_has(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(WHOLE + 'prior = {"a": 0.5}')
    assert "did you mean 'PRIOR'" in load_task(str(path)).misspelt.surely[0]


def test_a_helper_that_is_only_like_a_loader_is_told(tmp_path: Path) -> None:
    source = WHOLE.replace("load_data", "load_datas") + "ALL = load_datas(None)\n"
    assert "defines 'load_datas' and no 'load_data'" in loaded(tmp_path, source).misspelt.perhaps[0]


@pytest.mark.parametrize(
    "more",
    [
        "def load(): ...",
        "def evaluate(): ...",
        "class Model: ...",
        "def model(): ...",
        "def objective(trial): ...",
        'data = "my digits"',
        "prior_width = 3",
        'XRETRAIN = {"a": 1}',
        "PRIORS = {'a': 0.5}",
        "start_epoch = 3",
        "retrained = {}",
        '_prior = {"a": 0.5}',
        'PRETRAIN = {"a": 1}\nprint(PRETRAIN)',
        "def retrain(): ...",
        'state = [{"a": 1}]',
        'prior = {"mean": 0.0}\nWIDTH = prior["mean"]',
        "from tuner.integrations.callback import Callback as Calback",
    ],
)
def test_ordinary_helpers_are_no_near_misses(tmp_path: Path, more: str) -> None:
    assert loaded(tmp_path, WHOLE + more).misspelt.perhaps == ()


def test_a_constant_may_be_set_aside_under_another_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, WHOLE.replace("START", "XSTART")).misspelt.perhaps == ()


@pytest.mark.parametrize("more", ["def loaddata(data_dir): ...", 'data = "digits"'])
def test_what_is_defined_is_not_looked_for(tmp_path: Path, more: str) -> None:
    assert loaded(tmp_path, WHOLE + more).misspelt.perhaps == ()


def test_a_training_may_load_its_own_data_by_a_name_of_the_same_letters(tmp_path: Path) -> None:
    source = WHOLE.replace("load_data(data_dir)", "loaddata()") + "DATASET = loaddata()\n"
    assert "defines 'loaddata'" in loaded(tmp_path, source).misspelt.perhaps[0]
