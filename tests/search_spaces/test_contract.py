"""The contract of every file in `search_spaces`: a new one is tested before its author writes a test."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from tuner.data import load_dataset
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.task import Task, load_task
from tuner.search.quiet import quiet_study
from tuner.search.space import SearchSpace, available_spaces
from tuner.training.hparams import TrainingHparams
from tuner.training.session import Session

SAMPLES = 20
TRAINED = 3
"""Samples that are really trained, on a few images."""


@pytest.fixture(params=available_spaces())
def task(request: pytest.FixtureRequest) -> Task:
    return load_task(request.param)


@pytest.fixture
def space(task: Task) -> SearchSpace:
    return task.space


def samples(space: SearchSpace, n: int) -> Iterator[dict[str, Any]]:
    study = quiet_study(optuna.samplers.RandomSampler(seed=1))
    for _ in range(n):
        yield space.hparams_of(study.ask())


def test_the_file_says_what_it_is_for(task: Task) -> None:
    assert inspect.getdoc(inspect.getmodule(task.space.suggest))
    assert inspect.getdoc(task.space.suggest)


def test_every_start_configuration_gives_each_parameter_once_and_within_its_range(space: SearchSpace) -> None:
    for start in space.start:
        trial = optuna.trial.FixedTrial(dict(start))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna only warns of a value out of range
            space.hparams_of(trial)
        assert trial.params == start, "START has a parameter that suggest() does not ask for"


def test_no_start_configuration_is_listed_twice(space: SearchSpace) -> None:
    starts = [json.dumps(dict(start), sort_keys=True) for start in space.start]
    assert len(set(starts)) == len(starts)


def test_every_sample_is_known_to_model_and_training_lawful_and_plain(task: Task) -> None:
    space, model = task.space, task.model
    assert model is not None
    known = {*(model.defaults or {}), *TrainingHparams.names()}
    for hparams in samples(space, SAMPLES):
        assert model.defaults is None or set(hparams) <= known
        TrainingHparams.of(hparams)
        assert json.loads(json.dumps(hparams)) == hparams
        model.build(hparams)


def test_samples_differ(space: SearchSpace) -> None:
    assert len({json.dumps(hparams, sort_keys=True) for hparams in samples(space, SAMPLES)}) > SAMPLES / 2


def test_start_configurations_and_samples_can_be_trained(task: Task) -> None:
    space = task.space
    dataset = load_dataset("digits", None)
    few = Split(dataset.train.images[:64], dataset.train.labels[:64])
    splits = SearchData(few, few)
    starts = [space.hparams_of_start(index) for index in range(len(space.start))]
    for hparams in [*starts, *samples(space, TRAINED)]:
        training = Session(
            task.trainable,
            hparams,
            splits,
            objectives=(task.objective,),
            seed=0,
            max_epochs=1,
            patience=None,
            device=torch.device("cpu"),
            precision=torch.float32,
            keep_best=False,
        )
        report = training.run_epoch()
        assert np.isfinite([report.metrics["train_loss"], report.metrics["dev_loss"]]).all()
