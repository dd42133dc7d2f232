"""Every file that `tuner.new` writes runs to its tables as it is, with retraining and a test score.

Under Ray, but for those that are functions and need nothing of it: scikit-learn's, the kind `function`, and Optuna's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner import tune
from tuner.new import new
from tuner.replay import replay

pytestmark = pytest.mark.usefixtures("ray_running")

FEW: dict[str, Any] = {"preset": "smoke", "trials": 4, "max_epochs": 3, "retrain_epochs": 3, "retrain_seeds": 1}


@pytest.mark.timeout(180)  # Lightning and Transformers take long to import
@pytest.mark.parametrize(
    ("kind", "metric", "best"),
    [
        ("torch", "f1", max),
        ("function", "loss", min),
        ("sklearn", "rmse", min),
        ("lightning", "accuracy", max),
        ("transformers", "accuracy", max),
    ],
)
def test_a_file_to_start_from_is_tuned_as_it_is(tmp_path: Path, kind: str, metric: str, best: Any) -> None:
    path = new(str(tmp_path / "mine"), kind)
    where: dict[str, Any] = {"in_process": True} if kind in ("sklearn", "function") else {"workers": 1}
    run = tune(**FEW, **where, space=str(path), storage=str(tmp_path / "runs"), name="run")
    assert len(run.trials) == 4
    final = run.final.set_index(["candidate", "seed", "split"])[metric]
    assert {split for _, _, split in final.index} == {"train", "dev", "test"}
    assert {candidate for candidate, _, _ in final.index} == {"tuned", "baseline"}
    won = run.trials[f"best_dev_{metric}"]
    assert replay(run.path)["WinnerSelected"] == 1
    assert run.epochs[f"dev_{metric}"].notna().all()
    assert best(won) == best(run.epochs[f"dev_{metric}"])


@pytest.mark.timeout(120)
def test_the_optuna_objective_to_start_from_is_tuned_as_it_is(tmp_path: Path) -> None:
    path = new(str(tmp_path / "mine"), "optuna")
    where: dict[str, Any] = {"storage": str(tmp_path / "runs"), "name": "run", "in_process": True}
    run = tune(**FEW, **where, objective=f"{path}:objective", direction="minimize")
    assert run.final["split"].unique().tolist() == ["dev"]
    assert (run.trials["best_dev_value"] > 0).all()
    assert run.trials["hp_n_layers"].between(1, 3).all()
