"""The numbers that every report shows, so that text, HTML and model card cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.journal.events import RetrainEnded, WinnerSelected
from tuner.journal.history import History
from tuner.results.intervals import Interval, Spread, spread, wilson
from tuner.results.reference import reference_for
from tuner.results.selection import BASELINE, TUNED, kept_retraining, select
from tuner.search.trial import TrialState

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class FinalRow:
    """One line of the final table."""

    label: str
    seeds: str
    """How many, or which one."""
    accuracy: Mapping[str, Spread]
    """By split, fractions."""
    loss: Mapping[str, Spread]
    """By split, nats; empty where it is not known."""
    test_interval: Interval | None
    """None for a mean over several models: the interval is that of one model on one test set."""


@dataclass(frozen=True)
class RungRow:
    """What happened at one rung."""

    epoch: int
    reached: int
    """Trials that finished this epoch."""
    stopped: int
    """Trials that the scheduler stopped here."""
    best: float | None
    """Highest dev accuracy of any trial up to this epoch; None if no trial got here."""


@dataclass(frozen=True)
class Summary:
    """A run in numbers."""

    name: str
    dataset: str
    stage: str
    """How far the run is, in words."""
    final: tuple[FinalRow, ...]
    states: Mapping[str, int]
    """Trials by state, all states."""
    epochs: int
    """Epochs of all trials together."""
    search_seconds: float | None
    """Worked on the run until the search ended; None while it has not."""
    total_seconds: float
    rungs: tuple[RungRow, ...]
    winner: WinnerSelected | None
    """The winner; before it is selected, the best so far."""
    kept: RetrainEnded | None
    """The retraining whose weights lie in `best/`."""

    @property
    def is_measured(self) -> bool:
        """Whether a model of this run has been measured: the final table holds more than the reference."""
        return any(row.loss for row in self.final)


def summarize(history: History, name: str) -> Summary:
    """Return the summary of a run, finished or not, whose folder is called `name`."""
    dataset = dataset_name(history)
    return Summary(
        name=name,
        dataset=dataset,
        stage=_stage(history),
        final=_final_rows(history, dataset),
        states={state.value: _count(history, state) for state in TrialState},
        epochs=history.epochs_trained,
        search_seconds=history.search_seconds,
        total_seconds=history.elapsed,
        rungs=tuple(_rung_row(history, level) for level in rung_epochs(history)),
        winner=history.winner or select(history),
        kept=kept_retraining(history),
    )


def dataset_name(history: History) -> str:
    """Return the name of the data set the run was made with, which for `auto` the configuration does not tell."""
    name: Any = history.environment.get("dataset") or history.config["data"]["dataset"]
    return str(name)


def rung_epochs(history: History) -> tuple[int, ...]:
    """Return the rungs: those planned, and those where the scheduler decided."""
    planned = (history.plan or {}).get("rungs", ())
    decided = (decision.epoch for trial in history.trials.values() for decision in trial.decisions)
    return tuple(sorted({*planned, *decided}))


def _count(history: History, state: TrialState) -> int:
    return sum(trial.state is state for trial in history.trials.values())


def _stage(history: History) -> str:
    if history.ended:
        return "finished"
    if history.search_ended is None:
        return "not finished: the search has not ended"
    if history.winner is None:
        return f"not finished: the search ended ({history.search_ended.reason}), but no winner was selected"
    done = sum(retrain.ended is not None for retrain in history.retrains.values())
    return f"not finished: {done} retrainings have ended"


def _final_rows(history: History, dataset: str) -> tuple[FinalRow, ...]:
    rows = [_reference_row(dataset), _mean_row(history, BASELINE), _mean_row(history, TUNED)]
    kept = kept_retraining(history)
    if kept is not None:
        rows.append(_row("tuned, in best/", str(kept.seed), [kept]))
    return tuple(row for row in rows if row is not None)


def _reference_row(dataset: str) -> FinalRow | None:
    reference = reference_for(dataset)
    if reference is None:
        return None
    accuracy = {split: spread([value]) for split, value in reference.accuracy.items()}
    interval = wilson(reference.accuracy["test"], reference.n["test"])
    return FinalRow(reference.name, "1", accuracy, {}, interval)


def _mean_row(history: History, candidate: str) -> FinalRow | None:
    ended = [
        retrain.ended
        for retrain in history.retrains.values()
        if retrain.candidate == candidate and retrain.ended is not None
    ]
    if not ended:
        return None
    label = f"{candidate}, mean" if len(ended) > 1 else candidate
    return _row(label, f"{len(ended)} seeds" if len(ended) > 1 else "1 seed", ended)


def _row(label: str, seeds: str, ended: list[RetrainEnded]) -> FinalRow:
    def over_seeds(measure: str) -> dict[str, Spread]:
        return {split: spread([one.evaluations[split][measure] for one in ended]) for split in SPLITS}

    test = ended[0].evaluations["test"]
    interval = wilson(test["accuracy"], int(test["n"])) if len(ended) == 1 else None
    return FinalRow(label, seeds, over_seeds("accuracy"), over_seeds("loss"), interval)


def _rung_row(history: History, level: int) -> RungRow:
    reached = [trial for trial in history.trials.values() if level in trial.epochs]
    stopped = sum(
        decision.epoch == level and decision.action == "STOP" for trial in reached for decision in trial.decisions
    )
    best = max(
        (report.dev_accuracy for trial in reached for report in trial.epochs.values() if report.epoch <= level),
        default=None,
    )
    return RungRow(level, len(reached), stopped, best)
