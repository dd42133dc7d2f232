"""Every trial's best value of the objective by epoch, with the rungs where trials are compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import plotly.graph_objects as go

from tuner.journal.history import History, TrialHistory
from tuner.results.figures.style import BLUE, GREY, STATE_COLOURS, brief, evenly, new_figure, shown
from tuner.results.selection import select
from tuner.results.summary import counts_epochs, rung_epochs

_LINES = 250
"""Of each state at most so many trials are drawn, evenly chosen; more would be one blot."""

Point = tuple[int | None, float | None, int | None]
"""Epoch, value and trial; Nones part one trial's line from the next."""


def trial_curves(history: History) -> go.Figure | None:
    """Return every trial's best value so far by epoch, coloured by its state; None before the first epoch."""
    trials = [trial for _, trial in sorted(history.trials.items()) if trial.epochs]
    if not trials:
        return None
    longest = max(max(trial.epochs) for trial in trials)
    levels = [level for level in rung_epochs(history) if level <= longest] if counts_epochs(history) else []
    figure = new_figure(
        420,
        xaxis={
            "type": "log",
            "title": {"text": "epoch (dotted: rungs)" if levels else "epoch"},
            "tickvals": levels or [1, longest],
        },
        yaxis={"title": {"text": shown(f"best {history.objective.words} so far")}},
    )
    for state in STATE_COLOURS:
        drawn = evenly([trial for trial in trials if trial.state is state], _LINES)
        points = [point for trial in drawn for point in _line(trial)]
        _add_lines(figure, points, state.value, STATE_COLOURS[state], width=1.0)
    winner = select(history)
    if winner is not None:
        line = _line(history.trials[winner.trial])
        _add_lines(figure, line, f"trial {winner.trial}, the best", BLUE, width=2.6)
    for level in levels:
        figure.add_vline(x=level, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below")
    return figure


def best_so_far(trial: TrialHistory) -> tuple[list[int], list[float]]:
    """Return the trial's epochs, and after each the best value until then."""
    epochs = sorted(trial.epochs)
    values = (trial.epochs[epoch].metrics[trial.objective.metric] for epoch in epochs)
    return epochs, list(accumulate(values, max if trial.objective.is_maximised else min))


def _line(trial: TrialHistory) -> list[Point]:
    epochs, values = best_so_far(trial)
    known = [(epoch, brief(value), trial.number) for epoch, value in zip(epochs, values, strict=True)]
    return [*known, (None, None, None)]


def _add_lines(figure: go.Figure, points: Sequence[Point], name: str, colour: str, *, width: float) -> None:
    if not points:
        return
    epochs, values, trials = zip(*points, strict=True)
    figure.add_trace(
        go.Scatter(
            x=epochs,
            y=values,
            customdata=trials,
            mode="lines+markers",
            line={"color": colour, "width": width},
            marker={"size": 3 + width},
            opacity=0.8 if len(points) < _LINES else 0.5,
            name=name,
            hovertemplate="trial %{customdata}<br>epoch %{x}: %{y:.5g}<extra></extra>",
        )
    )
