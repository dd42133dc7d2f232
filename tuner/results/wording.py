"""How numbers, times and untrusted text are written in every report."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from tuner.config import NOTEBOOK
from tuner.io.storage import is_bucket
from tuner.journal.events import RetrainingPlanned, SearchEnded
from tuner.journal.history import History, RetrainHistory
from tuner.results.front import Placed
from tuner.results.intervals import Interval, Spread
from tuner.results.reference import REFERENCE
from tuner.results.selection import BASELINE, TUNED
from tuner.results.summary import FinalRow, Summary
from tuner.search.objective import LATENCY, MEASURES, NUM_PARAMS, Objective, number_text

NONE = "-"
_FRONT = (
    "A trial is on the front unless another is at least as good in every objective and better in one. It counts with "
    "its best epoch, however early it was stopped. The winner is the one with the {best} {words}, whatever else it "
    "costs."
)
_MEANINGS = {
    NUM_PARAMS.metric: "trainable parameters of the model",
    LATENCY.metric: "median seconds of the forward pass of one example, on the trial's device",
}
NOT_MEASURED = "The winner has not been retrained, so nothing is known of it on the test set yet."
_WILSON = "95%: Wilson interval of one model with that value on the test examples."
_OVER_SEEDS = "95%: interval of the mean over seeds, by Student's t distribution."


def measured_word(summary: Summary) -> str:
    """Return the heading over what was measured in the end: "Accuracy"."""
    words = summary.leading.replace("_", " ")
    return words[:1].upper() + words[1:]


def answer_line(summary: Summary) -> str:
    """Return the run's answer in a sentence: what tuning reached, beside what it is to be held against."""
    split = summary.splits[-1] if summary.splits else ""
    known = {row.label: row.spread(summary.leading, split) for row in summary.final}
    tuned = ((row, known[row.label]) for row in summary.final if row.label.startswith(TUNED))
    row, found = next(((row, found) for row, found in tuned if found), (None, None))
    if row is None or found is None:
        winner = summary.winner
        if winner is None:
            return "No trial has finished an epoch yet."
        return f"The best so far is trial {winner.trial}: {named_value(winner.value, summary.objective)}."
    words = f"{split} {summary.leading.replace('_', ' ')}"
    reached = f"After tuning, the {words} is {spread_text(found, summary.objective)}"
    others = [
        f"{name} {spread_text(spread, summary.objective)}{_rest_text(other, spread, split)}"
        for start, name in ((BASELINE, "the baseline's"), (REFERENCE, "the reference's"))
        for other in summary.final
        if other.label.startswith(start) and (spread := known[other.label]) is not None
    ]
    seeds = _rest_text(row, found, split) or (f" (mean of {found.n} seeds)" if found.n > 1 else "")
    return f"{reached}{seeds}{'; ' + ', '.join(others) if others else ''}."


def _rest_text(row: FinalRow, found: Spread, split: str) -> str:
    """Return of how many of all its seeds a row's value on a split is, and what became of the rest; "" without a rest.

    Otherwise a divergence would be read as a good result.
    """
    rest = {"failed": row.failed, "had no finite number": row.lacking.get(split, 0)}
    several = [f"{count} {what}" for what, count in rest.items() if count]
    if not several:
        return ""
    mean = "mean of " if found.n > 1 else ""
    return f" ({mean}{found.n} of {found.n + sum(rest.values())} seeds: {', '.join(several)})"


def final_header(summary: Summary) -> tuple[str, ...]:
    """Return the header of the final table."""
    interval = ("test, 95%",) if _has_interval(summary) else ()
    return ("", "seeds", *summary.splits, *interval)


def planned_text(event: RetrainingPlanned) -> str:
    """Return what is to be trained after the search."""
    seeds = Counter((one["candidate"], one["max_epochs"]) for one in event.retrainings)
    return ", ".join(
        f"{candidate} for {epochs} epoch{'s' * (epochs != 1)} with {count} seed{'s' * (count != 1)}"
        for (candidate, epochs), count in seeds.items()
    )


def final_cells(row: FinalRow, summary: Summary) -> tuple[str, ...]:
    """Return a line of the final table, in the order of `final_header`."""
    splits = (spread_text(row.spread(summary.leading, split), summary.objective) for split in summary.splits)
    interval = (interval_text(row.test_interval, summary.objective),) if _has_interval(summary) else ()
    return (row.label, row.seeds, *splits, *interval)


def final_notes(summary: Summary) -> tuple[str, ...]:
    """Return what must be known to read the final table."""
    objective = summary.objective
    epoch = "the state of the best dev epoch" if _has_state(summary) else "the last epoch, for no state is saved"
    measures = f"{measured_word(summary)} of {epoch}"
    if "test" in summary.splits:
        measures += "; the test set was read once for each model, after all choices"
    measures += ". ±: sample standard deviation over seeds."
    if _has_interval(summary):
        measures += f" {_WILSON if summary.has_wilson_intervals else _OVER_SEEDS}"
    best = f"the one with the {objective.best_word} {objective.words}"
    if summary.kept_ensemble is not None:
        rows = [
            f"in best/: all of these seeds, which answer with the mean of their probabilities; best on dev: {best}."
        ]
    elif _has_state(summary):
        rows = [f"in best/: the seed whose weights are kept, {best}."]
    else:
        rows = [f"best on dev: {best}; best/ holds its hyperparameters."]
    if any(row.label.startswith(BASELINE) for row in summary.final):
        rows.insert(
            0, "baseline: the first start configuration, untuned, as it is written, retrained by the same rules."
        )
    if summary.reference is not None:
        rows.insert(0, "reference: the student project (Keras), as it reports itself.")
    without = [_failed_note(row) for row in summary.final if row.failed]
    without += [_lacking_note(row, summary) for row in summary.final if row.lacking]
    return (measures, " ".join(rows), *([" ".join(without)] if without else []))


def _failed_note(row: FinalRow) -> str:
    """Return how many seeds are not in a row at all."""
    times = "once" if row.failed == 1 else f"{row.failed} times"
    return f"{row.label}: the retraining failed {times} more; what stands there is of the seeds that ended."


def _lacking_note(row: FinalRow, summary: Summary) -> str:
    """Return of how many seeds there is no value on which split, so that a divergence is not read as a good result."""
    counts = ", ".join(
        f"{row.lacking[split]} of {row.seeds} on {split}" for split in summary.splits if split in row.lacking
    )
    return (
        f"{row.label}: for {counts} the {summary.leading.replace('_', ' ')} is no finite number; "
        "what stands there is of the rest."
    )


def _has_state(summary: Summary) -> bool:
    return summary.kept is None or bool(summary.kept.weights)


def others_header(summary: Summary) -> tuple[str, ...]:
    """Return the header of the table of the metrics beside the leading one."""
    return ("", "metric", *summary.splits)


def others_rows(summary: Summary) -> list[tuple[str, ...]]:
    """Return its lines: for each metric, who was measured."""
    return [
        (row.label, metric, *(spread_text(row.spread(metric, split)) for split in summary.splits))
        for metric in summary.others
        for row in summary.final
        if metric in row.values
    ]


def retrain_header(summary: Summary) -> tuple[str, ...]:
    """Return the header of the table of retrainings."""
    return ("candidate", "seed", "epochs", "best epoch", *summary.splits)


def retrain_cells(retrain: RetrainHistory, summary: Summary) -> tuple[str, ...]:
    """Return a line of the table of retrainings, in the order of `retrain_header`."""
    ended = retrain.ended
    evaluations = ended.evaluations if ended else {}
    found = (evaluations.get(split, {}).get(summary.leading) for split in summary.splits)
    best_epoch = str(ended.best_epoch) if ended else NONE
    values = (value_text(value, summary.objective) for value in found)
    return (retrain.candidate, str(retrain.seed), str(len(retrain.epochs)), best_epoch, *values)


def rung_table(summary: Summary) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the lines of the rung table; what happened at no rung has no column."""
    happened = {
        "paused": [rung.paused for rung in summary.rungs],
        "promoted": [rung.promoted for rung in summary.rungs],
        "stopped here": [rung.stopped for rung in summary.rungs],
    }
    shown = {name: counts for name, counts in happened.items() if any(counts)}
    rows = [
        (
            str(rung.epoch),
            str(rung.reached),
            *(str(counts[place]) for counts in shown.values()),
            value_text(rung.best, summary.objective),
        )
        for place, rung in enumerate(summary.rungs)
    ]
    return ("epochs", "trials", *shown, f"best {summary.objective.words}"), rows


def front_header(objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return the header of the table of the front."""
    return ("trial", "state", "epochs", *(objective_name(objective) for objective in objectives))


def front_note(objectives: Sequence[Objective]) -> str:
    """Return what the front is, and what its objectives mean."""
    front = _FRONT.format(best=objectives[0].best_word, words=objectives[0].words)
    meanings = (f"{name.capitalize()}: {meaning}." for name, meaning in _meanings(objectives))
    return " ".join([front, *meanings])


def front_cells(placed: Placed, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return a line of the table of the front, in the order of `front_header`."""
    values = (objective_text(one, value) for one, value in zip(objectives, placed.values, strict=True))
    return (str(placed.trial), placed.state.value, str(placed.epochs), *values)


def front_line(placed: Sequence[Placed], objectives: Sequence[Objective]) -> str:
    """Return how many trials are on the front, and from where to where it goes."""
    front = [one.values for one in placed if one.is_on_front]
    names = " and ".join(objective_name(objective) for objective in objectives)
    if not front:
        return f"No trial has a value in each of {names} yet."
    ends = (
        f"{objective_name(one)} {objective_text(one, min(values))} to {objective_text(one, max(values))}"
        for one, values in zip(objectives, zip(*front, strict=True), strict=True)
    )
    return f"{len(front)} of {len(placed)} trials are on the front of {names}: {', '.join(ends)}."


def objective_name(objective: Objective) -> str:
    """Return "best dev accuracy", "num params" or "latency"."""
    return objective.words if objective.metric in MEASURES else f"best {objective.words}"


def objective_text(objective: Objective, value: float) -> str:
    """Return "0.9410", "1,811,706" or "1.25ms"."""
    if objective.metric == LATENCY.metric:
        return f"{1000 * value:.3g}ms"
    return f"{value:,.0f}" if objective.metric == NUM_PARAMS.metric else objective.text(value)


def value_text(value: float | None, objective: Objective) -> str:
    """Return a value of the objective, on whatever split."""
    return NONE if value is None else objective.text(value)


def named_value(value: float, objective: Objective) -> str:
    """Return a value of the objective with its name: "dev accuracy 0.9410"."""
    return f"{objective.words} {objective.text(value)}"


def spread_text(spread: Spread | None, objective: Objective | None = None) -> str:
    """Return "0.9410 ±0.0012", without the second part for one value; `objective` says how its values are written."""
    if spread is None:
        return NONE
    text = objective.text if objective else number_text
    return text(spread.mean) if spread.sd is None else f"{text(spread.mean)} ±{text(spread.sd)}"


def interval_text(interval: Interval | None, objective: Objective) -> str:
    """Return "0.9303-0.9400", or "-1.2 to 3.4" where a minus could be taken for the line between."""
    if interval is None:
        return NONE
    between = "-" if interval.low >= 0 else " to "
    return f"{objective.text(interval.low)}{between}{objective.text(interval.high)}"


def duration(seconds: float) -> str:
    """Return "1h 02m 03s", "2m 03s" or "3.4s"; what is below zero, where a clock was set back, is "0.0s"."""
    if seconds < 59.95:  # what rounds to a minute is one
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def short_duration(seconds: float) -> str:
    """Return a duration that may be very short: "45ms" or "1.2ms" where `duration` would say "0.0s"."""
    if seconds >= 0.0995:  # what rounds to a tenth of a second is one
        return duration(seconds)
    milliseconds = 1000 * max(0.0, seconds)
    return f"{milliseconds:.0f}ms" if milliseconds >= 9.95 else f"{milliseconds:.1f}ms"


def time_line(summary: Summary) -> str:
    """Return how long was worked on the run, and how long until the search ended, if it has."""
    if summary.search_seconds is None:
        return duration(summary.total_seconds)
    ended = f"{duration(summary.total_seconds)}, of it {duration(summary.search_seconds)} until the search ended"
    if summary.search_seconds_left is None:
        return ended
    return f"{ended}, which had converged {duration(summary.search_seconds_left)} before its time was over"


def search_end_text(event: SearchEnded) -> str:
    """Return why the search ended, and how much earlier than it had to."""
    early = "" if event.seconds_left is None else f"; {duration(event.seconds_left)} before its time was over"
    return f"{event.reason}{early}"


def state_counts(summary: Summary) -> str:
    """Return "12 trials: 3 COMPLETE, 9 PRUNED"."""
    counts = ", ".join(f"{count} {state}" for state, count in summary.states.items() if count)
    total = sum(summary.states.values())
    return f"{total} {'trial' if total == 1 else 'trials'}{': ' + counts if counts else ''}"


def winner_line(history: History, summary: Summary) -> str:
    """Return which trial won, or leads, and by what."""
    winner = summary.winner
    if winner is None:
        return "There is no winner: no trial that counts has finished an epoch."
    role = "won with" if history.winner else "is the best so far with"
    return f"Trial {winner.trial} {role} {named_value(winner.value, summary.objective)} at epoch {winner.epoch}."


def plain(text: object) -> str:
    """Return text without control characters, which could steer a terminal; line breaks stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def hparam_text(value: Any) -> str:
    """Return a hyperparameter's value; a float with as many digits as tell it apart to a reader."""
    return f"{value:.6g}" if isinstance(value, float) else plain(value)


def hparams_text(hparams: Mapping[str, Any]) -> str:
    """Return hyperparameters in a line: "width 16, dropout 0.3"."""
    return ", ".join(f"{plain(name)} {hparam_text(value)}" for name, value in hparams.items())


def last_line(text: str) -> str:
    """Return the last line of a traceback, which says what happened."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested values with dotted names: ("packages.torch", "2.15.0")."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or NONE
        else:
            yield f"{prefix}{name}", NONE if value is None else str(value)


def commands_to_repeat(history: History, name: str) -> tuple[str, ...]:
    """Return the commands, one a line, that run the same study again, beside the first.

    Of one made of a program's objects, for which there is no command, how to call it.
    """
    storage = str(history.config.get("storage", "runs"))
    if history.config.get("space") == NOTEBOOK:
        values = f"{storage.rstrip('/')}/{name}/config.json"
        return (f"# tuner.tune(...) with the same objects; its other arguments are in {values}",)
    if not is_bucket(storage):
        return (_command_to_repeat(str(PurePath(storage) / name / "config.json"), name),)
    # A configuration is read from this machine; the copy has the run's name, so that it takes no other's place.
    copy = f"{name}.json"
    fetch = shlex.join(["aws", "s3", "cp", f"{storage.rstrip('/')}/{name}/config.json", copy])
    return fetch, _command_to_repeat(copy, name)


def _command_to_repeat(config: str, name: str) -> str:
    return shlex.join(["tuner", "run", "--config", config, "--name", f"{name}-again"])


def commits(history: History) -> str:
    """Return the commits that worked on the run, each once, oldest first."""
    known = dict.fromkeys(driver.commit or "unknown" for driver in history.drivers)
    return ", ".join(known) or "unknown"


def _has_interval(summary: Summary) -> bool:
    return any(row.test_interval is not None for row in summary.final)


def _meanings(objectives: Sequence[Objective]) -> Iterator[tuple[str, str]]:
    return ((one.words, _MEANINGS[one.metric]) for one in objectives if one.metric in _MEANINGS)
