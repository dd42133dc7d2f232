"""Training the winner afresh with several seeds, and reading the test set once.

The dev set chooses the epoch of each retraining and the seed whose weights are kept; the test set chooses nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from tuner.config import ResourceConfig
from tuner.data.splits import Split
from tuner.engine.coordinator import Record
from tuner.engine.ray_session import cpus_and_gpus, is_lost_node
from tuner.engine.watchdog import take_report
from tuner.engine.worker import Assignment, Job, Worker
from tuner.errors import StorageError, TunerError
from tuner.io import storage
from tuner.io.files import hash_file, write_json, write_whole
from tuner.io.retry import Outage
from tuner.journal.events import RetrainEnded, RetrainEpochReported, RetrainFailed
from tuner.journal.history import History, RetrainHistory
from tuner.paths import RunPaths
from tuner.results.selection import kept_retraining
from tuner.search.report import EpochReport, finite, score_of
from tuner.training.checkpoints import save_model


@dataclass(frozen=True)
class Retraining:
    """One training to the end."""

    candidate: str
    """`tuned` or `baseline`."""
    seed: int
    hparams: Mapping[str, Any]
    max_epochs: int

    @property
    def key(self) -> tuple[str, int]:
        """Names the retraining in the history."""
        return self.candidate, self.seed


class RetrainWorker(Worker):
    """A worker that, at the end of a training, restores the best-dev weights and measures them on every split."""

    _begun: Assignment | None = None

    def first(self, assignment: Assignment) -> tuple[EpochReport, bool]:
        """Begin a training, unless an earlier call has done that, and return as `next` does."""
        if self._begun != assignment:
            self.begin(assignment)
            self._begun = assignment
        return self.next()

    def next(self) -> tuple[EpochReport, bool]:
        """Return the next epoch's report and whether it was the last."""
        return self.next_report(), self.finished

    def conclude(self, test: Split, checkpoints: str | Path, name: str) -> tuple[dict[str, dict[str, float]], str]:
        """Write the best-dev weights beside the checkpoints; return the evaluation by split and the file's sha256.

        Raises:
            StorageError: if the weights cannot be written; it can be called again.
        """
        self.training.restore_best()
        # Written first: the test set is read once, when nothing can go wrong any more.
        sha256 = self._write_weights(checkpoints, name)
        splits = {"train": self.job.splits.train, "dev": self.job.splits.dev, "test": test}
        return {split: self._evaluate(images) for split, images in splits.items()}, sha256

    def _write_weights(self, checkpoints: str | Path, name: str) -> str:
        place = storage.place(checkpoints)
        try:
            with place.scratch() as folder:
                # A host cut off from the cluster may go on with a training that another has taken up.
                made = folder / f"unfinished-{socket.gethostname()}-{name}"
                sha256 = save_model(self.training.model, made, {"format": "pt"})
                place.put(made, name)
        except OSError as error:
            raise StorageError(f"no weights can be written in {checkpoints}: {storage.explain(error)}.") from error
        return sha256

    def _evaluate(self, split: Split) -> dict[str, float]:
        return self.training.classifier.evaluate(split)


def retrain(
    retrainings: Sequence[Retraining],
    job: ray.ObjectRef[Job],
    test: ray.ObjectRef[Split],
    *,
    workers: int,
    resources: ResourceConfig,
    history: History,
    record: Record,
    paths: RunPaths,
    say: Callable[[str], None],
) -> None:
    """Run those retrainings that `history` does not show as done, `workers` at a time, each from its last checkpoint.

    A retraining whose worker dies is taken up again up to `max_failures` times, not counting lost nodes; one that
    diverges has failed. What cannot wait is told with `say`.

    Raises:
        StorageError: if the storage is away for too long; the run can be resumed.
    """
    done = {key for key, known in history.retrains.items() if known.ended or known.failed}
    waiting = [retraining for retraining in retrainings if retraining.key not in done]
    running: dict[ray.ObjectRef[Any], _Run] = {}
    idle: list[Any] = []
    """Actors that have done a retraining: another costs them no start, which takes several seconds."""
    while waiting or running:
        while waiting and len(running) < workers:
            retraining = waiting.pop(0)
            known = history.retrains.get(retraining.key, RetrainHistory(*retraining.key, history.objective))
            run = _Run(retraining, known, job, test, resources, record, paths, say)
            running[run.start(idle.pop() if idle else None)] = run
        (ready,), _ = ray.wait(list(running), num_returns=1)
        run = running.pop(ready)
        following = run.advance(ready)
        if following is not None:
            running[following] = run
        elif run.actor is not None:
            idle.append(run.actor)


class _Run:
    """One retraining under way: an actor and the answer it owes."""

    def __init__(
        self,
        retraining: Retraining,
        known: RetrainHistory,
        job: ray.ObjectRef[Job],
        test: ray.ObjectRef[Split],
        resources: ResourceConfig,
        record: Record,
        paths: RunPaths,
        say: Callable[[str], None],
    ) -> None:
        self._retraining = retraining
        self._known_epochs = set(known.epochs)
        self._objective = known.objective
        self._job = job
        self._test = test
        self._resources = resources
        self._record = record
        self._paths = paths
        self._outage = Outage(say)
        self._failures = 0
        self._best: EpochReport | None = None
        self._concluding = False
        self.actor: Any = None
        """Who trains; None after a failure."""

    def start(self, idle: Any = None) -> ray.ObjectRef[Any]:
        """Start from the newest checkpoint, if any, with the actor `idle` or a new one: ask for the first epoch."""
        retraining = self._retraining
        checkpoints = self._paths.location(self._paths.retrain_checkpoints(*retraining.key))
        cpus, gpus = cpus_and_gpus(self._resources)
        self.actor = idle or ray.remote(RetrainWorker).options(num_cpus=cpus, num_gpus=gpus).remote(self._job)
        self._concluding = False
        self._best = None
        assignment = Assignment(retraining.hparams, retraining.seed, retraining.max_epochs, checkpoints, keep_best=True)
        return self._ask(lambda: self.actor.first.remote(assignment))

    def advance(self, ready: ray.ObjectRef[Any]) -> ray.ObjectRef[Any] | None:
        """Take an answer and ask the next question; None if the retraining is over."""
        try:
            answer = ray.get(ready)
        except RayError as error:
            return self._recover(error)
        self._outage.over()
        if not self._concluding:
            return self._take(*answer)
        self._conclude(*answer)
        return None

    def _take(self, report: EpochReport, last: bool) -> ray.ObjectRef[Any]:
        if report.epoch not in self._known_epochs:
            self._known_epochs.add(report.epoch)
            metrics = finite(report.metrics)
            self._record(RetrainEpochReported(*self._retraining.key, report.epoch, metrics, report.seconds))
        if self._best is None or score_of(report, self._objective) > score_of(self._best, self._objective):
            self._best = report
        self._concluding = last
        return self._ask_to_conclude() if last else self._ask(lambda: self.actor.next.remote())

    def _ask_to_conclude(self) -> ray.ObjectRef[Any]:
        weights = self._paths.retrain_weights(*self._retraining.key)
        return self._ask(
            lambda: self.actor.conclude.remote(self._test, self._paths.location(weights.parent), weights.name)
        )

    def _ask(self, question: Callable[[], ray.ObjectRef[Any]]) -> ray.ObjectRef[Any]:
        self._question = question
        return question()

    def _conclude(self, evaluations: dict[str, dict[str, float]], sha256: str) -> None:
        assert self._best is not None
        weights = self._paths.retrain_weights(*self._retraining.key).relative_to(self._paths.root)
        self._record(
            RetrainEnded(
                *self._retraining.key, self._retraining.hparams, self._best.epoch, evaluations, str(weights), sha256
            )
        )

    def _recover(self, error: RayError) -> ray.ObjectRef[Any] | None:
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, StorageError):
            self._outage.wait(cause)
            return self._ask(self._question)
        self._stop()
        hung = take_report(self._paths.location(self._paths.retrain_checkpoints(*self._retraining.key)))
        self._failures += not is_lost_node(str(cause))
        if isinstance(cause, TunerError) or self._failures > self._resources.max_failures:
            self._record(RetrainFailed(*self._retraining.key, " ".join((hung or str(cause)).split())))
            return None
        return self.start()

    def _stop(self) -> None:
        if self.actor is not None:
            ray.kill(self.actor)
            self.actor = None


def keep_best(history: History, paths: RunPaths, description: Mapping[str, Any]) -> None:
    """Move the weights chosen by `KEEP_RULE` to `best`, with what is needed to use them.

    `description` says how to build the model and feed it; see `tuner.predict`.

    Raises:
        TunerError: if no retraining of the winner succeeded, or its weights are damaged.
    """
    chosen = kept_retraining(history)
    if chosen is None:
        failed = [known.failed.reason for known in history.retrains.values() if known.failed]
        raise TunerError(f"no retraining of the winner succeeded: {failed[0] if failed else 'none was run'}")
    source = paths.root / chosen.weights
    if paths.remote is not None and not source.exists():
        storage.fetch(storage.place(paths.remote), chosen.weights, source)
    if not paths.best_model.exists() or hash_file(paths.best_model) != chosen.weights_sha256:
        if not source.is_file() or hash_file(source) != chosen.weights_sha256:
            raise TunerError(f"{source} is missing or damaged: its sha256 must be {chosen.weights_sha256}.")
        write_whole(paths.best_model, lambda temporary: temporary.write_bytes(source.read_bytes()))
    write_json(paths.best_hparams, {**description, "hparams": dict(chosen.hparams), "seed": chosen.seed})
