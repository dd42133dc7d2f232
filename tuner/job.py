"""The whole job: search, select, retrain, report; for the command and for notebooks alike."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from rich.console import Console

from tuner import config as configs
from tuner.config import StudyConfig
from tuner.data import load_dataset
from tuner.data.splits import Dataset
from tuner.errors import ConfigError, TunerError
from tuner.files import write_json
from tuner.journal.events import DriverStarted, Event, PlanMade, StudyEnded, StudyStarted
from tuner.journal.history import History, read_history
from tuner.journal.store import JournalWriter
from tuner.models import ModelSpec, get_model
from tuner.paths import RunPaths
from tuner.results.export import export
from tuner.results.selection import BASELINE, TUNED, select
from tuner.retrain import Retraining, keep_best, retrain
from tuner.search.registry import build_search
from tuner.search.search import Search
from tuner.search.space import SearchSpace, load_space
from tuner.study.clock import BudgetClock
from tuner.study.conductor import Conductor
from tuner.study.environment import describe_environment, source_commit
from tuner.study.interrupt import interruptible
from tuner.study.plan import Plan, make_plan, retrain_load
from tuner.study.progress import Progress
from tuner.study.ray_session import ray_session, workers_available
from tuner.study.run_folder import create_run, open_run
from tuner.study.search_phase import run_search
from tuner.study.throughput import seconds_per_epoch
from tuner.study.worker import Job
from tuner.training.hparams import TrainingHparams


@dataclass(frozen=True)
class _Ingredients:
    """What a study is made of, loaded and checked before anything is spent."""

    config: StudyConfig
    space: SearchSpace
    model: ModelSpec
    dataset: Dataset
    environment: dict[str, Any]


def run_new(config: StudyConfig, console: Console) -> RunPaths:
    """Run a new study to its end and return its paths.

    Raises:
        TunerError: what the user can put right. If nothing had started, nothing is left behind.
    """
    ingredients = _gather(config)
    paths = create_run(config)
    try:
        _Job(ingredients, paths, console).run()
    except (TunerError, KeyboardInterrupt):
        if not any(paths.journal.glob("*.jsonl")):
            shutil.rmtree(paths.root)
        raise
    return paths


def resume(run: Path, console: Console) -> RunPaths:
    """Go on with an earlier run, from whatever it was doing, and return its paths.

    Raises:
        TunerError: if it cannot go on as it began: no journal, other data, another search space.
    """
    paths = open_run(run)
    history = read_history(paths.journal)
    ingredients = _gather(configs.from_dict(history.config, str(paths.journal)))
    _check_unchanged(history, ingredients)
    _Job(ingredients, paths, console).run()
    return paths


def _gather(config: StudyConfig) -> _Ingredients:
    configs.check(config)
    space = load_space(config.space)
    model = get_model(space.model)
    known = None if model.defaults is None else {*model.defaults, *TrainingHparams.names()}
    space.check(known)
    # Fails on an unknown name before the data is loaded.
    _build_search(config, space, config.search.max_epochs or config.search.min_epochs, None)
    dataset = load_dataset(config.data.dataset, config.data.data_dir)
    environment = describe_environment(dataset, space.sha256, config.resources.precision)
    return _Ingredients(config, space, model, dataset, environment)


def _check_unchanged(history: History, ingredients: _Ingredients) -> None:
    for key, what in (("data_hashes", "data set"), ("space_sha256", "search space")):
        before, now = history.environment.get(key), ingredients.environment[key]
        if before != now:
            raise ConfigError(
                f"--resume cannot go on: the {what} has changed since the run began ({before} then, {now} now)."
            )


def _build_search(config: StudyConfig, space: SearchSpace, max_epochs: int, max_trials: int | None) -> Search:
    search = config.search
    return build_search(
        space,
        searcher=search.searcher,
        scheduler=search.scheduler,
        min_epochs=min(search.min_epochs, max_epochs),
        max_epochs=max_epochs,
        reduction_factor=search.reduction_factor,
        startup_trials=search.startup_trials,
        max_trials=max_trials,
        seed=config.seed,
    )


class _Job:
    """One driver's work on a run, new or resumed."""

    def __init__(self, ingredients: _Ingredients, paths: RunPaths, console: Console) -> None:
        self._config = ingredients.config
        self._ingredients = ingredients
        self._paths = paths
        self._console = console
        self._conductor: Conductor | None = None

    def run(self) -> None:
        """Do whatever the journal does not show as done."""
        with JournalWriter(self._paths.journal) as journal:
            self._journal = journal
            self._progress = Progress(self._console, lambda: journal.elapsed)
            self._progress.restore(entry.event for entry in journal.entries)
            if self._ingredients.dataset.notice:
                self._progress.say(f"NOTICE: {self._ingredients.dataset.notice}")
            if not journal.entries or not self._history().ended:
                # Ray sets signal handlers of its own when it starts; ours replace them.
                with ray_session(self._config.resources, self._paths.log), interruptible(self._end_search):
                    self._work()
        export(read_history(self._paths.journal), self._paths)

    def _work(self) -> None:
        workers = workers_available(self._config.resources)
        dataset = self._ingredients.dataset
        job = ray.put(self._job(dataset))
        plan = self._open(job, workers)
        self._progress.show_plan(plan, _data_line(dataset), len(self._seeds()) * (1 + self._config.retrain.baseline))
        with self._progress:
            if self._history().search_ended is None:
                self._search(plan, job, workers)
            self._select()
            retrain(
                self._retrainings(plan.max_epochs),
                job,
                ray.put(dataset.test),
                workers=workers,
                resources=self._config.resources,
                history=self._history(),
                record=self._record,
                paths=self._paths,
            )
            keep_best(self._history(), self._paths, self._description())
        self._record(StudyEnded())
        shutil.rmtree(self._paths.checkpoints, ignore_errors=True)

    def _open(self, job: ray.ObjectRef[Job], workers: int) -> Plan:
        """Return the plan: that of the journal, or a new one, with which the journal begins."""
        if self._journal.entries:
            self._record(DriverStarted(socket.gethostname(), source_commit()))
            planned = self._history().plan
            assert planned is not None
            return Plan(**{**planned, "rungs": tuple(planned["rungs"])})
        reference = self._ingredients.space.hparams_of_start(0)
        seconds = seconds_per_epoch(job, reference, workers, self._config.resources)
        plan = make_plan(self._config, workers, seconds, self._journal.elapsed)
        config, environment = configs.to_dict(self._config), self._ingredients.environment
        write_json(self._paths.config, config)
        write_json(self._paths.environment, environment)
        opening = StudyStarted(config, environment)
        self._record(opening, DriverStarted(socket.gethostname(), source_commit()), PlanMade(plan.to_dict()))
        return plan

    def _search(self, plan: Plan, job: ray.ObjectRef[Job], workers: int) -> None:
        config = self._config
        load = retrain_load(config, plan.max_epochs, workers)
        clock = BudgetClock(config.budget_seconds, load, plan.seconds_per_epoch, lambda: self._journal.elapsed)
        search = _build_search(config, self._ingredients.space, plan.max_epochs, plan.max_trials)
        conductor = Conductor(search, self._record, clock, workers=workers, seed=config.seed)
        conductor.restore(self._journal.entries)

        self._conductor = conductor
        run_search(conductor, job, config.resources, self._paths)

    def _end_search(self) -> bool:
        """End the search because the user wants it; False if there is none to end."""
        if self._conductor is None or self._conductor.is_stopping:
            return False
        self._conductor.stop("interrupted")
        self._progress.say(
            "Interrupted: the search ends and the winner is retrained. Press Ctrl-C again to quit now; "
            f"then go on with --resume {_shown(self._paths.root)}."
        )
        return True

    def _select(self) -> None:
        history = self._history()
        if history.winner is not None:
            return
        winner = select(history)
        if winner is None:
            raise TunerError(_no_winner(history))
        self._record(winner)

    def _retrainings(self, max_epochs: int) -> list[Retraining]:
        winner = self._history().winner
        assert winner is not None
        tuned = [Retraining(TUNED, seed, winner.hparams, max_epochs) for seed in self._seeds()]
        if not self._config.retrain.baseline:
            return tuned
        reference = self._ingredients.space.hparams_of_start(0)
        return tuned + [Retraining(BASELINE, seed, reference, max_epochs) for seed in self._seeds()]

    def _seeds(self) -> range:
        first = 1000 * self._config.seed + 1
        return range(first, first + self._config.retrain.retrain_seeds)

    def _job(self, dataset: Dataset) -> Job:
        module = self._ingredients.space.module
        if not module.__name__.startswith("search_spaces."):
            # A user's file is not importable where the workers are; its model travels by value.
            cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
        resources = self._config.resources
        return Job(
            dataset.search_splits(),
            self._ingredients.model,
            patience=self._config.search.patience,
            precision=resources.precision,
            threads=resources.cpus_per_trial,
        )

    def _description(self) -> dict[str, Any]:
        dataset, space = self._ingredients.dataset, self._ingredients.space
        return {
            "model": self._ingredients.model.name,
            "space": space.name,
            "dataset": dataset.name,
            "class_names": list(dataset.class_names),
            "mean": dataset.mean,
            "std": dataset.std,
        }

    def _record(self, *events: Event) -> None:
        self._journal.append(*events)
        for event in events:
            self._progress.on_event(event)

    def _history(self) -> History:
        return read_history(self._paths.journal)


def _no_winner(history: History) -> str:
    failed = [trial.ended.reason for trial in history.trials.values() if trial.ended and trial.ended.state == "FAILED"]
    if failed:
        return f"no trial finished an epoch; {len(failed)} failed, the last because {failed[-1]}"
    return "the search ended before a trial finished an epoch: give it more time."


def _data_line(dataset: Dataset) -> str:
    sizes = ", ".join(
        f"{len(split):,} {name}"
        for name, split in (("train", dataset.train), ("dev", dataset.dev), ("test", dataset.test))
    )
    return f"{dataset.name}: {sizes}"


def _shown(path: Path) -> str:
    """Return the path relative to where the user is, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
