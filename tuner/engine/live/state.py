"""What the live view knows of a run: kept up event by event, with constant work and memory for each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.live.curve import Curve
from tuner.engine.plan import Plan
from tuner.journal.events import (
    NO_TIME_TO_RETRAIN,
    DriverStarted,
    EpochReported,
    Event,
    ParamsAsked,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainFailed,
    RetrainingPlanned,
    RungDecided,
    SearchEnded,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialPromoted,
    TrialProposed,
    TrialRetried,
    WinnerSelected,
)
from tuner.results.reference import Reference, reference_for
from tuner.results.story import failure
from tuner.results.wording import last_line
from tuner.search.influence import Influence
from tuner.search.objective import Objective
from tuner.search.pace import Pace, recorded_resource
from tuner.search.report import evaluated
from tuner.search.scheduler import Action
from tuner.search.trial import Origin, TrialState

_REMEMBERED_TROUBLES = 8
_UNREAD_RESULTS = 1000


class Phase(StrEnum):
    """What is being done now."""

    STARTING = "starting"
    MEASURING = "measuring"
    SEARCH = "search"
    RETRAINING = "retraining"
    ENSEMBLE = "ensemble"
    REPORT = "report"


@dataclass
class Rung:
    """What happened so far at one rung."""

    epoch: int
    reached: int = 0
    """Trials that finished this epoch."""
    promoted: int = 0
    """Of them, those that went on, at once or after a pause."""
    paused: int = 0
    """Those that wait here now."""
    given_up: int = 0
    """Those that ended here before their last epoch."""
    best: float | None = None
    """Best value of them, up to this epoch."""


@dataclass
class Best:
    """A trial's best epoch."""

    trial: int
    epoch: int
    value: float
    params: Mapping[str, Any]


@dataclass
class Trial:
    """One that has not ended."""

    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    epoch: int = 0
    curve: Curve = field(default_factory=Curve)
    best: Best | None = None
    waits_at: int | None = None
    """The rung at which it is paused; None while it runs."""


@dataclass
class Retrain:
    """A training after the search."""

    candidate: str
    seed: int
    max_epochs: int | None = None
    epoch: int = 0
    curve: Curve = field(default_factory=Curve)
    best: float | None = None
    evaluations: Mapping[str, float] | None = None
    """The objective by split; None until it has ended."""
    failed: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has begun and more is to come of it."""
        return self.epoch > 0 and self.evaluations is None and self.failed is None


class LiveState:
    """A run as the live view shows it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.phase = Phase.STARTING
        self.objective: Objective = DEFAULT_OBJECTIVE
        self.reference: Reference | None = None
        self.space = ""
        self.dataset = ""
        self.workers = 0
        self.plan: Plan | None = None
        self.pace = Pace((1,))
        """Says which epochs of a trial are rungs."""
        self._resource = "epochs"
        self.rungs: dict[int, Rung] = {}
        self.trials: dict[int, Trial] = {}
        """Those that have not ended, by number."""
        self.states: Counter[TrialState] = Counter()
        self.epochs = 0
        """Trained in the search, by all trials together."""
        self.baseline: Best | None = None
        """The first start configuration's best epoch in the search."""
        self.best: Best | None = None
        """Of all trials that can win."""
        self.seen = Curve()
        """The values of all trainings, in the order in which they came."""
        self.winner: WinnerSelected | None = None
        self.retrains: dict[tuple[str, int], Retrain] = {}
        self.troubles: deque[str] = deque(maxlen=_REMEMBERED_TROUBLES)
        """The last failures, each in a sentence."""
        self.trouble_count = 0
        self._bests: dict[int, Best] = {}
        """Of ended trials too: should the best turn out not to count, there must be another."""
        self._baseline: int | None = None
        self._influence = Influence()
        self._unread: deque[tuple[Mapping[str, Any], Mapping[str, str], float]] = deque(maxlen=_UNREAD_RESULTS)
        """First results that the influence does not know yet; it is asked only when something is drawn."""

    @property
    def running(self) -> list[Trial]:
        """The trials that are being trained."""
        return [trial for trial in self.trials.values() if trial.waits_at is None]

    def ranked(self, names: Sequence[str]) -> list[str]:
        """Return parameters by their influence on the results at the first rung, the largest first."""
        while self._unread:
            self._influence.add(*self._unread.popleft())
        return self._influence.ranked(names)

    def take(self, event: Event) -> None:
        """Take note of what happened."""
        match event:
            case RetrainingPlanned() | RetrainEpochReported() | RetrainEnded() | RetrainFailed() | WinnerSelected():
                self._take_retraining(event)
            case TrialProposed() | ParamsAsked() | EpochReported() | RungDecided() | TrialPromoted() | TrialEnded():
                self._take_trial(event)
            case TrialRetried():
                self._note(f"trial {event.trial} {failure(event)} and goes on: {last_line(event.error)}")
            case StudyStarted():
                self._begin(event)
            case DriverStarted():
                self.workers = event.workers or 0
                self.phase = self._phase_by_journal()
            case PlanMade():
                self.plan = Plan.from_dict(event.plan)
                self.pace = Pace.of(self._resource, event.plan)
                self.workers = self.workers or self.plan.workers
                self.rungs = {level: self.rungs.get(level, Rung(level)) for level in self.plan.rungs}
                self.phase = self._phase_by_journal()
            case SearchEnded():
                self.phase = Phase.RETRAINING
            case StudyEnded():
                self.phase = Phase.REPORT

    def _begin(self, event: StudyStarted) -> None:
        self.objective = event.objective
        self._resource = recorded_resource(event.config)
        self.space = str(event.config.get("space", ""))
        self.dataset = str(event.environment.get("dataset", ""))
        model = event.environment.get("model")
        if isinstance(model, str) and event.objective == DEFAULT_OBJECTIVE:
            self.reference = reference_for(self.dataset, model)

    def _phase_by_journal(self) -> Phase:
        """Return where a driver begins that goes on with the run as it stands."""
        if self.plan is None:
            return Phase.MEASURING
        return Phase.RETRAINING if self.winner else Phase.SEARCH

    def _take_trial(
        self, event: TrialProposed | ParamsAsked | EpochReported | RungDecided | TrialPromoted | TrialEnded
    ) -> None:
        if isinstance(event, TrialProposed):
            self.trials[event.trial] = Trial(event.trial, event.params, event.distributions)
            self.states[TrialState.RUNNING] += 1
            if self._baseline is None and event.origin is Origin.START:
                self._baseline = event.trial
            return
        trial = self.trials.get(event.trial)
        if trial is None:  # it has ended, and what comes late changes nothing
            return
        match event:
            case ParamsAsked():
                trial.params, trial.distributions = event.params, event.distributions
            case EpochReported():
                self._report(trial, event)
            case RungDecided():
                self._decide(trial, event)
            case TrialPromoted():
                self._promote(trial)
            case TrialEnded():
                self._end(trial, event)

    def _report(self, trial: Trial, event: EpochReported) -> None:
        if event.epoch <= trial.epoch:  # trained again after a failure: the first report counts
            return
        value = event.metrics[self.objective.metric]
        trial.epoch = event.epoch
        trial.curve.add(value)
        self.epochs += not event.reused
        self.seen.add(value)
        if trial.best is None or self._is_better(value, trial.best.value):
            trial.best = self._bests[trial.number] = Best(trial.number, event.epoch, value, trial.params)
            if trial.number == self._baseline:
                self.baseline = trial.best
            if self.best is None or self._is_better(value, self.best.value):
                self.best = trial.best
        self.pace.note(trial.number, event.epoch, event.seconds_here, event.relative_cost)
        level = self.pace.rung(trial.number, event.epoch)
        rung = None if level is None else self.rungs.get(level)
        if rung is not None:
            rung.reached += 1
            if rung.best is None or self._is_better(trial.best.value, rung.best):
                rung.best = trial.best.value
            if self.plan is not None and level == self.plan.rungs[0]:
                self._unread.append((trial.params, trial.distributions, self.objective.score(trial.best.value)))

    def _decide(self, trial: Trial, event: RungDecided) -> None:
        rung = self.rungs.get(event.epoch)
        if event.action == Action.PAUSE:
            trial.waits_at = event.epoch
            self._move(TrialState.RUNNING, TrialState.PAUSED)
        if rung is None:
            return
        match event.action:
            case Action.PAUSE:
                rung.paused += 1
            case Action.CONTINUE:
                rung.promoted += 1
            case Action.STOP:
                rung.given_up += 1

    def _promote(self, trial: Trial) -> None:
        if trial.waits_at is None:
            return
        rung = self.rungs.get(trial.waits_at)
        if rung is not None:
            rung.paused -= 1
            rung.promoted += 1
        trial.waits_at = None
        self._move(TrialState.PAUSED, TrialState.RUNNING)

    def _end(self, trial: Trial, event: TrialEnded) -> None:
        self._move(TrialState.RUNNING if trial.waits_at is None else TrialState.PAUSED, event.state)
        rung = None if trial.waits_at is None else self.rungs.get(trial.waits_at)
        if rung is not None:
            rung.paused -= 1
            rung.given_up += 1
        del self.trials[trial.number]
        self.pace.forget(trial.number)
        if event.state is TrialState.FAILED:
            self._note(f"trial {trial.number} failed: {event.reason}")
        if event.state is TrialState.FAILED or event.reason == NO_TIME_TO_RETRAIN:
            self._disregard(trial.number)

    def _disregard(self, number: int) -> None:
        """Let a trial not count; only if it was the best, which is rare, all others are looked through."""
        self._bests.pop(number, None)
        if self.best is not None and self.best.trial == number:
            self.best = max(
                self._bests.values(), key=lambda one: (self.objective.score(one.value), -one.trial), default=None
            )

    def _take_retraining(
        self, event: RetrainingPlanned | RetrainEpochReported | RetrainEnded | RetrainFailed | WinnerSelected
    ) -> None:
        match event:
            case WinnerSelected():
                self.winner = event
                self.phase = Phase.RETRAINING
            case RetrainingPlanned():
                self._plan_retraining(event)
            case RetrainEpochReported():
                self._report_retraining(event)
            case RetrainEnded():
                found = {split: evaluated(metrics, self.objective) for split, metrics in event.evaluations.items()}
                retrain = self._retrain(event.candidate, event.seed)
                retrain.evaluations = {split: value for split, value in found.items() if value is not None}
                retrain.failed = None
            case RetrainFailed():
                self._retrain(event.candidate, event.seed).failed = event.reason
                self._note(f"retraining {event.candidate}, seed {event.seed}, failed: {event.reason}")

    def _plan_retraining(self, event: RetrainingPlanned) -> None:
        planned = {}
        for one in event.retrainings:
            retrain = self._retrain(one["candidate"], one["seed"])
            retrain.max_epochs = one["max_epochs"]
            planned[one["candidate"], one["seed"]] = retrain
        # A later plan may do without some of an earlier one.
        self.retrains = planned | {key: one for key, one in self.retrains.items() if one.epoch}

    def _report_retraining(self, event: RetrainEpochReported) -> None:
        retrain = self._retrain(event.candidate, event.seed)
        retrain.failed = None  # by an earlier driver; this one tries again
        if event.epoch <= retrain.epoch:
            return
        value = event.metrics[self.objective.metric]
        retrain.epoch = event.epoch
        retrain.curve.add(value)
        self.seen.add(value)
        if retrain.best is None or self._is_better(value, retrain.best):
            retrain.best = value

    def _retrain(self, candidate: str, seed: int) -> Retrain:
        return self.retrains.setdefault((candidate, seed), Retrain(candidate, seed))

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)
        self.trouble_count += 1

    def _move(self, before: TrialState, after: TrialState) -> None:
        self.states[before] -= 1
        self.states[after] += 1

    def _is_better(self, value: float, than: float) -> bool:
        return self.objective.score(value) > self.objective.score(than)
