"""How the search went: the front, the best so far, the trials and their rungs."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.journal.history import History
from tuner.results.figures.front import front
from tuner.results.figures.optimization_history import optimization_history
from tuner.results.figures.trial_curves import trial_curves
from tuner.results.front import objectives_of_run, placed_trials
from tuner.results.summary import Summary
from tuner.results.view import Table, View
from tuner.results.wording import front_cells, front_header, front_line, front_note, rung_table


def search_views(history: History, summary: Summary) -> Iterator[View]:
    """Yield what is known of the search so far."""
    words = summary.objective.words
    yield from _front(history)
    figure = optimization_history(history)
    if figure is not None:
        note = f"The best {words} so far, and where each trial reached its own best, over time and over epochs."
        yield View("history", "Optimisation history", note, figure=figure)
    figure = trial_curves(history)
    if figure is not None:
        note = f"Every trial's best {words} so far by epoch, coloured by the trial's state."
        yield View("trials", "Trials", note, figure=figure)
    header, rows = rung_table(summary)
    if rows:
        note = "How many trials got to each rung, and what became of them there."
        yield View("rungs", "Rungs", note, table=Table(header, rows, left=0))


def _front(history: History) -> Iterator[View]:
    objectives, placed = objectives_of_run(history), placed_trials(history)
    best_first = sorted(
        (one for one in placed if one.is_on_front), key=lambda one: (-history.objective.score(one.values[0]), one.trial)
    )
    if best_first:
        table = Table(front_header(objectives), [front_cells(one, objectives) for one in best_first], left=2)
        text = [front_line(placed, objectives)]
        yield View("front", "Front", front_note(objectives), figure=front(history), table=table, text=text)
