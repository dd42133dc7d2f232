"""The numbers that every report shows, so that text, HTML and model card cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.journal.events import EnsembleMeasured, RetrainEnded, WinnerSelected
from tuner.journal.history import History
from tuner.results.intervals import Interval, Spread, spread, wilson
from tuner.results.reference import Reference, reference_for
from tuner.results.selection import BASELINE, TUNED, kept_ensemble, kept_retraining, select
from tuner.search.objective import Objective
from tuner.search.pace import Pace, recorded_resource
from tuner.search.report import best_of, evaluation_name
from tuner.search.trial import TrialState

SPLITS = ("train", "dev", "test")

_REFERENCE_METRIC = "accuracy"
_EXAMPLES = "n"
"""The name under which an evaluation tells how many examples it was of."""


@dataclass(frozen=True)
class FinalRow:
    """One line of the final table."""

    label: str
    seeds: str
    """How many, or which one."""
    values: Mapping[str, Mapping[str, Spread]]
    """By metric of the evaluation and by split."""
    test_interval: Interval | None
    """Of the leading metric: of a proportion that of one model with this value on one test set, of others that of the
    mean over seeds; None where there is no such."""
    lacking: Mapping[str, int] = field(default_factory=dict)
    """By split, of how many of its seeds the leading metric is no finite number, where it is of another."""
    failed: int = 0
    """Seeds whose retraining failed, which are not among the `seeds`."""

    def spread(self, metric: str, split: str) -> Spread | None:
        """Return a metric on a split; None where it is not known."""
        return self.values.get(metric, {}).get(split)


@dataclass(frozen=True)
class RungRow:
    """What happened at one rung."""

    epoch: int
    reached: int
    """Trials that finished this epoch."""
    paused: int
    """Of them, those that paused here, for whatever time."""
    promoted: int
    """Of those, the ones that were promoted."""
    stopped: int
    """Trials that ended here: stopped by the scheduler, or paused and never promoted."""
    best: float | None
    """Best value up to this epoch of any trial that has not failed; None if none got here."""


@dataclass(frozen=True)
class Summary:
    """A run in numbers."""

    name: str
    dataset: str
    stage: str
    """How far the run is, in words."""
    objective: Objective
    leading: str
    """The metric of the evaluations that is the objective's, else their first."""
    others: tuple[str, ...]
    """The other metrics of the evaluations."""
    splits: tuple[str, ...]
    """Those that were evaluated."""
    final: tuple[FinalRow, ...]
    reference: Reference | None
    """What others report, if their row stands in the final table."""
    states: Mapping[str, int]
    """Trials by state, all states."""
    epochs: int
    """Epochs of all trials together."""
    search_seconds: float | None
    """Worked on the run until the search ended; None while it has not."""
    search_seconds_left: float | None
    """Of the time for the search, if it had converged; None without a budget, too."""
    total_seconds: float
    rungs: tuple[RungRow, ...]
    winner: WinnerSelected | None
    """The winner; before it is selected, the best so far."""
    kept: RetrainEnded | None
    """The retraining that is best on dev; its weights lie in `best/` unless there is `kept_ensemble`."""
    kept_ensemble: EnsembleMeasured | None
    """The ensemble, if its weights lie in `best/`."""

    @property
    def is_proportion(self) -> bool:
        """Whether the leading metric is known to be a proportion."""
        return _is_proportion(self.leading, self.objective)

    @property
    def has_wilson_intervals(self) -> bool:
        """Whether the intervals of the final table are those of a proportion of so many examples."""
        return self.is_proportion and any(_EXAMPLES in row.values for row in self.final)

    @property
    def is_measured(self) -> bool:
        """Whether a model of this run has been measured: the final table holds more than the reference."""
        return len(self.final) > (self.reference is not None)


def summarize(history: History, name: str) -> Summary:
    """Return the summary of a run, finished or not, whose folder is called `name`."""
    leading, *others = _evaluated_metrics(history)
    pace = pace_of(history)
    reference = _reference(history) if leading == _REFERENCE_METRIC else None
    return Summary(
        name=name,
        dataset=dataset_name(history),
        stage=_stage(history),
        objective=history.objective,
        leading=leading,
        others=tuple(others),
        splits=_evaluated_splits(history),
        final=_final_rows(history, leading, reference),
        reference=reference,
        states={state.value: _count(history, state) for state in TrialState},
        epochs=history.epochs_trained,
        search_seconds=history.search_seconds,
        search_seconds_left=None if history.search_ended is None else history.search_ended.seconds_left,
        total_seconds=history.elapsed,
        rungs=tuple(_rung_row(history, pace, level) for level in rung_epochs(history)),
        winner=history.winner or select(history),
        kept=kept_retraining(history),
        kept_ensemble=kept_ensemble(history),
    )


def dataset_name(history: History) -> str:
    """Return the name of the data set the run was made with, which for `auto` the configuration does not tell."""
    name: Any = history.environment.get("dataset") or history.config["data"]["dataset"]
    return str(name)


def failed_retrainings(history: History, candidate: str) -> int:
    """Return how many of a candidate's retrainings ended without a model."""
    tried = (one for one in history.retrains.values() if one.candidate == candidate)
    return sum(one.failed is not None for one in tried)


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


def _ended(history: History) -> list[RetrainEnded]:
    return [retrain.ended for retrain in history.retrains.values() if retrain.ended is not None]


def _evaluated_metrics(history: History) -> list[str]:
    """Return the metrics of the evaluations, the objective's first; how many examples there were is none."""
    found = dict.fromkeys(name for one in _ended(history) for metrics in one.evaluations.values() for name in metrics)
    found.pop(_EXAMPLES, None)
    objective = history.objective
    name = objective.metric if objective.metric in found else evaluation_name(objective)
    leading = name if name in found or not found else next(iter(found))
    return [leading, *(name for name in found if name != leading)]


def _evaluated_splits(history: History) -> tuple[str, ...]:
    evaluated = {split for one in _ended(history) for split in one.evaluations}
    return tuple(split for split in SPLITS if split in evaluated)


def _reference(history: History) -> Reference | None:
    model: Any = history.environment.get("model")
    return reference_for(dataset_name(history), model if isinstance(model, str) else None)


def _final_rows(history: History, leading: str, reference: Reference | None) -> tuple[FinalRow, ...]:
    rows = [_mean_row(history, candidate, leading) for candidate in (BASELINE, TUNED)]
    rows += _single_answers(history, leading)
    if reference is not None:
        rows.insert(0, _reference_row(reference))
    return tuple(row for row in rows if row is not None)


def _single_answers(history: History, leading: str) -> list[FinalRow]:
    """Return the rows of the best retraining and of the ensemble, the one in `best/` last."""
    kept, ensemble, in_best = kept_retraining(history), history.ensemble, kept_ensemble(history)
    rows = []
    if kept is not None:
        label = "tuned, best on dev" if in_best or not kept.weights else "tuned, in best/"
        rows.append(_row(label, str(kept.seed), [kept], history.objective, leading))
    if ensemble is not None:
        label = "ensemble, in best/" if in_best else "ensemble"
        row = _row(label, f"{len(ensemble.seeds)} seeds", [ensemble], history.objective, leading)
        rows.insert(len(rows) if in_best else 0, row)
    return rows


def _reference_row(reference: Reference) -> FinalRow:
    accuracy = {split: spread([value]) for split, value in reference.accuracy.items()}
    interval = wilson(reference.accuracy["test"], reference.n["test"])
    return FinalRow(reference.name, "1", {_REFERENCE_METRIC: accuracy}, interval)


def _mean_row(history: History, candidate: str, leading: str) -> FinalRow | None:
    ended = [one for one in _ended(history) if one.candidate == candidate]
    if not ended:
        return None
    label = f"{candidate}, mean" if len(ended) > 1 else candidate
    seeds = f"{len(ended)} seeds" if len(ended) > 1 else "1 seed"
    row = _row(label, seeds, ended, history.objective, leading)
    return replace(row, failed=failed_retrainings(history, candidate))


def _row(
    label: str, seeds: str, ended: Sequence[RetrainEnded | EnsembleMeasured], objective: Objective, leading: str
) -> FinalRow:
    found: dict[str, dict[str, list[float]]] = {}
    for one in ended:
        for split, metrics in one.evaluations.items():
            for name, value in metrics.items():
                found.setdefault(name, {}).setdefault(split, []).append(value)
    values = {name: {split: spread(several) for split, several in by_split.items()} for name, by_split in found.items()}
    test = values.get(leading, {}).get("test")
    examples = values.get(_EXAMPLES, {}) if _is_proportion(leading, objective) else None
    interval = None if test is None else _interval(test, examples)
    known = values.get(leading, {})
    # What is not finite was left out when it was measured.
    lacking = {split: len(ended) - spread.n for split, spread in known.items() if spread.n < len(ended)}
    return FinalRow(label, seeds, values, interval, lacking)


def _is_proportion(leading: str, objective: Objective) -> bool:
    # Of another metric than its own, such as a loss where nothing else is evaluated, the objective says nothing.
    return objective.proportion and leading in (objective.metric, evaluation_name(objective))


def _interval(test: Spread, examples: Mapping[str, Spread] | None) -> Interval | None:
    """Return the interval of a proportion of so many `examples`, by split; without them that of the mean over seeds."""
    if examples is None or "test" not in examples:
        return test.interval
    n = round(examples["test"].mean)
    return wilson(test.mean, n) if n and 0 <= test.mean <= 1 else None


def pace_of(history: History) -> Pace:
    """Return when the run's trials reached its rungs."""
    pace = _pace_of_plan(history)
    for trial in history.trials.values():
        pace.note_all(trial.number, trial.epochs)
    return pace


def counts_epochs(history: History) -> bool:
    """Return whether a rung is the same number of epochs for every trial, whatever they cost."""
    return _pace_of_plan(history).counts_epochs


def _pace_of_plan(history: History) -> Pace:
    """Return the pace before any trial."""
    return Pace.of(recorded_resource(history.config), history.plan or {})


def _rung_row(history: History, pace: Pace, level: int) -> RungRow:
    at = {trial.number: pace.epoch_at(trial.number, level) for trial in history.trials.values()}
    reached = [trial for trial in history.trials.values() if at[trial.number] in trial.epochs]
    until_then = (
        report
        for trial in reached
        if trial.state is not TrialState.FAILED
        for report in trial.epochs.values()
        if report.epoch <= (at[trial.number] or 0)
    )
    best = best_of(until_then, history.objective)
    return RungRow(
        level,
        len(reached),
        paused=sum(level in trial.paused_at for trial in reached),
        promoted=sum(level in trial.promoted_from for trial in reached),
        stopped=sum(level == trial.stopped_at for trial in reached),
        best=None if best is None else best.metrics[history.objective.metric],
    )
