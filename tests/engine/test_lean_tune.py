"""Tests of `tuner.engine.lean_tune`, each in a process of its own, for a module is imported once.

That process trains, so that it is also the one to show that an optimizer steps without torch's compiler.
"""

from __future__ import annotations

import subprocess
import sys

TRAINING = """
import sys, tuner.engine.lean_tune, tuner.engine.trainable
import torch
from tuner.data import load_dataset
from tuner.models import get_model
from tuner.training.classifier import Classifier

data, hparams = load_dataset("digits", None).search_data(), {"optimizer": "adamw", "width": 16}
training = Classifier(get_model("small-cnn").build, hparams, data, seed=0, device=torch.device("cpu"), max_epochs=1,
                      precision=torch.float32)
training.load_state_dict(training.state_dict())
print(training.train_epoch()["dev_accuracy"] > 0, {"pandas", "ray.data", "torch._dynamo"} & {*sys.modules})
"""
WHAT_RAY_TUNE_KEEPS = """
import ray.tune.result_grid as grid
from ray.tune.analysis.experiment_analysis import DataFrame
print("pandas" in sys.modules, grid.pd.DataFrame({"a": [1]}).a.sum(), DataFrame([1, 2]).shape, "pandas" in sys.modules)
"""
IMPORTED = """
import ray, ray.tune.result_grid, pandas, ray.data
print(ray.tune.result_grid.pd.DataFrame is pandas.DataFrame, len(pandas.DataFrame([1, 2])), ray.data.Dataset.__module__)
"""


def run(code: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_what_a_process_that_trains_does_not_need_is_imported_when_it_is_used() -> None:
    trained, kept, imported = run(TRAINING + WHAT_RAY_TUNE_KEEPS + IMPORTED)
    assert trained == "True set()"
    assert kept == "False 1 (2, 1) True"
    assert imported == "True 2 ray.data.dataset"


def test_what_was_imported_before_stays_the_real_one() -> None:
    before = "import pandas, ray.data\nimport tuner.engine.lean_tune, tuner.engine.trainable\n"
    assert run(before + IMPORTED) == ["True 2 ray.data.dataset"]
