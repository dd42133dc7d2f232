"""The journal as a story: one sentence for each event, for the screen too."""

from __future__ import annotations

from tuner.journal.events import (
    DriverStarted,
    EnsembleMeasured,
    EpochReported,
    Event,
    ModelMeasured,
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
    WarmStarted,
    WinnerSelected,
)
from tuner.journal.store import Entry
from tuner.results.summary import SPLITS
from tuner.results.wording import (
    duration,
    flatten,
    hparams_text,
    last_line,
    named_value,
    plain,
    planned_text,
    search_end_text,
)
from tuner.search.objective import Objective, number_text
from tuner.search.report import evaluated

_DECISIONS = {"CONTINUE": "goes on from", "PAUSE": "paused at", "STOP": "stopped at", "COMPLETE": "reached the last"}


def tell(entry: Entry, objective: Objective) -> str:
    """Return the event's line: the time worked on the run until then, and what happened."""
    return f"{duration(entry.elapsed):>12}  {sentence(entry.event, objective)}"


def sentence(event: Event, objective: Objective, *, brief: bool = False) -> str:
    """Return what happened, in one line that is safe to print; if `brief`, of an epoch the objective alone."""
    return " ".join(plain(_tell(event, objective, brief=brief)).split())


def _tell(event: Event, objective: Objective, *, brief: bool) -> str:
    match event:
        case StudyStarted():
            return f"the study began: space {event.config.get('space')}, data set {event.environment.get('dataset')}"
        case DriverStarted():
            return f"a driver began on {event.host}, commit {event.commit or 'unknown'}"
        case WarmStarted():
            what = "trials" if event.comparable else "configurations"
            return f"the search starts warm, with {len(event.trials)} {what} of {event.source}"
        case PlanMade():
            return "plan: " + ", ".join(f"{name} {value}" for name, value in flatten(event.plan))
        case SearchEnded():
            return f"the search ended: {search_end_text(event)}"
        case WinnerSelected():
            return f"trial {event.trial} won with {named_value(event.value, objective)} at epoch {event.epoch}"
        case RetrainingPlanned():
            return f"the retraining is planned: {planned_text(event)}"
        case EnsembleMeasured():
            return f"the ensemble of {len(event.seeds)} retrainings{_tell_evaluations(event, objective)}"
        case StudyEnded():
            return "the study ended"
        case EpochReported():
            where = "" if brief else f" on {event.worker}" + (", taken over" if event.reused else "")
            return f"trial {event.trial} {_tell_epoch(event, objective, brief=brief)}{where}"
        case RetrainEpochReported():
            epoch = _tell_epoch(event, objective, brief=brief)
            return f"retraining {event.candidate}, seed {event.seed}: {epoch}"
        case RetrainEnded() | RetrainFailed():
            return f"retraining {event.candidate}, seed {event.seed}, {_tell_retraining(event, objective)}"
        case _:
            return f"trial {event.trial} {_tell_trial(event)}"


def failure(event: TrialRetried) -> str:
    """Return what became of a trial that goes on all the same."""
    return "failed" if event.charged else "lost its worker"


def _tell_trial(
    event: TrialProposed | ModelMeasured | ParamsAsked | RungDecided | TrialPromoted | TrialRetried | TrialEnded,
) -> str:
    match event:
        case TrialProposed():
            expected = event.expected_improvement
            told = "" if expected is None else f"; expected improvement {expected:g}"
            return f"proposed ({event.origin.value}): {hparams_text(event.hparams)}{told}"
        case ParamsAsked():
            return f"asked for {hparams_text(event.params)}"
        case ModelMeasured():
            return "was measured: " + ", ".join(f"{name} {value:.6g}" for name, value in event.measures.items())
        case RungDecided():
            return f"{_DECISIONS.get(event.action, event.action)} rung {event.epoch}: {event.reason}"
        case TrialPromoted():
            return "is promoted and goes on"
        case TrialRetried():
            return f"{failure(event)} and is taken up again: {last_line(event.error)}"
        case TrialEnded():
            return f"ended {event.state.value}: {event.reason}"


def _tell_retraining(event: RetrainEnded | RetrainFailed, objective: Objective) -> str:
    match event:
        case RetrainEnded():
            what = "with the weights of" if event.weights else "after"
            return f"ended {what} epoch {event.best_epoch}{_tell_evaluations(event, objective)}"
        case RetrainFailed():
            return f"failed: {event.reason}"


def _tell_evaluations(event: RetrainEnded | EnsembleMeasured, objective: Objective) -> str:
    """Return the end of a sentence: the objective on each split where it was measured."""
    found = ((split, evaluated(event.evaluations.get(split, {}), objective)) for split in SPLITS)
    told = ", ".join(f"{split} {objective.text(value)}" for split, value in found if value is not None)
    return f": {told}" if told else ""


def _tell_epoch(event: EpochReported | RetrainEpochReported, objective: Objective, *, brief: bool) -> str:
    if brief:
        return f"epoch {event.epoch}: {named_value(event.metrics[objective.metric], objective)}"
    values = ", ".join(f"{name.replace('_', ' ')} {number_text(value)}" for name, value in event.metrics.items())
    return f"epoch {event.epoch}: {values}; {duration(event.seconds)}"
