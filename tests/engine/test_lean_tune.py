"""Tests of `tuner.engine.lean_tune`, each in a process of its own, for a module is imported once."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_process_that_trains_imports_neither_pandas_nor_rays_data_sets() -> None:
    code = """
import sys, tuner.engine.lean_tune, tuner.engine.trainable, tuner.training.classifier
print({"pandas", "ray.data"} & {*sys.modules})
"""
    assert run(code) == "set()"


@pytest.mark.parametrize("first", ["import pandas, ray.data;", ""], ids=["imported before", "imported after"])
def test_who_asks_for_them_gets_the_real_ones(first: str) -> None:
    code = f"""
{first}
import tuner.engine.lean_tune, tuner.engine.trainable
import ray, ray.tune.result_grid, pandas, ray.data
print(ray.tune.result_grid.pd.DataFrame is pandas.DataFrame, len(pandas.DataFrame([1, 2])), ray.data.Dataset.__module__)
"""
    assert run(code) == "True 2 ray.data.dataset"


def test_what_ray_tune_keeps_of_them_becomes_real_when_it_is_used() -> None:
    code = """
import sys, tuner.engine.lean_tune, tuner.engine.trainable
import ray.tune.result_grid as grid
from ray.tune.analysis.experiment_analysis import DataFrame
print("pandas" in sys.modules, grid.pd.DataFrame({"a": [1]}).a.sum(), DataFrame([1, 2]).shape, "pandas" in sys.modules)
"""
    assert run(code) == "False 1 (2, 1) True"
