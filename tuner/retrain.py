"""Training the winner afresh with several seeds, and reading the test set once.

The dev set chooses the epoch of each retraining and the seed whose weights are kept; the test set chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from tuner.config import ResourceConfig
from tuner.data.splits import Split
from tuner.errors import StorageError, TunerError
from tuner.files import hash_file, write_json, write_whole
from tuner.journal.events import RetrainEnded, RetrainEpochReported, RetrainFailed
from tuner.journal.history import History, RetrainHistory
from tuner.paths import RunPaths
from tuner.results.selection import kept_retraining
from tuner.study.conductor import Record
from tuner.study.worker import Assignment, Job, Worker
from tuner.training.batches import Batches
from tuner.training.checkpoints import save_model
from tuner.training.evaluate import evaluate
from tuner.training.fit import EpochReport


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
    """A worker that, at the end, restores the best-dev weights and measures them on every split."""

    def first(self, assignment: Assignment) -> tuple[EpochReport, bool]:
        """Begin a training and return as `next` does."""
        self.begin(assignment)
        return self.next()

    def next(self) -> tuple[EpochReport, bool]:
        """Return the next epoch's report and whether it was the last."""
        return self.next_report(), self.finished

    def conclude(self, test: Split, weights: Path) -> tuple[dict[str, dict[str, float]], str]:
        """Write the best-dev weights; return the evaluation by split and the file's sha256."""
        self.training.restore_best()
        splits = {"train": self.job.splits.train, "dev": self.job.splits.dev, "test": test}
        evaluations = {name: self._evaluate(split) for name, split in splits.items()}
        return evaluations, save_model(self.training.model, weights, {"format": "pt"})

    def _evaluate(self, split: Split) -> dict[str, float]:
        batches = Batches(split, self.job.splits.mean, self.job.splits.std, self.device)
        result = evaluate(self.training.model, batches, device=self.device, precision=self.precision)
        return {"accuracy": result.accuracy, "loss": result.loss, "n": result.n}


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
) -> None:
    """Run those retrainings that `history` does not show as done, `workers` at a time, each from its last checkpoint.

    A retraining whose worker dies is taken up again up to `max_failures` times; one that diverges has failed.

    Raises:
        StorageError: if a checkpoint cannot be written; the retraining can then be resumed.
    """
    done = {key for key, known in history.retrains.items() if known.ended or known.failed}
    waiting = [retraining for retraining in retrainings if retraining.key not in done]
    running: dict[ray.ObjectRef[Any], _Run] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            retraining = waiting.pop(0)
            known = history.retrains.get(retraining.key, RetrainHistory(*retraining.key))
            run = _Run(retraining, set(known.epochs), job, test, resources, record, paths)
            running[run.start()] = run
        (ready,), _ = ray.wait(list(running), num_returns=1)
        run = running.pop(ready)
        following = run.advance(ready)
        if following is not None:
            running[following] = run


class _Run:
    """One retraining under way: an actor and the answer it owes."""

    def __init__(
        self,
        retraining: Retraining,
        known_epochs: set[int],
        job: ray.ObjectRef[Job],
        test: ray.ObjectRef[Split],
        resources: ResourceConfig,
        record: Record,
        paths: RunPaths,
    ) -> None:
        self._retraining = retraining
        self._known_epochs = known_epochs
        self._job = job
        self._test = test
        self._resources = resources
        self._record = record
        self._paths = paths
        self._failures = 0
        self._best: EpochReport | None = None
        self._concluding = False
        self._actor: Any = None

    def start(self) -> ray.ObjectRef[Any]:
        """Start the actor, from the newest checkpoint if there is one, and ask for the first epoch."""
        retraining = self._retraining
        checkpoints = self._paths.retrain_checkpoints(retraining.candidate, retraining.seed)
        options = {"num_cpus": self._resources.cpus_per_trial, "num_gpus": self._resources.gpus_per_trial}
        self._actor = ray.remote(RetrainWorker).options(**options).remote(self._job)
        self._concluding = False
        self._best = None
        assignment = Assignment(retraining.hparams, retraining.seed, retraining.max_epochs, checkpoints, keep_best=True)
        question: ray.ObjectRef[Any] = self._actor.first.remote(assignment)
        return question

    def advance(self, ready: ray.ObjectRef[Any]) -> ray.ObjectRef[Any] | None:
        """Take an answer and ask the next question; None if the retraining is over."""
        try:
            answer = ray.get(ready)
        except RayError as error:
            return self._recover(error)
        if not self._concluding:
            return self._take(*answer)
        self._conclude(*answer)
        return None

    def _take(self, report: EpochReport, last: bool) -> ray.ObjectRef[Any]:
        if report.epoch not in self._known_epochs:
            self._known_epochs.add(report.epoch)
            self._record(RetrainEpochReported(*self._retraining.key, **vars(report)))
        if self._best is None or report.dev_accuracy > self._best.dev_accuracy:
            self._best = report
        self._concluding = last
        weights = self._paths.retrain_weights(*self._retraining.key)
        question: ray.ObjectRef[Any] = (
            self._actor.conclude.remote(self._test, weights) if last else self._actor.next.remote()
        )
        return question

    def _conclude(self, evaluations: dict[str, dict[str, float]], sha256: str) -> None:
        assert self._best is not None
        weights = self._paths.retrain_weights(*self._retraining.key).relative_to(self._paths.root)
        self._record(
            RetrainEnded(
                *self._retraining.key, self._retraining.hparams, self._best.epoch, evaluations, str(weights), sha256
            )
        )
        self._stop()

    def _recover(self, error: RayError) -> ray.ObjectRef[Any] | None:
        self._stop()
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, StorageError):
            raise StorageError(str(cause)) from error
        self._failures += 1
        if isinstance(cause, TunerError) or self._failures > self._resources.max_failures:
            self._record(RetrainFailed(*self._retraining.key, " ".join(str(cause).split())))
            return None
        return self.start()

    def _stop(self) -> None:
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None


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
    if not paths.best_model.exists() or hash_file(paths.best_model) != chosen.weights_sha256:
        if not source.is_file() or hash_file(source) != chosen.weights_sha256:
            raise TunerError(f"{source} is missing or damaged: its sha256 must be {chosen.weights_sha256}.")
        write_whole(paths.best_model, lambda temporary: temporary.write_bytes(source.read_bytes()))
    write_json(paths.best_hparams, {**description, "hparams": dict(chosen.hparams), "seed": chosen.seed})
