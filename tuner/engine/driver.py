"""The whole job: search, select, retrain, report; for the command and for notebooks alike."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console

from tuner import config as configs
from tuner.config import StudyConfig
from tuner.data.dataset import Dataset
from tuner.data.splits import as_split
from tuner.engine.after_search import AfterSearch, RetrainTimes, retrainings_of
from tuner.engine.begun import check_begun, first_config, task_again, with_data_of
from tuner.engine.brains import coordinator_of
from tuner.engine.callbacks import Callbacks
from tuner.engine.clock import GRACE
from tuner.engine.coordinator import INFEASIBLE, INTERRUPTED, Coordinator
from tuner.engine.ensemble import measure_ensemble
from tuner.engine.executor import Executor, Work
from tuner.engine.in_process import InProcessExecutor
from tuner.engine.ingredients import Ingredients, gather
from tuner.engine.interrupt import Interrupts, hangups_ignored, interruptible
from tuner.engine.live.state import Phase
from tuner.engine.plan import Plan, make_plan, wanted_retrainings
from tuner.engine.progress import Progress
from tuner.engine.provenance import changes_to_tell, check_unchanged, source_commit
from tuner.engine.recorded import remember
from tuner.engine.retrain import RetrainPhase, failed_before, keep_best
from tuner.engine.run_files import RunFiles
from tuner.engine.run_folder import create_run, open_run
from tuner.engine.run_log import what_is_said_logged
from tuner.engine.search_phase import SearchPhase
from tuner.engine.sharing import of_a_trial, settle
from tuner.engine.task import Task, load_configured
from tuner.engine.throughput import Probe, evaluation_notice, sample
from tuner.engine.training_logs import TrainingLogs
from tuner.engine.worker import Job
from tuner.errors import JournalError, StorageError, TunerError, in_one_line
from tuner.integrations.callback import Callback
from tuner.io.retry import Outage
from tuner.journal.events import (
    DriverStarted,
    EnsembleMeasured,
    Event,
    PlanMade,
    RetrainingPlanned,
    StudyEnded,
    StudyStarted,
)
from tuner.journal.history import History, TrialHistory, fold
from tuner.journal.store import Entry, JournalWriter
from tuner.paths import RunPaths
from tuner.results.best import read_description
from tuner.results.closing import closing
from tuner.results.earlier import unmeasured
from tuner.results.foreign import taken
from tuner.results.selection import ENSEMBLE, select, tuned_retrainings
from tuner.search.objective import LATENCY, objectives_of
from tuner.training.batches import Normalisation
from tuner.training.classifier import data_shape

_NOTHING_KEPT = "No trial had begun, so nothing is kept."


def run_new(
    config: StudyConfig,
    console: Console,
    task: Task | None = None,
    callbacks: Sequence[Callback] = (),
    began: float | None = None,
) -> RunPaths:
    """Run a new study to its end and return its paths; of `task`, or of the one that the configuration names.

    The `callbacks` are told of it beside those that the task brings. `began` is what `time.monotonic()` said when the
    user began to wait, from where a budget counts; by default that is now.

    Raises:
        TunerError: what the user can put right. If nothing had started, nothing is left behind.
    """
    began = time.monotonic() if began is None else began
    try:
        config = configs.with_absolute_paths(config)
        task = task or load_configured(config)
        task.check_names()
        ingredients = gather(config, task, callbacks)
        ingredients = replace(ingredients, notices=[*ingredients.notices, *task.space.check_starts()])
        remember(ingredients.task.sources)
        _ = ingredients.warm_start  # which may be unusable
        paths = create_run(config)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_NOTHING_KEPT) from None
    job = _Job(ingredients, paths, console)
    try:
        with JournalWriter(paths.journal, began) as journal:
            job.run(journal)
    except (TunerError, KeyboardInterrupt) as error:
        # Of a new run a JournalError says that another driver has it.
        if isinstance(error, JournalError) or any(paths.journal.glob("*.jsonl")):
            raise
        job.delete()
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(_NOTHING_KEPT) from None
        raise
    return paths


def resume(
    run: str | Path,
    console: Console,
    task: Task | None = None,
    callbacks: Sequence[Callback] = (),
    began: float | None = None,
    where: Mapping[str, Any] = MappingProxyType({}),
) -> RunPaths:
    """Go on with an earlier run, from whatever it was doing, and return its paths.

    `task` is the one that it was begun with, for a run that was given objects and no file; `callbacks` and `began` as
    in `run_new`. `where` says where it runs, if that is to be another place: see `config.moved`.

    Raises:
        TunerError: if it cannot go on as it began: no run, other data, another search space.
    """
    began = time.monotonic() if began is None else began
    paths = open_run(run)
    check_begun(paths)
    # First of all: data may take long to load, and what another driver wrote meanwhile would not be heeded.
    with JournalWriter(paths.journal, began) as journal:
        _Job(_gather_again(paths, journal.entries, task, callbacks, where), paths, console).run(journal)
    return paths


def _gather_again(
    paths: RunPaths,
    entries: Sequence[Entry],
    task: Task | None,
    callbacks: Sequence[Callback],
    where: Mapping[str, Any],
) -> Ingredients:
    """Return what the run with this journal is made of; raises TunerError if that is not what it began with."""
    if not entries:
        config = configs.moved(first_config(paths), where, "--resume")
        return gather(config, task or load_configured(config), callbacks)
    history = fold(entries)
    config = configs.moved(configs.from_dict(history.config, str(paths.journal)), where, "--resume")
    config = with_data_of(history.environment, config)
    ingredients = gather(config, task or task_again(paths, config, history.environment), callbacks)
    check_unchanged(history.environment, ingredients.environment)
    remember(ingredients.task.sources)
    return ingredients


class _Job:
    """One driver's work on a run, new or resumed."""

    def __init__(self, ingredients: Ingredients, paths: RunPaths, console: Console) -> None:
        self._config = ingredients.config
        self._ingredients = ingredients
        self._paths = paths
        self._console = console
        self._coordinator: Coordinator | None = None
        self._files = RunFiles(paths)
        self._interrupts = Interrupts()
        self._ends_early = False
        """Whether the user has ended the search."""
        self._known: History | None = None
        """The journal's history, kept up with what is written."""

    def run(self, journal: JournalWriter) -> None:
        """Do whatever the journal, which is open for as long as that takes, does not show as done."""
        self._journal = journal
        with what_is_said_logged(self._paths.log), hangups_ignored():
            self._begin_files()
            self._known = fold(journal.entries) if journal.entries else None
            # A debugger's prompt needs the terminal for itself.
            is_live = not self._config.resources.in_process
            self._progress = Progress(self._console, lambda: journal.elapsed, is_live=is_live)
            self._progress.restore(entry.event for entry in journal.entries)
            told, name = self._ingredients.callbacks, self._paths.root.name
            self._callbacks = Callbacks(told, name, self._paths.root, self._progress.say)
            self._outage = Outage(self._progress.say)
            self._outage.retry(lambda: self._files.clear_away(self._known))
            # Below it each training makes a folder of its own, but none makes this one: see `storage.FolderPlace`.
            self._paths.checkpoints.mkdir(exist_ok=True)
            for notice in self._notices():
                self._progress.say(notice)
            with self._progress, self._callbacks:
                self._callbacks.restore(journal.entries)
                self._do()
            self._outage.retry(self._files.publish_all)
            self._progress.close(
                closing(self._history(), self._where, read_description(self._paths), self._progress.width)
            )

    def delete(self) -> None:
        """Delete the run, which never began."""
        self._files.delete_run()

    def _begin_files(self) -> None:
        """Keep what the run is of."""
        if not self._paths.config.exists():
            # At once: should the driver be killed before the journal begins, a resume knows what was to be done.
            self._files.write_down(self._paths.config, configs.to_dict(self._config))
        self._files.keep_sources(self._ingredients.task)
        self._files.keep_data_sample(self._ingredients.task, self._ingredients.dataset)

    @property
    def _where(self) -> str:
        """The run, as the user can name it to a command."""
        return self._paths.remote or _shown(self._paths.root)

    def _do(self) -> None:
        """Work on what is not done, clear away what that needed, and write what follows from the journal."""
        if not self._journal.entries or not self._history().ended:
            with self._executor() as executor, interruptible(self._end_search) as self._interrupts:
                self._work(executor)
        # Also if an earlier driver was killed between its last event and this.
        self._progress.enter(Phase.REPORT)
        self._files.delete_all_checkpoints()
        self._export()

    def _export(self) -> None:
        # What draws takes long to import, and the trials should not wait for it.
        from tuner.results.export import export

        self._outage.retry(lambda: export(self._history(), self._paths))

    def _notices(self) -> Iterator[str]:
        for notice in self._ingredients.notices:
            yield f"NOTICE: {notice}"
        if self._journal.entries:
            changes = changes_to_tell(self._history().environment, self._ingredients.environment)
            if changes is not None:
                yield changes

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        """Make ready what trains; Ray is imported only where it is used."""
        logs = TrainingLogs(self._paths, self._progress.say)
        if self._config.resources.in_process:
            cpus, _ = of_a_trial(settle(self._config.resources, []))
            yield InProcessExecutor(self._progress.say, cpus, logs)
            return
        from tuner.engine.ray_executor import ray_executor

        task, dataset = self._ingredients.task, self._ingredients.dataset
        with ray_executor(self._config, self._paths, task, dataset, self._progress.say, logs) as executor:
            yield executor

    def _work(self, executor: Executor) -> None:
        job = self._job(self._ingredients.dataset, executor)
        if self._ingredients.task.is_sampled:  # else an epoch may take hours, and only this were learnt from it
            executor.share_gpus(job, sample(*self._measured()))
        executor.run(replace(job, threads=executor.cpus_a_trial), self._works(executor))
        self._measure_ensemble()
        self._outage.retry(lambda: keep_best(self._history(), self._paths, self._description()))
        # Before the end is written down: who then goes on fetches the best from there.
        self._outage.retry(self._files.publish_best)
        self._record(StudyEnded())

    def _works(self, executor: Executor) -> Iterator[Work]:
        """Do what is to be done between the works of the run, and yield each when its time has come."""
        plan = yield from self._open(executor)
        dataset = self._ingredients.dataset
        workers = f"{executor.workers}, {executor.workers_in_words}"
        retrainings = wanted_retrainings(self._config)
        self._progress.show_plan(plan, _data_line(dataset), workers, retrainings)
        if self._history().search_ended is None:
            yield from self._search(plan, executor.workers)
        self._select()
        yield self._retraining(plan, executor)

    def _open(self, executor: Executor) -> Generator[Work, None, Plan]:
        """Return the plan: that of the journal, or a new one, with which the journal begins."""
        if self._journal.entries:
            self._record(self._driver(executor))
            planned = self._history().plan
            if planned is not None:
                return Plan.from_dict(planned)
        plan = yield from self._make_plan(executor)
        if self._journal.entries:  # the first driver was killed while it wrote the journal's first lines
            missing = None if self._history().warm_start else self._ingredients.warm_start
            self._record(*([missing] if missing else []), PlanMade(plan.to_dict()))
            return plan
        config, environment = configs.to_dict(self._config), self._ingredients.environment
        self._files.write_down(self._paths.config, config)
        self._files.write_down(self._paths.environment, environment)
        driver = self._driver(executor)
        # Before the plan: with which the journal's beginning is whole.
        warm_start = self._ingredients.warm_start
        opening = StudyStarted(config, environment, objective=self._ingredients.task.objective)
        beginning: list[Event] = [opening, driver, *([warm_start] if warm_start else [])]
        self._record(*beginning, PlanMade(plan.to_dict()))
        return plan

    def _driver(self, executor: Executor) -> DriverStarted:
        return DriverStarted(socket.gethostname(), source_commit(), executor.workers, list(executor.nodes))

    def _make_plan(self, executor: Executor) -> Generator[Work, None, Plan]:
        space = self._ingredients.task.space
        probe = Probe(
            *self._measured(),
            # A cluster that grows need not have grown before the plan is made.
            workers=executor.workers_a_node,
            max_failures=self._config.resources.max_failures,
            # After the first of them, which is the reference.
            others=None if space.start else islice(space.random_configurations(), 1, None),
        )
        self._progress.enter(Phase.MEASURING)
        yield probe
        dataset, objective = self._ingredients.dataset, self._ingredients.task.objective
        notice = evaluation_notice(probe.evaluation, objective, has_test=dataset.test is not None)
        if notice is not None:
            self._progress.say(f"NOTICE: {notice}")
        config = self._config
        if probe.is_single:  # whatever was asked for: there is no second epoch
            config = replace(config, search=replace(config.search, max_epochs=1, min_epochs=None))
        return make_plan(config, executor.workers, probe.seconds_per_epoch, self._journal.elapsed)

    def _measured(self) -> tuple[Mapping[str, Any], int | None, str]:
        """Return what is measured before the plan: which configuration, of how many examples, and where."""
        task, checkpoints = self._ingredients.task, self._paths.location(self._paths.checkpoints)
        examples = len(as_split(self._ingredients.dataset.train)) if task.is_sampled else None
        return task.space.reference(), examples, checkpoints

    def _search(self, plan: Plan, workers: int) -> Iterator[Work]:
        warm_start = self._history().warm_start
        objectives = objectives_of(self._config.search.objectives, self._ingredients.task.objective)
        if warm_start is not None:
            space = self._ingredients.task.space
            notice = unmeasured(warm_start, objectives) if warm_start.comparable else taken(warm_start, space)
            if notice is not None:
                self._progress.say(f"NOTICE: {notice}")
        coordinator = coordinator_of(
            self._config,
            self._ingredients.task.space,
            self._ingredients.task.objective,
            plan,
            self._record,
            warm_start=warm_start.warm_start() if warm_start else None,
            workers=workers,
            elapsed=lambda: self._journal.elapsed,
            discard=self._files.delete_checkpoints,
            schema_version=self._history().schema_version,
        )
        coordinator.restore(self._journal.entries)

        self._coordinator = coordinator
        yield SearchPhase(coordinator, self._paths, self._config.resources.max_failures)
        self._coordinator = None  # there is nothing more to end
        if self._ends_early and not coordinator.has_winner:
            raise KeyboardInterrupt  # the only one failed while the user interrupted; a resume goes on with the search
        coordinator.finish()

    def _end_search(self) -> bool:
        """End the search because the user wants it; False if there is none to end, or it has no winner yet.

        A signal calls it in the middle of anything, so it takes no lock and writes nothing.
        """
        if self._coordinator is None or self._coordinator.is_stopping or not self._coordinator.has_winner:
            return False
        self._ends_early = True
        self._coordinator.stop(INTERRUPTED)
        self._progress.say_soon(
            "Interrupted: the search ends and the winner is retrained. Press Ctrl-C again to quit now; "
            f"then go on with --resume {self._where}."
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

    def _retraining(self, plan: Plan, executor: Executor) -> Work:
        history = self._history()
        for failed in failed_before(history):
            name = f"retraining {failed.candidate} seed {failed.seed}"
            self._progress.say(f"NOTICE: {name} failed before ({failed.reason}) and is tried again.")
        after = AfterSearch(self._config, self._ingredients.task.space, plan, executor.workers)
        planned = self._plan_retraining(after, history)
        return RetrainPhase(
            retrainings_of(planned),
            executor.share(self._ingredients.dataset.test),
            artefact=self._ingredients.task.artefact,
            workers=executor.workers,
            max_failures=self._config.resources.max_failures,
            history=history,
            record=self._record,
            paths=self._paths,
            times=RetrainTimes(
                after,
                history,
                planned,
                self._seconds_left,
                self._record,
                self._progress.say,
                self._ingredients.task.trainable.saves_state,
            ),
        )

    def _plan_retraining(self, after: AfterSearch, history: History) -> RetrainingPlanned:
        """Return the plan of the retrainings: that of the journal, or a new one."""
        if history.retraining_planned is not None:
            return history.retraining_planned
        planned = after.planned(history, self._seconds_left())
        self._record(planned)
        return planned

    def _seconds_left(self) -> float | None:
        budget = self._config.budget_seconds
        return None if budget is None else (1 + GRACE) * budget - self._journal.elapsed

    def _measure_ensemble(self) -> None:
        """Measure the retrained seeds as one answer; only the built-in loop's models can be averaged."""
        history, dataset, model = self._history(), self._ingredients.dataset, self._ingredients.task.model
        seeds = [one.seed for one in tuned_retrainings(history)]
        if model is None or (history.ensemble is not None and list(history.ensemble.seeds) == seeds):
            return
        build, precision = model.build, self._config.resources.precision

        self._progress.enter(Phase.ENSEMBLE)

        def measure() -> EnsembleMeasured | None:
            try:
                return measure_ensemble(history, self._paths, dataset, build, precision=precision)
            except StorageError:
                raise
            except Exception as error:  # as where this process has no room on its device
                if self._config.retrain.keep == ENSEMBLE:
                    raise
                self._progress.say(f"NOTICE: the retrained seeds are not measured together: {in_one_line(error)}")
                return None

        found = self._outage.retry(measure)
        if found is not None:
            self._record(found)

    def _job(self, dataset: Dataset, executor: Executor) -> Job:
        splits = dataset.search_data()
        return Job(
            splits,
            self._ingredients.task.trainable,
            patience=self._config.search.patience,
            precision=self._config.resources.precision,
            threads=executor.cpus_a_trial,
            trial_timeout=self._config.trial_timeout_seconds,
            measures_latency=LATENCY.metric in self._config.search.objectives,
            splits_sha256=None if dataset.has_own_fingerprint else splits.fingerprint(),
            objectives=objectives_of(self._config.search.objectives, self._ingredients.task.objective),
            sources=self._ingredients.task.sources,
        )

    def _description(self) -> dict[str, Any]:
        dataset, task = self._ingredients.dataset, self._ingredients.task
        common = {
            "model": task.trainable.name,
            "space": task.space.name,
            "space_sha256": task.sources.sha256,
            "dataset": dataset.name,
        }
        return common if task.model is None else {**common, **_description_of_inputs(dataset)}

    def _record(self, *events: Event) -> None:
        entries = self._outage.retry(lambda: self._append(*events))
        self._outage.retry(self._files.publish_journal)
        for event in events:
            self._progress.on_event(event)
        self._callbacks.take(entries)

    def _append(self, *events: Event) -> list[Entry]:
        with self._interrupts.deferred():
            entries = self._journal.append(*events)
            for entry in entries:
                self._take(entry)
            return entries

    def _take(self, entry: Entry) -> None:
        if self._known is None:
            self._known = fold([entry])
        else:
            self._known.take(entry)

    def _history(self) -> History:
        """Return what the journal amounts to now; there must be something in it."""
        assert self._known is not None
        return self._known


def _no_winner(history: History) -> str:
    trials = history.trials.values()
    failed = [trial.ended.reason for trial in trials if trial.ended and trial.ended.state == "FAILED"]
    if failed:
        trained = sum(bool(trial.epochs) for trial in trials)
        which = f"all {trained} trials that finished an epoch failed later" if trained else "no trial finished an epoch"
        return f"{which}; {len(failed)} failed, the last because {failed[-1]}"
    impossible = [trial.ended.reason for trial in trials if trial.ended and _is_infeasible(trial)]
    if impossible and len(impossible) == len(trials):
        return f"no trial had a configuration that is possible; the last of {len(trials)} is {impossible[-1]}"
    return "the search ended before a trial finished an epoch: give it more time."


def _is_infeasible(trial: TrialHistory) -> bool:
    """Whether the space has nothing feasible for the trial, or its training says that its configuration is not."""
    by_training = trial.ended is not None and trial.ended.reason.startswith(INFEASIBLE)
    return by_training or trial.proposed.infeasible is not None


def _data_line(dataset: Dataset) -> str:
    sizes = ", ".join(name if size is None else f"{size:,} {name}" for name, size in dataset.sizes.items())
    if sizes and dataset.name == Dataset.name:  # the user gave none
        return sizes
    return f"{dataset.name}: {sizes}" if sizes else dataset.name


def _description_of_inputs(dataset: Dataset) -> dict[str, Any]:
    """Return what a model of the built-in loop must be fed."""
    train = as_split(dataset.train)
    fitted = data_shape(train, as_split(dataset.dev))
    shape = {
        "input_shape": list(fitted.input_shape),
        "classes": fitted.classes,
        "tokens": fitted.tokens,
        "class_names": list(train.class_names),
    }
    normalisation = Normalisation.of(train)
    if normalisation is None:
        return shape
    found = {"mean": list(normalisation.mean), "std": list(normalisation.std)}
    one_or_all = {name: values if len(values) > 1 else values[0] for name, values in found.items()}
    return shape | one_or_all


def _shown(path: Path) -> str:
    """Return the path relative to where the user is, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
