"""Every trial's best value of the objective by epoch, with the rungs where trials are compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import plotly.graph_objects as go

from tuner.journal.history import History, TrialHistory
from tuner.results.figures.style import BLUE, GREY, STATE_COLOURS, brief, evenly, new_figure
from tuner.results.figures.value_axis import value_axis
from tuner.results.selection import select
from tuner.results.summary import counts_epochs, rung_epochs

_LINES = 250
"""Of each state at most so many trials are drawn, evenly chosen; more would be one blot."""

_MARKED = 2000
"""With more points than these there are lines alone: a browser needs seconds for so many markers."""

Line = list[tuple[int, float, int]]
"""Epoch, value and trial of each point."""


def trial_curves(history: History) -> go.Figure | None:
    """Return every trial's best value so far by epoch, coloured by its state; None before the first epoch."""
    trials = [trial for _, trial in sorted(history.trials.items()) if trial.epochs]
    if not trials:
        return None
    longest = max(max(trial.epochs) for trial in trials)
    levels = [level for level in rung_epochs(history) if level <= longest] if counts_epochs(history) else []
    chosen = {state: evenly([trial for trial in trials if trial.state is state], _LINES) for state in STATE_COLOURS}
    lines = {state: [_line(trial) for trial in group] for state, group in chosen.items()}
    seen = [[value for _, value, _ in line] for group in lines.values() for line in group]
    values = value_axis(f"best {history.objective.words} so far", seen, history.objective)
    mode = "lines" if sum(map(len, seen)) > _MARKED else "lines+markers"
    figure = new_figure(
        420,
        xaxis={
            "type": "log",
            "title": {"text": "epoch (dotted: rungs)" if levels else "epoch"},
            "tickvals": levels or [1, longest],
        },
        yaxis={"title": {"text": values.title}, "range": values.range},
    )
    for state, colour in STATE_COLOURS.items():
        _add_lines(figure, lines[state], state.value, colour, width=1.0, mode=mode)
    winner = select(history)
    if winner is not None:
        line = _line(history.trials[winner.trial])
        _add_lines(figure, [line], f"trial {winner.trial}, the best", BLUE, width=2.6, mode=mode)
    for level in levels:
        figure.add_vline(x=level, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below")
    return figure


def best_so_far(trial: TrialHistory) -> tuple[list[int], list[float]]:
    """Return the trial's epochs, and after each the best value until then."""
    epochs = sorted(trial.epochs)
    values = (trial.epochs[epoch].metrics[trial.objective.metric] for epoch in epochs)
    return epochs, list(accumulate(values, max if trial.objective.is_maximised else min))


def _line(trial: TrialHistory) -> Line:
    """Return the trial's points but those between two of the same value, without which the line is the same."""
    epochs, values = best_so_far(trial)
    points = [(epoch, brief(value), trial.number) for epoch, value in zip(epochs, values, strict=True)]
    last = len(points) - 1
    return [
        point
        for place, point in enumerate(points)
        if place in (0, last) or not points[place - 1][1] == point[1] == points[place + 1][1]
    ]


def _add_lines(figure: go.Figure, lines: Sequence[Line], name: str, colour: str, *, width: float, mode: str) -> None:
    if not lines:
        return
    # Nones part one trial's line from the next.
    epochs, values, trials = zip(*(point for line in lines for point in (*line, (None, None, None))), strict=True)
    figure.add_trace(
        go.Scatter(
            x=epochs,
            y=values,
            customdata=trials,
            mode=mode,
            line={"color": colour, "width": width},
            marker={"size": 3 + width},
            opacity=0.8 if len(epochs) < _LINES else 0.5,
            name=name,
            hovertemplate="trial %{customdata}<br>epoch %{x}: %{y:.5g}<extra></extra>",
        )
    )
