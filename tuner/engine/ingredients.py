"""What a study is made of, loaded and checked before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tuner import config as configs
from tuner.config import AUTO, StudyConfig
from tuner.data.dataset import Dataset
from tuner.engine.brains import search_of
from tuner.engine.provenance import describe_environment
from tuner.engine.task import Task, checked_callbacks
from tuner.errors import ConfigError
from tuner.integrations.callback import Callback
from tuner.integrations.trackers import trackers
from tuner.journal.events import WarmStarted
from tuner.results.earlier import read_earlier
from tuner.results.selection import ENSEMBLE
from tuner.search.objective import objectives_of
from tuner.search.warm_start import fit_to_space
from tuner.training.classifier import check_splits
from tuner.training.hparams import TrainingHparams


@dataclass(frozen=True)
class Ingredients:
    """What a study is made of."""

    config: StudyConfig
    task: Task
    dataset: Dataset
    environment: dict[str, Any]
    callbacks: Sequence[Callback] = ()
    """Trackers, those of the space file, and those given to `tune`, in this order."""
    notices: Sequence[str] = ()
    """What the user should know of, though nothing is wrong."""

    @cached_property
    def warm_start(self) -> WarmStarted | None:
        """What a run begins with, None if it starts cold; raises TunerError if that cannot be used."""
        path, space = self.config.search.warm_start, self.task.space
        if path is None:
            return None
        if space.is_learned:
            raise ConfigError(
                f"--warm-start is {str(path)!r}, but what an objective searches is known only as it runs: "
                "no earlier trial could be fitted to it."
            )
        patience, objective = self.config.search.patience, self.task.objective
        found = read_earlier(path, self.environment, patience, self.task.defaults, objective, space.reference())
        if not fit_to_space(space, found.warm_start()):
            raise ConfigError(
                f"--warm-start is {str(path)!r}, but none of its {len(found.trials)} trials fits the space "
                f"{space.name!r}: they share no parameter, or its values lie outside the new ranges."
            )
        trained = [trial["hparams"] for trial in found.trials] if found.reusable else []
        return found if _needs_horizon(self.task, trained) else replace(found, horizon=None)


def gather(config: StudyConfig, task: Task, callbacks: Sequence[Callback]) -> Ingredients:
    """Return what a study of `task` needs, its configuration as the task suits; raises TunerError for what is wrong."""
    configs.check(config)
    told = (*trackers(config.track), *task.callbacks, *checked_callbacks(callbacks, "callbacks of tune()"))
    wished, config = config, _suited(config, task)
    if task.model is None and config.retrain.keep == ENSEMBLE:
        raise ConfigError(
            f"--keep is {ENSEMBLE!r}, but only models of the built-in training can answer together: give --keep single."
        )
    tried = task.check()
    # Fails on an unknown name before the data is loaded.
    objectives = objectives_of(config.search.objectives, task.objective)
    search_of(config, task.space, objectives, config.search.max_epochs or config.search.min_epochs or 1, None, None)
    dataset = task.load_data(config.data)
    if task.model is not None:  # first: what is wrong with the data should not be put down to a configuration
        check_splits(dataset.splits)
    task.check_with(dataset.search_data(), tried)
    config = _compared(config, task, tried)
    environment = describe_environment(dataset, task.sources.sha256, config.resources.precision)
    # Not its name alone: what other code trained tells nothing of a training here.
    environment["model"] = f"{task.trainable.name} of {task.training_sha256}"
    notices = _notices(wished, config, task, dataset, tried)
    return Ingredients(config, task, dataset, environment, told, notices)


def _suited(config: StudyConfig, task: Task) -> StudyConfig:
    """Return the configuration without what the task cannot do."""
    if not task.space.start:  # there is no reference, so nothing to compare with
        config = replace(config, retrain=replace(config.retrain, baseline=False))
    if not task.trainable.saves_state and config.search.scheduler == "asha-promote":
        config = replace(config, search=replace(config.search, scheduler="asha"))
    return config


def _notices(
    wished: StudyConfig, config: StudyConfig, task: Task, dataset: Dataset, tried: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return what of the user's wishes the task cannot do, and what its data have to say."""
    notices = [*([dataset.notice] if dataset.notice else []), *task.misspelt.perhaps]
    if callable(task.data) and wished.data.dataset != AUTO:
        notices.append(f"dataset {wished.data.dataset!r} is not used: what is trained brings data of its own.")
    if wished.resources.precision != AUTO and not task.trainable.takes_precision:
        notices.append(f"precision {wished.resources.precision!r} is not used: {task.trainable.name} takes none.")
    if wished.retrain.baseline and not config.retrain.baseline:
        notices.append(
            f"there is no baseline: space {task.space.name!r} has no START, whose first configuration would be it."
        )
    if not task.trainable.saves_state:
        notices.append(
            "the training saves no state, so no trial can pause or go on: the scheduler is "
            f"{config.search.scheduler}, a trial whose worker dies begins again, and of the winner best/ will hold the "
            "hyperparameters alone."
        )
    if config.search.resource == "seconds" and _needs_horizon(task, tried):
        notices.append(
            "with --resource seconds it is known only after a trial's second epoch how many it may have: a training "
            "that plans by them, with a learning rate that falls to zero in the end, plans for others than it gets."
        )
    return notices


def _compared(config: StudyConfig, task: Task, tried: Sequence[Mapping[str, Any]]) -> StudyConfig:
    """Return the configuration with `epochs` for what trials are compared by, if trainings must know how many to come.

    Those of the task's own may; the built-in loop must for a learning rate that falls to zero in the end.
    """
    knows = task.model is None or _needs_horizon(task, tried)
    if config.search.resource == AUTO and knows:
        return replace(config, search=replace(config.search, resource="epochs"))
    return config


def _needs_horizon(task: Task, trained: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether what such trainings do in their first epochs may depend on how many there will be."""
    if task.model is None:
        return task.trainable.takes_max_epochs
    return any(TrainingHparams.of(hparams).needs_horizon for hparams in trained)
