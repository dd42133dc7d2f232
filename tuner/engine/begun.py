"""A run that was begun: whether there is one, how it was configured, on what data, and which task it was of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuner import config as configs
from tuner.config import NOTEBOOK, StudyConfig
from tuner.data import AUTO, available_datasets
from tuner.engine.provenance import check_space_unchanged
from tuner.engine.recorded import recorded_sources
from tuner.engine.task import Task, load_configured, task_in
from tuner.errors import ConfigError
from tuner.io.mirror import PIECE
from tuner.io.sources import Sources
from tuner.journal.store import check_journal
from tuner.paths import RunPaths


def check_begun(paths: RunPaths) -> None:
    """Raise for what is no run, before anything is written there; the lock of a journal makes its folder.

    Raises:
        ConfigError: if there is no journal, and the configuration is none.
        JournalError: if there is neither journal nor configuration, or the journal is in parts, as in a bucket.
    """
    has_journal = any(PIECE.fullmatch(path.name) for path in paths.journal.glob("*"))
    if has_journal or not paths.config.is_file():
        check_journal(paths.journal)
    else:
        first_config(paths)


def first_config(paths: RunPaths) -> StudyConfig:
    """Return what a driver that was killed before its journal began has left of a run; raises ConfigError."""
    return configs.from_dict(configs.read_file(paths.config), str(paths.config))


def task_again(paths: RunPaths, config: StudyConfig, environment: Mapping[str, Any]) -> Task:
    """Return the task of a run that goes on; a file that is gone is taken from the run, one that changed is refused.

    Raises:
        TunerError: if the task is neither where it was nor in the run, or has changed.
    """
    if config.space == NOTEBOOK:
        raise ConfigError(
            f"{paths.root} was begun with objects of a notebook and not with a file: go on there, with "
            f"tune(resume={str(paths.remote or paths.root)!r}, suggest=..., and what else it was given)."
        )
    if not config.space.endswith(".py"):
        return load_configured(config)
    if not Path(config.space).is_file():
        sources, _ = recorded_sources(paths, config.space, environment.get("space_sha256"))
        return task_in(config, sources)
    sources = Sources.read(Path(config.space))
    check_space_unchanged(environment, sources, paths, config)  # before it is run, and not after
    return task_in(config, sources)


def with_data_of(environment: Mapping[str, Any], config: StudyConfig) -> StudyConfig:
    """Return the configuration with the data set that the run began with: `auto` might choose another today."""
    began_with = environment.get("dataset")
    if config.data.dataset != AUTO or began_with not in available_datasets():
        return config
    return replace(config, data=replace(config.data, dataset=began_with))
