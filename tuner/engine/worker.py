"""What happens in a worker process: one training after another, an epoch at a time, resumable at each."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.watchdog import watched
from tuner.errors import DataError, StorageError
from tuner.io import storage
from tuner.models import ModelSpec
from tuner.models.summary import trainable_parameters
from tuner.search.objective import LATENCY, NUM_PARAMS
from tuner.search.report import EpochReport
from tuner.training.checkpoints import save_model
from tuner.training.fit import Training
from tuner.training.latency import latency
from tuner.training.precision import resolve


@dataclass(frozen=True)
class Job:
    """What all trainings of a study share; travels through Ray's object store once."""

    splits: SearchData
    """Train and dev; the test set never comes here."""
    model: ModelSpec
    patience: int
    precision: str
    threads: int
    """torch threads of one training."""
    trial_timeout: float | None = None
    """Seconds that an epoch may take before its process counts as hanging and is ended; None: any time."""
    measures_latency: bool = False
    """Whether a trial's latency is an objective."""
    splits_sha256: str | None = None
    """What `splits` must hash to wherever they arrive; None if they never leave the process that made them."""


@dataclass(frozen=True)
class Conclusion:
    """What follows the last epoch of a training whose model is kept."""

    test: Callable[[], Split]
    """Fetches the test set, which comes to a worker for this alone."""
    location: str | Path
    """The folder or `s3://` address of the weights."""
    name: str
    """Their name there."""


@dataclass(frozen=True)
class Assignment:
    """One training to do."""

    hparams: Mapping[str, Any]
    seed: int
    max_epochs: int
    checkpoints: str | Path
    """The training's own place; what it holds already is where the training goes on from."""
    keep_best: bool = False
    """Whether the weights of the best dev epoch are wanted."""
    known_epochs: int = 0
    """Epochs whose reports the driver has already."""
    conclusion: Conclusion | None = None
    is_measured: bool = False
    """Whether what the model costs is wanted with the reports."""
    share: float = 1.0
    """Of the examples, the first: to measure how fast it trains, a sample is enough."""


class Worker:
    """Trains what it is assigned; a process may do many trainings, so it imports torch and maps the data once."""

    def __init__(self, job: Job) -> None:
        """Take the job's shared part.

        Raises:
            DataError: if the data on this node are not those the driver sent.
        """
        if job.splits_sha256 is not None and job.splits.fingerprint() != job.splits_sha256:
            raise DataError(f"the data on node {socket.gethostname()} are damaged: their fingerprint is another.")
        torch.set_num_threads(job.threads)
        self.job = job
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = resolve(job.precision, self.device)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        """Host and process, for the tables."""
        self._training: Training | None = None

    @property
    def training(self) -> Training:
        """The training under way."""
        assert self._training is not None, "nothing has begun"
        return self._training

    def begin(self, assignment: Assignment) -> None:
        """Set up a training, from its newest good checkpoint if it has one; raises StorageError if it cannot be read.

        Of the epochs in the checkpoint, the last that the driver knows and those after it are reported again: it may
        have died before it acted on that report. Whoever listens ignores what it has heard.
        """
        self._assignment = assignment
        self._store = CheckpointStore(assignment.checkpoints)
        self._build(assignment)
        if not self._store.load_newest(self.training) and not self._store.is_empty:
            self._build(assignment)  # a damaged checkpoint may have been loaded in part
        self._saved = self.training.epoch
        first = max(0, min(assignment.known_epochs, self.training.epoch) - 1)
        self._reported = first
        self._known: Iterator[EpochReport] = iter(tuple(self.training.reports[first:]))

    def measure(self) -> dict[str, float]:
        """Return what the model costs, by the names of `MEASURES`.

        The latency is measured if the job wants it, and only before the driver knows of an epoch: then it has it.
        """
        measures = {NUM_PARAMS.metric: float(trainable_parameters(self.training.model))}
        if self.job.measures_latency and self._assignment.known_epochs == 0:
            with watched(self.job.trial_timeout, self._assignment.checkpoints):
                found = latency(self.training.model, device=self.device, precision=self.precision)
            measures[LATENCY.metric] = found
        return measures

    def next_report(self) -> EpochReport:
        """Return the next epoch's report, trained now or known from the checkpoint.

        Raises:
            NonFiniteLossError: if the training diverged.
            StorageError: if the checkpoint cannot be written; the next call tries again, and does not train again.
        """
        report = next(self._known, None)
        if report is None:
            if self._saved == self.training.epoch:
                with watched(self.job.trial_timeout, self._assignment.checkpoints):
                    self.training.run_epoch()
            # Unwatched: that the storage is slow is no fault of the trial's.
            self._store.save(self.training)
            report = self.training.reports[-1]
            self._saved = report.epoch
        self._reported = report.epoch
        return report

    def conclude(self, conclusion: Conclusion) -> tuple[dict[str, dict[str, float]], str]:
        """Write the best-dev weights and measure them on every split; return that, by split, and the file's sha256.

        Raises:
            StorageError: if the weights cannot be written; it can be called again.
        """
        self.training.restore_best()
        # Written first: the test set is read once, when nothing can go wrong any more.
        sha256 = self._write_weights(conclusion)
        splits = {"train": self.job.splits.train, "dev": self.job.splits.dev, "test": conclusion.test()}
        return {name: self._evaluate(split) for name, split in splits.items()}, sha256

    @property
    def finished(self) -> bool:
        """Whether everything is reported of a training that has had its epochs, or made no progress for long."""
        return self.training.finished and self._reported == self.training.epoch

    def _write_weights(self, conclusion: Conclusion) -> str:
        place = storage.place(conclusion.location)
        try:
            with place.scratch() as folder:
                # A host cut off from the cluster may go on with a training that another has taken up.
                made = folder / f"unfinished-{socket.gethostname()}-{conclusion.name}"
                sha256 = save_model(self.training.model, made, {"format": "pt"})
                place.put(made, conclusion.name)
        except OSError as error:
            where = f"no weights can be written in {conclusion.location}"
            raise StorageError(f"{where}: {storage.explain(error)}.") from error
        return sha256

    def _evaluate(self, split: Split) -> dict[str, float]:
        return self.training.classifier.evaluate(split)

    def _build(self, assignment: Assignment) -> None:
        """Let go of the training there is, for a device may not have room for two, and set up a new one."""
        self._training = None
        with watched(self.job.trial_timeout, assignment.checkpoints):
            self._training = self._new_training(assignment)

    def _new_training(self, assignment: Assignment) -> Training:
        job = self.job
        return Training(
            job.model.build,
            assignment.hparams,
            job.splits,
            seed=assignment.seed,
            max_epochs=assignment.max_epochs,
            patience=job.patience,
            device=self.device,
            precision=self.precision,
            keep_best=assignment.keep_best,
        )
