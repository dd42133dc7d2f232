"""tuner: give it a search space and a budget; get back the best configuration, retrained, with every number behind it.

from tuner import tune, load_run

run = tune(preset="quick", space="cnn", budget="30m")
run.final
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.loaded_run import LoadedRun

__all__ = ["load_run", "tune"]


def tune(preset: str = "default", **values: Any) -> LoadedRun:
    """Do the whole job, as `python -m tuner.run` does, and return the finished run.

    `values` are the command's flags by name (`budget="30m"`, `trials=64`, `data_dir=...`). A number of trials or epochs
    without a budget replaces the preset's budget.

    Raises:
        TunerError: for anything the caller can put right.
    """
    from tuner import config, presets
    from tuner.home import ensure_home
    from tuner.screen import lasting_console

    ensure_home()
    from tuner.engine import driver

    study = config.merge(presets.preset(preset), values, "tune()")
    study = config.without_replaced_budget(study, config.given_names(values))
    return load_run(driver.run_new(study, lasting_console()).root)


def load_run(run: str | Path) -> LoadedRun:
    """Return a run's tables as pandas frames, the winner's hyperparameters and the retrained model.

    `run` is the run's folder or its `s3://` address.
    """
    from tuner import loaded_run

    return loaded_run.load_run(run)
