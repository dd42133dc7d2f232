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

    `values` are the command's flags by name (`budget="30m"`, `trials=64`, `data_dir=...`).

    Raises:
        TunerError: for anything the caller can put right.
    """
    from tuner import config, presets
    from tuner.home import ensure_home
    from tuner.screen import lasting_console

    ensure_home()
    from tuner.engine import driver

    base = presets.preset(preset)
    study = config.without_replaced_budget(base, config.merge(base, config.nested(values), "tune()"))
    return load_run(driver.run_new(study, lasting_console()).root)


def load_run(run: str | Path) -> LoadedRun:
    """Return a run's tables as pandas frames, the winner's hyperparameters and the retrained model."""
    from tuner import loaded_run

    return loaded_run.load_run(Path(run))
