"""Tests of tasks that are made of objects."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import own_task
from tuner import tune
from tuner.data.dataset import Dataset
from tuner.engine.notebook import task_of_objects
from tuner.errors import ConfigError


def own(**more: Any) -> dict[str, Any]:
    return {"trainable": own_task.Task, "suggest": own_task.suggest, "load_data": own_task.load_data, **more}


def test_an_objective_that_is_a_text_is_refused_beside_objects() -> None:
    with pytest.raises(ConfigError, match=r"objective of tune\(\) is 'dev_rmse', but .* Objective\('dev_rmse', \"mini"):
        tune(**own(objective="dev_rmse"))


def test_what_an_author_believes_belongs_to_the_space_and_to_what_a_run_is_known_again_by() -> None:
    without, believing = (task_of_objects(**own(prior=prior)) for prior in (None, {"step": 0.1}))
    assert (without.space.prior, believing.space.prior) == ({}, {"step": 0.1})
    assert without.sources.sha256 != believing.sources.sha256


class Loader:
    def load(self, data_dir: Path | None) -> Dataset:
        return own_task.load_data(data_dir)

    def __call__(self, data_dir: Path | None) -> Dataset:
        return own_task.load_data(data_dir)


def seeded(seed: int, data_dir: Path | None) -> Dataset:
    return own_task.load_data(data_dir)


LOADERS: dict[str, tuple[Callable[[], Any], str]] = {
    "cached": (lambda: functools.cache(own_task.load_data), "def load_data"),
    "partial": (lambda: functools.partial(seeded, 3), "def seeded"),
    "method": (lambda: Loader().load, "class Loader"),
    "object": (Loader, "class Loader"),
}


@pytest.mark.parametrize("name", LOADERS)
def test_what_is_no_plain_function_is_known_again_too_by_the_code_behind_it(name: str) -> None:
    make, code = LOADERS[name]
    first, second = (task_of_objects(**own(load_data=loader)).sources for loader in (make(), make()))
    assert first.sha256 == second.sha256  # though it lies elsewhere in memory
    text = first.files["notebook.py"].decode()
    assert code in text
    assert " at 0x" not in text


def test_what_a_function_was_given_beforehand_tells_it_from_others() -> None:
    first, second = (own(load_data=functools.partial(seeded, seed)) for seed in (3, 4))
    assert task_of_objects(**first).sources.sha256 != task_of_objects(**second).sources.sha256
