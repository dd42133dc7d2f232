"""The trials by the first objective over each other, the Pareto front marked."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.style import BLUE, GREY, ORANGE, new_figure, shown
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
_GAP = 0.05


def front(history: History) -> go.Figure | None:
    """Return the front; None with one objective, or before a trial has a value in each."""
    placed = placed_trials(history)
    if not placed:
        return None
    objectives, winner = objectives_of_run(history), history.winner or select(history)
    count = len(objectives) - 1
    width = (1 - _GAP * (count - 1)) / count
    figure = new_figure(420, yaxis={"title": {"text": shown(f"best {objectives[0].words}")}})
    groups = {
        "trials": [one for one in placed if not one.is_on_front],
        "front": [one for one in placed if one.is_on_front],
        "the winner": [one for one in placed if winner is not None and one.trial == winner.trial],
    }
    for place, objective in enumerate(objectives[1:], 1):
        label, scale, unit = _AXES.get(objective.metric, (objective.words, "linear", 1))
        left = (place - 1) * (width + _GAP)
        axis = {"domain": [left, left + width], "title": {"text": shown(label)}, "type": scale}
        figure.layout[f"xaxis{place}"] = axis
        if place > 1:
            figure.layout[f"yaxis{place}"] = {"matches": "y", "anchor": f"x{place}", "showticklabels": False}
        for name, group in groups.items():
            _add_group(figure, name, group, place, unit)
    return figure


def _add_group(figure: go.Figure, name: str, group: list[Placed], place: int, unit: int) -> None:
    if not group:
        return
    figure.add_trace(
        go.Scatter(
            x=[one.values[place] * unit for one in group],
            y=[one.values[0] for one in group],
            customdata=[one.trial for one in group],
            mode="markers",
            marker=_MARKERS[name],
            name=name,
            legendgroup=name,
            showlegend=place == 1,
            hovertemplate=f"trial %{{customdata}}<br>%{{x:.5g}}<br>%{{y:.5g}}<extra>{name}</extra>",
            xaxis=f"x{place}",
            yaxis=f"y{place}",
        )
    )
