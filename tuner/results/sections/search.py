"""How the search went: the front, the best so far, the trials and their rungs."""

from __future__ import annotations

from collections.abc import Iterator

from plotly.graph_objects import Figure

from tuner.journal.history import History
from tuner.results.figures.front import front
from tuner.results.figures.importance import importance
from tuner.results.figures.optimization_history import optimization_history
from tuner.results.figures.parallel_coordinates import parallel_coordinates
from tuner.results.figures.rungs import rungs
from tuner.results.figures.slices import slices
from tuner.results.figures.timeline import timeline
from tuner.results.figures.trial_curves import trial_curves
from tuner.results.front import objectives_of_run, placed_trials
from tuner.results.importance import importances
from tuner.results.kept import Kept
from tuner.results.lanes import timeline_of
from tuner.results.summary import Summary
from tuner.results.view import Table, View
from tuner.results.wording import front_cells, front_header, front_line, front_note, rung_table

_HISTORY = "The best {words} so far, and where each trial reached its own best, over time and over epochs."
_TRIALS = (
    "Every trial's best {words} so far by epoch, coloured by what became of it; of many trials some, evenly chosen."
)
_RUNG_TABLE = "How many trials got to each rung, and what became of them there."
_RUNGS = (
    "Every trial at every rung that it reached: who went on, who waits, who was given up there. Point at a trial, or "
    "tap it, to read why."
)
_IMPORTANCE = (
    "PED-ANOVA: how far the values that the best tenth of the trials have differ from those of all trials. Trials are "
    "ranked by the rung they reached, then by their value, so that those stopped early count too. It shows what "
    "mattered in this search space, not which way."
)
_PARALLEL = (
    "Each line is a trial, from hyperparameter to hyperparameter, the most important first, and to its result on the "
    "right. Best means: came furthest, and was best there. Click a name in the legend to hide those lines."
)
_SLICES = "Each trial's best {words} by the value of one hyperparameter; the bluer, the more epochs it was trained."
_TIMELINE = "One lane a worker; a gap is time without training: starting, waiting, saving."


def search_views(history: History, summary: Summary, kept: Kept) -> Iterator[View]:
    """Yield what is known of the search so far."""
    words = summary.objective.words
    known = importances(history)
    yield from _front(history)
    yield from _drawn("history", "Optimisation history", optimization_history(history), _HISTORY.format(words=words))
    yield from _rungs(history, summary)
    yield from _drawn("trials", "Trials by epoch", trial_curves(history), _TRIALS.format(words=words))
    yield from _drawn("importance", "Which hyperparameters mattered", importance(history, known), _IMPORTANCE)
    yield from _drawn("parallel", "Parallel coordinates", parallel_coordinates(history, known), _PARALLEL)
    yield from _drawn("slices", "Slices", slices(history, known), _SLICES.format(words=words))
    yield from _timeline(history)


def _drawn(name: str, title: str, figure: Figure | None, note: str) -> Iterator[View]:
    if figure is not None:
        yield View(name, title, note, figure=figure)


def _rungs(history: History, summary: Summary) -> Iterator[View]:
    header, rows = rung_table(summary)
    figure = rungs(history)
    if rows:
        note = _RUNGS if figure is not None else _RUNG_TABLE
        yield View("rungs", "Rungs", note, figure=figure, table=Table(header, rows, left=0))


def _timeline(history: History) -> Iterator[View]:
    whole = timeline_of(history)
    if whole is not None:
        idle = whole.idle_share
        text = [f"In the search the workers trained {1 - idle:.0%} of the time and were idle {idle:.0%} of it."]
        yield View("timeline", "Workers", _TIMELINE, figure=timeline(history), text=text)


def _front(history: History) -> Iterator[View]:
    objectives, placed = objectives_of_run(history), placed_trials(history)
    best_first = sorted(
        (one for one in placed if one.is_on_front), key=lambda one: (-history.objective.score(one.values[0]), one.trial)
    )
    if best_first:
        table = Table(front_header(objectives), [front_cells(one, objectives) for one in best_first], left=2)
        text = [front_line(placed, objectives)]
        yield View("front", "Front", front_note(objectives), figure=front(history), table=table, text=text)
