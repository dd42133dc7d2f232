"""What each hyperparameter's values led to, one panel a hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tuner.journal.history import History, TrialHistory
from tuner.results.figures.panels import arrange, axis
from tuner.results.figures.style import BLUE, GREY, brief, evenly, new_figure, short, shown
from tuner.results.figures.value_axis import best_value, value_axis
from tuner.results.importance import importances, ranked_trials
from tuner.results.parameters import Parameter, by_importance, parameters

_PANELS = 8
_COLUMNS, _NARROW_COLUMNS = 4, 2
_TICKS, _MOST_TICKS = 3, 5
"""Of a logarithmic axis, and of any."""
_LETTERS = 28
"""Of a category's ticks in a panel, together."""
_POINTS = 500
"""Trials drawn in each panel: the best half of them, and of the others as many, evenly chosen."""


def slices(history: History, known: Mapping[str, float] | None = None) -> go.Figure | None:
    """Return a panel for each of the most important hyperparameters; None before two trials have finished an epoch.

    `known` are the importances, if they have been computed.
    """
    ranked = ranked_trials(history)
    drawn = _drawn(ranked)
    # Of a conditional parameter every trial may have failed, or none may be drawn.
    seen = [one for one in parameters(history) if any(trial.number in one.places for trial in drawn)]
    found = by_importance(seen, importances(history) if known is None else known)[:_PANELS]
    if len(ranked) < 2 or not found:
        return None
    longest = max(max(trial.epochs) for trial in drawn)
    figure = new_figure(300, coloraxis=_colour_axis(longest))
    arrange(figure, len(found), columns=_COLUMNS, row_height=230, narrow_columns=_NARROW_COLUMNS)
    for place, one in enumerate(found):
        _add_panel(figure, place, one, [trial for trial in drawn if trial.number in one.places])
    values = value_axis(history.objective.words, [[best_value(trial)] for trial in drawn], history.objective)
    figure.update_layout(
        {axis("yaxis", place): {"matches": "y", "range": values.range} for place in range(1, len(found))}
    )
    figure.update_layout({"yaxis": {"title": {"text": values.title}, "range": values.range}})
    return figure


def _drawn(ranked: Sequence[TrialHistory]) -> list[TrialHistory]:
    best, rest = ranked[: _POINTS // 2], ranked[_POINTS // 2 :]
    return [*best, *evenly(rest, _POINTS // 2)]


def _add_panel(figure: go.Figure, place: int, one: Parameter, trials: Sequence[TrialHistory]) -> None:
    values = [brief(one.places[trial.number]) for trial in trials]
    figure.add_trace(
        go.Scatter(
            x=[shown(one.text(trial.number)) for trial in trials]
            if one.choices
            else [brief(value) for value in values],
            y=[brief(best_value(trial)) for trial in trials],
            customdata=[[trial.number, max(trial.epochs)] for trial in trials],
            mode="markers",
            marker={
                "size": 5,
                "opacity": 0.8,
                "color": [brief(math.log(max(trial.epochs))) for trial in trials],
                "coloraxis": "coloraxis",
            },
            showlegend=False,
            meta=shown(one.name),
            hovertemplate="trial %{customdata[0]}, %{customdata[1]} epochs<br>%{meta} %{x}: %{y:.5g}<extra></extra>",
            xaxis=axis("x", place),
            yaxis=axis("y", place),
        )
    )
    kind = "category" if one.choices else ("log" if one.is_log else "linear")
    layout = {"title": {"text": short(one.name)}, "type": kind, "nticks": _MOST_TICKS, "tickangle": 0}
    if one.choices:
        layout |= _category(one.choices)
    if one.is_log:
        layout |= _ticks(min(values), max(values))
    figure.update_layout({axis("xaxis", place): layout})


def _category(choices: Sequence[str]) -> dict[str, object]:
    """Return the order of a category's choices, and ticks that do not overprint each other."""
    ticks = evenly(choices, _MOST_TICKS)
    return {
        "categoryorder": "array",
        "categoryarray": [shown(choice) for choice in choices],
        "tickvals": [shown(choice) for choice in ticks],
        "ticktext": [short(choice, _LETTERS // len(ticks)) for choice in ticks],
    }


def _ticks(low: float, high: float) -> dict[str, object]:
    """Return ticks for a logarithmic axis: powers of ten, or the ends where there are not two of them."""
    powers = list(range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1))
    values = [10.0**power for power in evenly(powers, _TICKS)] if len(powers) > 1 else [low, high]
    return {"tickvals": values, "ticktext": [_exponent(value) for value in values]}


def _exponent(value: float) -> str:
    """Return "1e-4" or "0.0021": as short as it can be, for ticks stand close."""
    mantissa, _, power = f"{value:.0e}".partition("e")
    return f"{value:.2g}" if 0.01 <= value < 1000 or value != float(f"{value:.0e}") else f"{mantissa}e{int(power)}"


def _colour_axis(longest: int) -> dict[str, object]:
    ticks = sorted({1, max(1, round(math.sqrt(longest))), longest})
    return {
        "colorscale": [[0, GREY], [1, BLUE]],
        "cmin": 0,
        "cmax": math.log(max(2, longest)),
        "colorbar": {
            "title": {"text": "epochs", "side": "right"},
            "tickvals": [math.log(tick) for tick in ticks],
            "ticktext": [str(tick) for tick in ticks],
            "thickness": 10,
            "lenmode": "pixels",
            "len": 180,
            "y": 1,
            "yanchor": "top",
            "outlinewidth": 0,
        },
    }
