"""What a program of your own, or a tracker, is told of a study: derive from `Callback` and override what you need.

    class Log(tuner.Callback):
        def on_epoch(self, epoch):
            print(epoch.trial, epoch.epoch, epoch.metrics)

    tuner.tune(space="my.py", callbacks=[Log()])

A space file can bring its own: `CALLBACKS = [Log()]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tuner.search.objective import Objective
from tuner.search.trial import Origin, TrialState


@dataclass(frozen=True)
class StudyStart:
    """A driver begins to work on a study, or goes on with it."""

    id: str
    """Of the study, whoever works on it, wherever it lies."""
    name: str
    """The run's."""
    folder: Path
    """The run's; of a run in a bucket, the copy on the driver's machine."""
    config: Mapping[str, Any]
    """The resolved configuration, as in `config.json`."""
    environment: Mapping[str, Any]
    """Versions, hardware and data hashes, as in `environment.json`."""
    objectives: Sequence[Objective]
    """What is searched for; trials are compared by the first."""
    time: float
    """When the study began, however often it was gone on with: seconds since the epoch, as all times here."""
    resumed: bool = False
    """Whether an earlier driver began it."""


@dataclass(frozen=True)
class TrialStart:
    """A trial is about to be trained for the first time."""

    trial: int
    params: Mapping[str, Any]
    """What the space asked for, by name."""
    hparams: Mapping[str, Any]
    """What it made of them: the hyperparameters for model and training."""
    origin: Origin
    seed: int
    time: float


@dataclass(frozen=True)
class Epoch:
    """A trial finished an epoch."""

    trial: int
    epoch: int
    """Finished epochs, from 1."""
    metrics: Mapping[str, float]
    seconds: float
    """Training and evaluation together."""
    worker: str
    """Host and process that trained it."""
    reused: bool
    """Whether it was taken over from an earlier run, and not trained."""
    time: float


@dataclass(frozen=True)
class TrialEnd:
    """A trial will not train again."""

    trial: int
    state: TrialState
    """COMPLETE, PRUNED or FAILED."""
    reason: str
    error: str | None
    """The worker's traceback, for a failed trial."""
    params: Mapping[str, Any]
    hparams: Mapping[str, Any]
    """As in `TrialStart`; a training that asks for parameters as it runs may have asked for more since."""
    epochs: int
    """Epochs that it finished."""
    best_epoch: int | None
    """The best of them by the first objective, of equals that of the lower dev loss; None if there is none."""
    metrics: Mapping[str, float]
    """Of the best epoch."""
    measures: Mapping[str, float]
    """What was measured of its model: `num_params`, `latency` in seconds."""
    time: float


@dataclass(frozen=True)
class RetrainEpoch:
    """A retraining, after the search, finished an epoch."""

    candidate: str
    """`tuned` or `baseline`."""
    seed: int
    epoch: int
    """Finished epochs, from 1."""
    metrics: Mapping[str, float]
    seconds: float
    """Training and evaluation together."""
    time: float


@dataclass(frozen=True)
class Retraining:
    """A configuration that was trained afresh after the search, and what it scored."""

    candidate: str
    """`tuned`, `baseline` or `ensemble`."""
    seed: int | None
    """None for an ensemble, which has one for each member."""
    best_epoch: int | None
    evaluations: Mapping[str, Mapping[str, float]]
    """Metrics by split (`train`, `dev`, `test`)."""


@dataclass(frozen=True)
class StudyEnd:
    """A driver's work has ended."""

    finished: bool
    """Whether the study is done; else it was stopped, and may be gone on with."""
    winner: int | None
    """The trial that won; None before one was chosen."""
    hparams: Mapping[str, Any]
    """The winner's."""
    value: float | None
    """The first objective's, in the winner's best epoch."""
    retrainings: Sequence[Retraining] = field(default_factory=tuple)
    time: float = 0.0


class Callback:
    """Is told what happens in a study, after it is in the journal, in a thread of its own.

    What a method raises is shown once and costs the study nothing. A killed driver may lose what it had not told yet.
    """

    replays: ClassVar[bool] = False
    """Whether a driver that goes on with a study tells everything from its beginning, and not only what is new.

    Such a callback must bear being told the same again. Every trial and every epoch has its number.
    """

    def on_study_start(self, study: StudyStart) -> None:
        """Take that a driver begins; it is the first thing that a callback is told."""

    def on_trial_start(self, trial: TrialStart) -> None:
        """Take a trial that is about to begin."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Take an epoch; each is told once, even if a failure lets it be trained again."""

    def on_trial_end(self, trial: TrialEnd) -> None:
        """Take a trial's end."""

    def on_retrain_epoch(self, epoch: RetrainEpoch) -> None:
        """Take an epoch of a retraining; each is told once, even if a failure lets it be trained again."""

    def on_study_end(self, study: StudyEnd) -> None:
        """Take the end of the driver's work; it is the last thing that a callback is told."""
