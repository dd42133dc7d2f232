"""tuner: give it a search space and a budget; get back the best configuration, retrained, with every number behind it.

from tuner import tune, load_run

run = tune(preset="quick", space="cnn", budget="30m")
run.final
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.data.dataset import Dataset
    from tuner.integrations.callback import Callback
    from tuner.loaded_run import LoadedRun
    from tuner.search.objective import Objective
    from tuner.training.trainable import Trainable, TrainingOver

__all__ = ["Callback", "Dataset", "Objective", "Trainable", "TrainingOver", "load_run", "tune"]

_HOMES = {
    "Callback": "tuner.integrations.callback",
    "Dataset": "tuner.data.dataset",
    "Objective": "tuner.search.objective",
    "Trainable": "tuner.training.trainable",
    "TrainingOver": "tuner.training.trainable",
}


def __getattr__(name: str) -> Any:
    """Import what a task file needs when it is asked for: who reads tables need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def tune(
    preset: str = "default",
    *,
    trainable: Any = None,
    model: Any = None,
    suggest: Any = None,
    load_data: Any = None,
    objective: Objective | str | None = None,
    start: Any = None,
    prior: Any = None,
    callbacks: Sequence[Callback] = (),
    resume: str | Path | None = None,
    **values: Any,
) -> LoadedRun:
    """Do the whole job, as `tuner run` does, and return the finished run.

    What is tuned is either a file, `space="my.py"` or a registered name, or given here as objects: `suggest`, and
    `trainable` or `model`, and if you like `load_data`, `objective`, `start` and `prior`; they are what a task file
    defines as `TRAINABLE`, `MODEL` and so on. They may be defined in the cells of a notebook. Or it is an Optuna
    objective as it stands, named by its file: `objective="train.py:objective"`, with a `direction`.

    The `callbacks` are told what happens, as it happens (`tuner.Callback`).

    `resume` goes on with that run, and takes nothing but the objects that it was begun with, callbacks, and values that
    say where it runs, such as `workers` or `data_dir`. `values`
    are the command's flags by name (`budget="30m"`, `trials=64`, `data_dir=...`). A number of trials or epochs without
    a budget replaces the preset's budget.

    Raises:
        TunerError: for anything the caller can put right.
    """
    from tuner import config, presets
    from tuner.errors import ConfigError
    from tuner.home import ensure_home
    from tuner.screen import lasting_console

    ensure_home()
    from tuner.engine import driver, notebook

    objects = {"trainable": trainable, "model": model, "suggest": suggest, "load_data": load_data}
    if isinstance(objective, str):
        if any(value is not None for value in objects.values()):
            raise ConfigError(
                f"objective of tune() is {objective!r}, but beside objects it must be an Objective, such as "
                f'Objective({objective!r}, "minimize"); a text names an Optuna objective, as in "train.py:objective".'
            )
        values["objective"] = objective
        objective = None
    objects |= {"objective": objective, "start": start, "prior": prior}
    task = None
    if any(value is not None for value in objects.values()):
        if "space" in values:
            raise ConfigError("tune() is given a space and objects to tune, but takes one of them.")
        task = notebook.task_of_objects(**objects)
        values["space"] = config.NOTEBOOK
    if resume is not None:
        if task is not None:
            del values["space"]
        names = {*values, *(["preset"] if preset != "default" else [])}
        config.check_where(names, "tune(resume=...)")
        return load_run(driver.resume(resume, lasting_console(), task, callbacks, where=values).root)
    study = config.at_this_machine(config.merge(presets.preset(preset), values, "tune()"))
    given = config.given_names(values)
    config.check_given(study, given)
    study = config.without_replaced_budget(study, given)
    return load_run(driver.run_new(study, lasting_console(), task, callbacks).root)


def load_run(run: str | Path) -> LoadedRun:
    """Return a run's tables as pandas frames, the winner's hyperparameters and the retrained model.

    `run` is the run's folder or its `s3://` address.
    """
    from tuner import loaded_run

    return loaded_run.load_run(run)
