"""What happens in a worker process: one training after another, an epoch at a time, resumable at each."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from tuner.config import DEFAULT_OBJECTIVE
from tuner.data.dataset import SearchData
from tuner.data.predictions import MAX_EXAMPLES, Predictions
from tuner.data.splits import as_split
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.device_errors import device_failure
from tuner.engine.outcome import Asked, Concluded
from tuner.engine.watchdog import watched
from tuner.errors import DataError, RehearsalError, StorageError, TrialFailedError, in_one_line
from tuner.io import storage
from tuner.io.arrays import write_arrays
from tuner.io.sources import Sources
from tuner.models.summary import trainable_parameters
from tuner.search.objective import LATENCY, MEASURES, NUM_PARAMS, Objective
from tuner.search.report import EpochReport, is_of_dev, without_split
from tuner.training.batches import blank_inputs
from tuner.training.checkpoints import save_model, save_state
from tuner.training.device import own_device
from tuner.training.latency import latency
from tuner.training.precision import resolve
from tuner.training.session import Session
from tuner.training.trainable import TrainableSpec

_MISTAKES = (NameError, ImportError, KeyError, AttributeError, TypeError, SystemExit)
_LOG = logging.getLogger(__name__)

MODEL_SUFFIX = ".safetensors"
"""Of the file of a model's weights; another file holds the state of a training of the task's own."""


@dataclass(frozen=True)
class Job:
    """What all trainings of a study share; travels through Ray's object store once."""

    splits: SearchData
    """Train and dev; the test set never comes here."""
    trainable: TrainableSpec
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
    objectives: tuple[Objective, ...] = (DEFAULT_OBJECTIVE,)
    """By the first one epochs are compared."""
    sources: Sources | None = None
    """The task's code, for what it imports only when it runs; None if that is importable everywhere."""


@dataclass(frozen=True)
class Conclusion:
    """What follows the last epoch of a training whose model is kept."""

    test: Callable[[], Any]
    """Fetches the test set, which comes to a worker for this alone."""
    location: str | Path
    """The folder or `s3://` address of the weights."""
    name: str
    """Their name there."""
    predictions: str | None = None
    """The name, beside them, of what is answered on dev by a training that tells it; None if it is not wanted."""


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
    ends_after: int | None = None
    """Epochs with which it has to end, of the `max_epochs` that it was planned for; None: with all."""
    conclusion: Conclusion | None = None
    is_measured: bool = False
    """Whether what the model costs is wanted with the reports."""
    hang_report: Path | None = None
    """The file on the driver's machine for where the training hung, if its checkpoints are in a bucket."""
    share: float = 1.0
    """Of the examples, the first: to measure how fast it trains, a sample is enough."""
    is_rehearsed: bool = False
    """Whether the training is to be evaluated on dev in the end, and its state taken back by one that is built anew."""
    enough_seconds: float | None = None
    """A training that saves its state ends with an epoch that took so long; None: with the last. One that saves none
    is trained on: whether it has another epoch it does not know before, and evaluated it may be at its end alone."""


class Worker:
    """Trains what it is assigned; a process may do many trainings, so it imports torch and maps the data once."""

    def __init__(self, job: Job) -> None:
        """Take the job's shared part.

        Raises:
            DataError: if the data on this node are not those the driver sent.
        """
        if job.splits_sha256 is not None and job.splits.fingerprint() != job.splits_sha256:
            raise DataError(f"the data on node {socket.gethostname()} are damaged: their fingerprint is another.")
        if job.sources is not None:
            job.sources.make_importable()
        torch.set_num_threads(job.threads)
        self.job = job
        self.device = own_device()
        self.precision = resolve(job.precision, self.device)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        """Host and process, for the tables."""
        self._training: Session | None = None
        self.evaluation: Mapping[str, float] | str | None = None
        """What a rehearsed training's `evaluate` has found on dev, or why it failed; None before, or if it could not be
        asked."""

    @property
    def training(self) -> Session:
        """The training under way."""
        assert self._training is not None, "nothing has begun"
        return self._training

    def begin(self, assignment: Assignment) -> None:
        """Set up a training, from its newest good checkpoint if it has one; raises StorageError if it cannot be read.

        Of the epochs in the checkpoint, the last that the driver knows and those after it are reported again: it may
        have died before it acted on that report. Whoever listens ignores what it has heard.
        """
        self._assignment = assignment
        self.evaluation = None
        self._store = CheckpointStore(assignment.checkpoints)
        self._build(assignment)
        state = self._store.newest() if self.training.saves_state else None
        if state is not None:  # what the training raises if it cannot take it is no reason to begin again
            self.training.load_state_dict(state)
        self._saved = self.training.epoch
        first = max(0, min(assignment.known_epochs, self.training.epoch) - 1)
        self._reported = first
        self._known: Iterator[EpochReport] = iter(tuple(self.training.reports[first:]))

    def measure(self) -> dict[str, float]:
        """Return what the model costs, by the names of `MEASURES`; nothing where there is no model yet.

        The latency is measured if the job wants it, and only before the driver knows of an epoch: then it has it.

        Raises:
            DataError: if there is no example of the data that a model could be shown.
            TrialFailedError: if an objective is measured of a model, but there is none yet.
        """
        hindrance = _hindrance(self.training.model)
        if hindrance is not None:
            wanted = [one.metric for one in self.job.objectives if one.metric in MEASURES]
            if wanted:
                raise TrialFailedError(f"{wanted[0]} is an objective, but {hindrance}.")
            return {}
        measures = {NUM_PARAMS.metric: float(trainable_parameters(self.training.model))}
        if self.job.measures_latency and self._assignment.known_epochs == 0:
            example = blank_inputs(as_split(self.job.splits.dev), 1)
            with self._watched():
                found = latency(self.training.answering_model, example, device=self.device, precision=self.precision)
            measures[LATENCY.metric] = found
        return measures

    def next_report(self) -> EpochReport:
        """Return the next epoch's report, trained now or known from the checkpoint.

        Raises:
            TrialFailedError: if the training cannot go on, for it diverged or its metrics are none; a RehearsalError if
                it is rehearsed, and its end fails.
            StorageError: if the checkpoint cannot be written; the next call tries again, and does not train again.
        """
        report = next(self._known, None)
        if report is None:
            if self._saved == self.training.epoch:
                with self._watched():
                    self.training.run_epoch()
            if self.training.saves_state:
                # Unwatched: that the storage is slow is no fault of the trial's.
                self._store.save(self.training)
            report = self.training.reports[-1]
            self._saved = report.epoch
        self._reported = report.epoch
        if self._assignment.is_rehearsed and self.finished:
            # As in the end: first the state is written, for what is evaluated may be another model thereafter.
            state = self.training.state_dict() if self.training.saves_state else None
            self._rehearse_evaluation()
            if state is not None:
                self._take_back(state)
        return report

    def _rehearse_evaluation(self) -> None:
        """Evaluate on dev what was trained, if it can be; raises RehearsalError if a mistake in the code shows.

        Else it would show after the whole search. What else goes wrong is told, for it may lie in so few epochs, or in
        this configuration. The test set is read only once, and train may be large.
        """
        if self.job.splits.dev is None or not self.training.ends:
            return
        try:
            with self._watched():
                self.evaluation = self.training.evaluate(self.job.splits.dev)
        except TrialFailedError as error:
            raise RehearsalError(str(error)) from None
        except (Exception, SystemExit) as error:  # of the user's code
            if device_failure(error) is not None:
                raise
            fault = f"evaluate() of {self.job.trainable.name} raised {in_one_line(error)}, on the dev split."
            if _is_mistake(error):
                raise RehearsalError(fault) from error
            self.evaluation = fault

    def _take_back(self, state: Mapping[str, Any]) -> None:
        """Show that a training can go on from what it saves; raises RehearsalError if it cannot.

        Else a trial that is promoted would be trained again from its first epoch, and the winner's best epoch be lost
        in the very end.
        """
        self._build(self._assignment)
        try:
            self.training.load_state_dict(state)
        except Exception as error:  # of the user's code
            raise RehearsalError(
                f"its load_state_dict() cannot take what its state_dict() gave: {in_one_line(error)}"
            ) from error

    def conclude(self, conclusion: Conclusion) -> Concluded:
        """Write what the best epoch left and measure it on every split.

        A training that cannot go back to its best epoch is measured as it is, and of one that cannot be measured the
        dev metrics of its last epoch are what is known. What has no state leaves no file, and an empty hash.

        Raises:
            StorageError: if the file cannot be written; it can be called again.
        """
        kept = self.training.restore_best()
        # Written first: the test set is read once, when nothing can go wrong any more.
        sha256 = self._write(conclusion) if self.training.saves_state else ""
        splits = {"train": self.job.splits.train, "dev": self.job.splits.dev, "test": conclusion.test()}
        with self._watched():
            found = {name: self.training.evaluate(split) for name, split in splits.items() if split is not None}
            if conclusion.predictions is not None and self.job.trainable.tells_probabilities:
                self._write_predictions(conclusion.location, conclusion.predictions)
        known = {name: metrics for name, metrics in found.items() if metrics}
        return Concluded(known or {"dev": _of_dev(kept, self.job.objectives)}, sha256, kept.epoch)

    @property
    def asked(self) -> Asked | None:
        """What a training that asks for its parameters as it runs has asked for by now; None of any other."""
        found = getattr(self.training.trainable, "asked", None)
        return None if found is None else Asked(*found)

    @property
    def finished(self) -> bool:
        """Whether everything is reported of a training that has had its epochs, or made no progress for long."""
        return (self.training.finished or self._is_enough) and self._reported == self.training.epoch

    @property
    def _is_enough(self) -> bool:
        """Whether the last epoch took so long that no other is wanted."""
        enough, reports = self._assignment.enough_seconds, self.training.reports
        return enough is not None and self.training.saves_state and bool(reports) and reports[-1].seconds >= enough

    def close(self) -> None:
        """Let go of the training there is; what the user's code raises then is no fault of whatever comes next."""
        training, self._training = self._training, None
        try:
            if training is not None:
                training.close()
        except Exception as error:  # of the user's code
            _LOG.warning("close() of %s raised %s", self.job.trainable.name, in_one_line(error))

    def _write(self, conclusion: Conclusion) -> str:
        place = storage.place(conclusion.location)
        try:
            with place.scratch() as folder:
                # A host cut off from the cluster may go on with a training that another has taken up.
                made = folder / f"unfinished-{socket.gethostname()}-{conclusion.name}"
                if conclusion.name.endswith(MODEL_SUFFIX):
                    sha256 = save_model(self.training.model, made, {"format": "pt"})
                else:
                    sha256 = save_state(self.training.trained_state(), made)
                place.put(made, conclusion.name)
        except OSError as error:
            where = f"no weights can be written in {conclusion.location}"
            raise StorageError(f"{where}: {storage.explain(error)}.") from error
        return sha256

    def _write_predictions(self, location: str | Path, name: str) -> None:
        """Keep what is answered on dev, for the report. What goes wrong here costs no training: it is only told."""
        dev = self.job.splits.dev
        try:
            if len(as_split(dev)) <= MAX_EXAMPLES:
                write_predictions(Predictions.of(dev, self.training.probabilities(dev)), location, name)
        except Exception as error:  # of the user's code, too
            reason = " ".join(str(error).split())
            _LOG.warning("no answers on the dev set are kept for the report: %s: %s", type(error).__name__, reason)

    def _watched(self) -> AbstractContextManager[None]:
        """Return what ends this process if the training takes longer than an epoch may."""
        return watched(self.job.trial_timeout, self._assignment.checkpoints, self._assignment.hang_report)

    def _build(self, assignment: Assignment) -> None:
        """Let go of the training there is, for a device may not have room for two, and set up a new one."""
        self.close()
        with self._watched():
            self._training = self._new_training(assignment)

    def _new_training(self, assignment: Assignment) -> Session:
        job = self.job
        return Session(
            job.trainable,
            assignment.hparams,
            job.splits,
            objectives=job.objectives,
            seed=assignment.seed,
            max_epochs=assignment.max_epochs,
            patience=job.patience,
            device=self.device,
            precision=self.precision,
            keep_best=assignment.keep_best,
            ends_after=assignment.ends_after,
        )


def _hindrance(model: Any) -> str | None:
    """Return why nothing can be measured of what a training has as its model; None if it can."""
    if not isinstance(model, nn.Module):
        return "what is trained has no attribute 'model' that is a torch model"
    if any(is_lazy(weight) for weight in model.parameters()):
        return "the model has lazy layers, which have no sizes before the first batch: give them their sizes"
    return None


def write_predictions(predictions: Predictions, location: str | Path, name: str) -> None:
    """Write a model's answers where its weights are; raises OSError."""
    place = storage.place(location)
    with place.scratch() as folder:
        made = folder / f"unfinished-{socket.gethostname()}-{name}"
        write_arrays(made, predictions.to_arrays())
        place.put(made, name)


def _of_dev(report: EpochReport, objectives: Sequence[Objective]) -> dict[str, float]:
    """Return the dev metrics of an epoch, without the name of the split: `dev_rmse` is the `rmse` of dev.

    An objective is one of them, whatever its name: trials are compared by it.
    """
    names = {objective.metric for objective in objectives}
    return {without_split(name): value for name, value in report.metrics.items() if is_of_dev(name) or name in names}


def _is_mistake(error: BaseException) -> bool:
    """Whether an exception tells of the code alone: more epochs, or another configuration, would not help.

    What is None may be so only until an epoch that was not trained.
    """
    return isinstance(error, _MISTAKES) and "None" not in str(error)
