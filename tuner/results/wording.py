"""How numbers, times and untrusted text are written in every report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from tuner.journal.history import History, RetrainHistory
from tuner.results.front import Placed
from tuner.results.intervals import Interval, Spread
from tuner.results.summary import SPLITS, FinalRow, RungRow, Summary
from tuner.search.objectives import DEV_ACCURACY, LATENCY, Objective

NONE = "-"
FINAL_HEADER = ("", "seeds", *SPLITS, "test, 95%")
RETRAIN_HEADER = ("candidate", "seed", "epochs", "best epoch", *SPLITS)
_FRONT = (
    "A trial is on the front unless another is at least as good in every objective and better in one. It counts with "
    "the best dev accuracy it has shown, however early it was stopped. The winner is the one with the highest dev "
    "accuracy, whatever else it costs."
)
RUNG_HEADER = ("epochs", "trials", "stopped here", "best dev")
NOT_MEASURED = "The winner has not been retrained, so there is no accuracy on the test set yet."
_MEASURES = (
    "Accuracy of the weights of the best dev epoch; the test set was read once for each model, after all choices. "
    "±: sample standard deviation over seeds. 95%: Wilson interval of one model on its test images."
)
_ROWS = (
    "reference: the student project (Keras), as it reports itself. baseline: the first start configuration, untuned, "
    "retrained by the same rules. in best/: the seed whose weights are kept, the one with the highest dev accuracy."
)
FINAL_NOTES = (_MEASURES, _ROWS)


def final_cells(row: FinalRow) -> tuple[str, ...]:
    """Return a line of the final table, in the order of `FINAL_HEADER`."""
    splits = (spread_text(row.accuracy.get(split)) for split in SPLITS)
    return (row.label, row.seeds, *splits, interval_text(row.test_interval))


def retrain_cells(retrain: RetrainHistory) -> tuple[str, ...]:
    """Return a line of the table of retrainings, in the order of `RETRAIN_HEADER`."""
    ended = retrain.ended
    found = (accuracy_text(ended.evaluations[split]["accuracy"] if ended else None) for split in SPLITS)
    best_epoch = str(ended.best_epoch) if ended else NONE
    return (retrain.candidate, str(retrain.seed), str(len(retrain.epochs)), best_epoch, *found)


def rung_cells(rung: RungRow) -> tuple[str, ...]:
    """Return a line of the rung table, in the order of `RUNG_HEADER`."""
    return (str(rung.epoch), str(rung.reached), str(rung.stopped), accuracy_text(rung.best))


def front_header(objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return the header of the table of the front."""
    return ("trial", "state", "epochs", *(objective_name(objective) for objective in objectives))


def front_note(objectives: Sequence[Objective]) -> str:
    """Return what the front is, and what its objectives mean."""
    meanings = (f"{objective_name(one).capitalize()}: {one.meaning}." for one in objectives)
    return " ".join([_FRONT, *meanings])


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
    """Return "best dev", "params" or "latency"."""
    return "best dev" if objective == DEV_ACCURACY else objective.name


def objective_text(objective: Objective, value: float) -> str:
    """Return "0.9410", "1,811,706" or "1.25ms"."""
    if objective == DEV_ACCURACY:
        return accuracy_text(value)
    return f"{1000 * value:.3g}ms" if objective == LATENCY else f"{value:,.0f}"


def accuracy_text(value: float | None) -> str:
    """Return a fraction with four digits: a test image of 10,000 counts."""
    return NONE if value is None else f"{value:.4f}"


def spread_text(spread: Spread | None) -> str:
    """Return "0.9410 ±0.0012", without the second part for one value."""
    if spread is None:
        return NONE
    return f"{spread.mean:.4f}" if spread.sd is None else f"{spread.mean:.4f} ±{spread.sd:.4f}"


def interval_text(interval: Interval | None) -> str:
    """Return "0.9303-0.9400"."""
    return NONE if interval is None else f"{interval.low:.4f}-{interval.high:.4f}"


def duration(seconds: float) -> str:
    """Return "1h 02m 03s", "2m 03s" or "3.4s"."""
    if seconds < 59.95:  # what rounds to a minute is one
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def time_line(summary: Summary) -> str:
    """Return how long was worked on the run, and how long until the search ended, if it has."""
    if summary.search_seconds is None:
        return duration(summary.total_seconds)
    return f"{duration(summary.total_seconds)}, of it {duration(summary.search_seconds)} until the search ended"


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
    return f"Trial {winner.trial} {role} dev accuracy {winner.dev_accuracy:.4f} at epoch {winner.epoch}."


def plain(text: object) -> str:
    """Return text without control characters, which could steer a terminal; line breaks stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def hparam_text(value: Any) -> str:
    """Return a hyperparameter's value; a float with as many digits as tell it apart to a reader."""
    return f"{value:.6g}" if isinstance(value, float) else plain(value)


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested values with dotted names: ("packages.torch", "2.15.0")."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or NONE
        else:
            yield f"{prefix}{name}", NONE if value is None else str(value)


def command_to_repeat(history: History, name: str) -> str:
    """Return the command that runs the same study again, beside the first."""
    folder = PurePath(str(history.config.get("storage", "runs"))) / name
    return shlex.join(["python", "-m", "tuner.run", "--config", str(folder / "config.json"), "--name", f"{name}-again"])


def commits(history: History) -> str:
    """Return the commits that worked on the run, each once, oldest first."""
    known = dict.fromkeys(driver.commit or "unknown" for driver in history.drivers)
    return ", ".join(known) or "unknown"
