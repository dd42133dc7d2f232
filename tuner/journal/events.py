"""What can happen in a run, as immutable records, and their form in the journal.

Every event is one JSON object whose `kind` is the class's name. Readers ignore fields they do not know, so a field can
be added without a new version; `SCHEMA_VERSION` changes when the meaning of an existing field does, with a new kind,
which older readers would take for damage, and when other proposals or reasons follow from the same record. Older
versions are read and gone on with: see `upgrade`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, get_type_hints

from pydantic import FiniteFloat, Strict, TypeAdapter, ValidationError

from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import ConfigError, JournalError
from tuner.journal.upgrade import upgraded
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.objective import Objective
from tuner.search.report import EpochReport
from tuner.search.trial import Origin, Proposal, TrialState

SCHEMA_VERSION = 8

Metrics = Mapping[str, Annotated[FiniteFloat, Strict()]]
"""By name. What was not finite is not written down: JSON has no word for it."""

NO_TIME_TO_RETRAIN = "its retraining would not fit into the time left"
"""The reason of a `TrialEnded` whose trial cannot win."""


@dataclass(frozen=True)
class StudyStarted:
    """The first event of every journal."""

    config: Mapping[str, Any]
    """The resolved configuration, as in `config.json`."""
    environment: Mapping[str, Any]
    """Versions, hardware and data hashes, as in `environment.json`."""
    schema_version: int = SCHEMA_VERSION
    """Of the driver that began the run; a later one may have gone on in a newer version."""
    objective: Objective = DEFAULT_OBJECTIVE
    """What trials are compared by."""


@dataclass(frozen=True)
class DriverStarted:
    """A driver process began to work on the run, at first or after a resume."""

    host: str
    commit: str | None
    """The version-control commit of the code that runs, if there is one."""
    workers: int | None = None
    """Trials that this driver trains at the same time."""
    nodes: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """Hardware of the cluster's machines, as in `environment.json`; empty if all trials train on the driver's own."""


@dataclass(frozen=True)
class WarmStarted:
    """The run begins with the trials of an earlier one; they stand here whole, for that one's folder may go."""

    source: str
    """The earlier run, as the user named it."""
    trials: Sequence[Mapping[str, Any]]
    """Each with the fields of `EarlierTrial`."""
    defaults: Mapping[str, Any]
    reusable: bool
    comparable: bool = True
    """These three as in `WarmStart`."""
    horizon: int | None = None
    """As there."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Of another tool's trials, how many are not among these, by the reason."""

    def warm_start(self) -> WarmStart:
        """Return it as the search wants it; raises JournalError if a trial is not what it must be."""
        try:
            trials = [_earlier(trial) for trial in self.trials]
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f"a trial of the warm start from {self.source} cannot be read: {error}") from error
        return WarmStart(trials, self.defaults, self.reusable, self.comparable, self.horizon)


@dataclass(frozen=True)
class PlanMade:
    """What the driver expects of the run, shown to the user before the first trial."""

    plan: Mapping[str, Any]


@dataclass(frozen=True)
class TrialProposed:
    """A configuration was chosen and is about to be trained."""

    trial: int
    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    hparams: Mapping[str, Any]
    origin: Origin
    seed: int
    """Seeds the trial's initial weights, batch order, augmentation and dropout."""
    infeasible: str | None = None
    """Why the trial ends before it is trained, as in `Proposal`."""
    expected_improvement: float | None = None
    """As in `Proposal`: told only where the search is to end when it has converged."""

    def proposal(self) -> Proposal:
        """Return the proposal as the searcher made it."""
        return Proposal(
            self.trial,
            self.params,
            self.distributions,
            self.hparams,
            self.origin,
            self.infeasible,
            self.expected_improvement,
        )


@dataclass(frozen=True)
class ModelMeasured:
    """What a trial's model costs, measured once, before the first epoch that this run trains of it."""

    trial: int
    measures: Metrics
    """By the names of `MEASURES`: `num_params` if the trainable knows it, `latency` (seconds) if it is an objective."""


@dataclass(frozen=True)
class ParamsAsked:
    """A trial asked for its parameters as it ran; these, and not those proposed, are what it trains."""

    trial: int
    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    """As in `TrialProposed`."""


@dataclass(frozen=True)
class EpochReported:
    """A trial finished an epoch."""

    trial: int
    epoch: int
    """Finished epochs, from 1."""
    metrics: Metrics
    """As the trainable returned them, the objective's among them."""
    seconds: float
    """Training and evaluation together."""
    worker: str
    """Host and process that trained it."""
    finished: bool = False
    """Whether the training has no further epoch: it had all, or made no progress for long."""
    reused: bool = False
    """Whether it was taken over from an equal trial of an earlier run, seconds and worker with it, and not trained."""
    relative_cost: float | None = None
    """Of an epoch that was taken over, the `EarlierTrial.relative_cost` of its trial."""

    @property
    def seconds_here(self) -> float | None:
        """What it took here; None if it was not trained here."""
        return None if self.reused else self.seconds

    def report(self) -> EpochReport:
        """Return the report as the worker made it."""
        return EpochReport(self.epoch, self.metrics, self.seconds)


@dataclass(frozen=True)
class RungDecided:
    """The scheduler compared a trial with the others at its rung."""

    trial: int
    epoch: int
    action: str
    reason: str
    """The comparison in words, with its numbers."""


@dataclass(frozen=True)
class TrialPromoted:
    """A trial that was paused at a rung is trained again: it has earned the next one, or was the best in the end."""

    trial: int


@dataclass(frozen=True)
class TrialRetried:
    """A trial's worker failed and the trial goes on from its last good checkpoint."""

    trial: int
    error: str
    charged: bool = True
    """Whether it counts towards `max_failures`; the loss of a whole node, as by pre-emption, does not."""
    epochs: int = 0
    """How many it had then; older journals do not tell."""


@dataclass(frozen=True)
class TrialEnded:
    """A trial will not train again."""

    trial: int
    state: TrialState
    reason: str
    error: str | None = None
    """The worker's traceback, for a failed trial."""


@dataclass(frozen=True)
class SearchEnded:
    """No further trial will be proposed."""

    reason: str
    seconds_left: float | None = None
    """Of the time for the search, if it had converged; None if it had not, or without a budget."""


@dataclass(frozen=True)
class WinnerSelected:
    """The configuration that will be retrained, and why."""

    trial: int
    hparams: Mapping[str, Any]
    metric: str
    """The objective's."""
    value: float
    """Its value in the trial's best epoch."""
    epoch: int
    rule: str


@dataclass(frozen=True)
class RetrainingPlanned:
    """What will be trained after the search, fitted to the time left; a later one, made when that ran short, counts."""

    retrainings: Sequence[Mapping[str, Any]]
    """In their order, each with `candidate`, `seed`, `max_epochs` and `hparams`, those that count epochs grown with the
    number of them."""
    seconds_per_epoch: Mapping[str, float]
    """By candidate: what its epochs cost so far."""
    seconds_left: float | None
    """Of the budget; None without one."""


@dataclass(frozen=True)
class RetrainEpochReported:
    """A retraining finished an epoch; fields as in `EpochReported`."""

    candidate: str
    """`tuned` or `baseline`."""
    seed: int
    epoch: int
    metrics: Metrics
    seconds: float


@dataclass(frozen=True)
class RetrainEnded:
    """A retraining restored the state of its best epoch, if it saves one, and was evaluated once on every split."""

    candidate: str
    seed: int
    hparams: Mapping[str, Any]
    best_epoch: int
    """What was evaluated: without a state to restore the last epoch, though older runs name the best."""
    evaluations: Mapping[str, Metrics]
    """By split (`train`, `dev`, `test`), the metrics of the trainable's `evaluate`."""
    weights: str
    """The weights' file, relative to the run's folder."""
    weights_sha256: str


@dataclass(frozen=True)
class RetrainFailed:
    """A retraining ended without a model."""

    candidate: str
    seed: int
    reason: str


@dataclass(frozen=True)
class EnsembleMeasured:
    """The winner's retrainings were measured as one answer, the mean of their probabilities, once on dev and test."""

    seeds: Sequence[int]
    evaluations: Mapping[str, Metrics]
    """By split, as in `RetrainEnded`."""
    weights: str
    """The file with the weights of all, relative to the run's folder."""
    weights_sha256: str


@dataclass(frozen=True)
class StudyEnded:
    """The run is done; nothing follows."""


Event = (
    StudyStarted
    | DriverStarted
    | WarmStarted
    | PlanMade
    | TrialProposed
    | ModelMeasured
    | ParamsAsked
    | EpochReported
    | RungDecided
    | TrialPromoted
    | TrialRetried
    | TrialEnded
    | SearchEnded
    | WinnerSelected
    | RetrainingPlanned
    | RetrainEpochReported
    | RetrainEnded
    | RetrainFailed
    | EnsembleMeasured
    | StudyEnded
)

_CLASSES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__args__}
_FIELDS = {
    name: {field: TypeAdapter(hint) for field, hint in get_type_hints(cls, include_extras=True).items()}
    for name, cls in _CLASSES.items()
}
"""Every field's type, which is checked: a journal may come from a stranger, and who reads an event relies on it."""
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "origin": Origin,
    "state": TrialState,
    "objective": lambda value: value if isinstance(value, Objective) else Objective(**value),
}
"""What makes our own types of JSON's."""


def to_record(event: Event) -> dict[str, Any]:
    """Return the event as a JSON-ready dictionary with its `kind`."""
    return {"kind": type(event).__name__, **asdict(event)}


def from_record(record: Mapping[str, Any]) -> Event:
    """Return the event of a dictionary made by `to_record`, perhaps by a newer or an older version.

    Raises:
        JournalError: if the kind is unknown, a field is missing or of another type.
    """
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise JournalError(f"kind is {kind!r}, but must be one of: {', '.join(_CLASSES)}.")
    record = upgraded(record)
    try:
        values = {name: _checked(kind, name, value) for name, value in record.items() if name in _FIELDS[kind]}
        return _CLASSES[kind](**values)
    except TypeError as error:
        raise JournalError(f"an event of kind {kind} cannot be read: {error}") from error


def _checked(kind: str, name: str, value: Any) -> Any:
    try:
        known = _READERS[name](value) if name in _READERS else value
        return _FIELDS[kind][name].validate_python(known, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise JournalError(f"{name} of an event of kind {kind} is impossible: {reason}.") from error
    except (ValueError, ConfigError) as error:
        raise JournalError(f"{name} of an event of kind {kind} is impossible: {error}") from error


def _earlier(trial: Mapping[str, Any]) -> EarlierTrial:
    epochs = [EarlierEpoch(**epoch) for epoch in trial["epochs"]]
    return EarlierTrial(**{**trial, "epochs": epochs, "state": TrialState(trial["state"])})
