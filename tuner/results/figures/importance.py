"""How much each hyperparameter mattered."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.style import BLUE, brief, new_figure, short, shown
from tuner.results.importance import importances

_SHOWN = 20
_LENGTH_OF_NAME = 24


def importance(history: History, known: Mapping[str, float] | None = None) -> go.Figure | None:
    """Return the importances as bars, the largest on top; None while there are none. `known` saves computing them."""
    found = list((importances(history) if known is None else known).items())[:_SHOWN]
    if not found:
        return None
    found.reverse()
    figure = new_figure(90 + 26 * len(found), margin={"t": 10}, xaxis={"title": {"text": "share of the importance"}})
    figure.add_trace(
        go.Bar(
            x=[brief(value) for _, value in found],
            y=[shown(name) for name, _ in found],
            orientation="h",
            marker={"color": BLUE},
            text=[f"{value:.0%}" for _, value in found],
            textposition="auto",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(
        showgrid=False,
        type="category",
        tickvals=[shown(name) for name, _ in found],
        ticktext=[short(name, _LENGTH_OF_NAME) for name, _ in found],
    )
    return figure
