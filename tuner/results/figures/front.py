"""The trials by the first objective over each other, the Pareto front marked."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.panels import arrange, axis
from tuner.results.figures.style import BLUE, GREY, ORANGE, brief, new_figure, shown
from tuner.results.front import Placed, objectives_of_run, placed_trials
from tuner.results.selection import select
from tuner.search.objective import LATENCY, NUM_PARAMS

_AXES = {
    NUM_PARAMS.metric: ("trainable parameters", "log", 1),
    LATENCY.metric: ("milliseconds for one example", "linear", 1000),
}
"""By measure: label, scale and unit of its axis."""
_MARKERS = {
    "trials": {"color": GREY, "size": 6, "opacity": 0.7},
    "front": {"color": BLUE, "size": 8},
    "the winner": {"color": ORANGE, "size": 14, "symbol": "circle-open", "line": {"width": 2.5}},
}
_ROW_HEIGHT = 370


def front(history: History) -> go.Figure | None:
    """Return the front; None with one objective, or before a trial has a value in each."""
    placed = placed_trials(history)
    if not placed:
        return None
    objectives, winner = objectives_of_run(history), history.winner or select(history)
    count = len(objectives) - 1
    figure = new_figure(_ROW_HEIGHT, yaxis={"title": {"text": shown(f"best {objectives[0].words}")}})
    arrange(figure, count, columns=count, row_height=_ROW_HEIGHT)
    groups = {
        "trials": [one for one in placed if not one.is_on_front],
        "front": [one for one in placed if one.is_on_front],
        "the winner": [one for one in placed if winner is not None and one.trial == winner.trial],
    }
    for place, objective in enumerate(objectives[1:]):
        label, scale, unit = _AXES.get(objective.metric, (objective.words, "linear", 1))
        figure.update_layout({axis("xaxis", place): {"title": {"text": shown(label)}, "type": scale}})
        if place > 0:
            figure.update_layout({axis("yaxis", place): {"matches": "y"}})
        for name, group in groups.items():
            _add_group(figure, name, group, place, unit)
    return figure


def _add_group(figure: go.Figure, name: str, group: list[Placed], place: int, unit: int) -> None:
    if not group:
        return
    figure.add_trace(
        go.Scatter(
            x=[brief(one.values[place + 1] * unit) for one in group],
            y=[brief(one.values[0]) for one in group],
            customdata=[one.trial for one in group],
            mode="markers",
            marker=_MARKERS[name],
            name=name,
            legendgroup=name,
            showlegend=place == 0,
            hovertemplate=f"trial %{{customdata}}<br>%{{x:.5g}}<br>%{{y:.5g}}<extra>{name}</extra>",
            xaxis=axis("x", place),
            yaxis=axis("y", place),
        )
    )
