"""Optuna in several processes that share a study, as its documentation has it."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tuner.search.objective import Direction


def shared_study(path: Path, most_epochs: int, *, direction: Direction, seed: int | None = None) -> optuna.Study:
    """Return the study in the file `path`, made if it is not there: TPE, and Hyperband over `most_epochs`."""
    return optuna.create_study(
        study_name="shared",
        direction=direction,
        storage=JournalStorage(JournalFileBackend(str(path))),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=most_epochs, reduction_factor=3),
        load_if_exists=True,
    )


def side_by_side(*calls: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    """Make calls in a process each, and wait for all of them."""
    processes = [get_context("spawn").Process(target=call, args=values) for call, values in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
