"""Every trial as a line across its hyperparameters, the best ones in front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tuner.journal.history import History, TrialHistory
from tuner.results.far_off import brought_near
from tuner.results.figures.panels import NARROW
from tuner.results.figures.style import BLUE, GREY, ORANGE, evenly, new_figure, short, shown
from tuner.results.figures.value_axis import best_value
from tuner.results.importance import importances, ranked_trials
from tuner.results.parameters import Parameter, by_importance, parameters
from tuner.results.wording import hparam_text
from tuner.search.objective import Objective

_AXES = 10
_LINES = 120
"""Of each group at most so many trials are drawn, evenly chosen; more would be one blot."""
_CHOICES = 8
"""A category with more is labelled at its ends alone."""
_MIN_TRIALS = 3
_NARROW_AXIS = 80
"""Pixels for each axis where there is little room: the reader moves the figure to the side."""


def parallel_coordinates(history: History, known: Mapping[str, float] | None = None) -> go.Figure | None:
    """Return the trials as lines over the most important hyperparameters; None with fewer than three trials.

    `known` are the importances, if they have been computed.
    """
    ranked = ranked_trials(history)
    found = by_importance(parameters(history), importances(history) if known is None else known)[:_AXES]
    if len(ranked) < _MIN_TRIALS or not found:
        return None
    objective = history.objective
    bests = {trial.number: best_value(trial) for trial in ranked}
    near = dict(zip(bests, brought_near(list(bests.values()), objective), strict=True))
    axes = [*found, Parameter(objective.words, near, (), False)]
    figure = new_figure(
        440,
        margin={"t": 28, "b": 84, "l": 24, "r": 24},
        xaxis={
            "tickvals": list(range(len(axes))),
            "ticktext": [short(one.name) for one in axes],
            "tickangle": -35,
            "range": [-0.35, len(axes) - 0.65],
            "showgrid": True,
        },
        yaxis={"visible": False, "range": [-0.08, 1.08]},
    )
    figure.layout.meta = {NARROW: {"width": _NARROW_AXIS * len(axes)}}
    for name, colour, width, group in _groups(ranked):
        _add_lines(figure, group, axes, bests, name, colour, width)
    for column, one in enumerate(axes):
        is_cut = one is axes[-1] and near != bests
        _label(figure, column, one, _with_worse(_marks(one), objective) if is_cut else _marks(one))
    return figure


def _groups(ranked: Sequence[TrialHistory]) -> list[tuple[str, str, float, Sequence[TrialHistory]]]:
    """Return name, colour, width and trials of each group, the best last, for it is to lie on top."""
    tenth, quarter = math.ceil(len(ranked) / 10), math.ceil(len(ranked) / 4)
    found = [
        ("the others", GREY, 0.8, ranked[quarter:]),
        ("best quarter", BLUE, 1.0, ranked[tenth:quarter]),
        ("best tenth", ORANGE, 1.4, ranked[:tenth]),
    ]
    return [(name, colour, width, evenly(group, _LINES)) for name, colour, width, group in found if group]


def _add_lines(
    figure: go.Figure,
    group: Sequence[TrialHistory],
    axes: Sequence[Parameter],
    bests: Mapping[int, float],
    name: str,
    colour: str,
    width: float,
) -> None:
    xs: list[int | None] = []
    ys: list[float | None] = []
    texts: list[str] = []
    for trial in group:
        for column, one in enumerate(axes):
            place = one.places.get(trial.number)
            xs.append(column)
            ys.append(None if place is None else round(_height(one, place), 4))
            text = hparam_text(bests[trial.number]) if one is axes[-1] else one.text(trial.number)
            texts.append("" if place is None else f"trial {trial.number}: {shown(text)}")
        xs.append(None)
        ys.append(None)
        texts.append("")
    figure.add_trace(
        go.Scatter(
            x=xs,
            y=ys,
            text=texts,
            mode="lines",
            line={"color": colour, "width": width},
            opacity=0.5 if colour == GREY else 0.8,
            name=name,
            hovertemplate="%{text}<extra></extra>",
        )
    )


def _marks(one: Parameter) -> dict[float, str]:
    """Return what is written at which height of an axis."""
    if not one.choices:
        return {_height(one, end): f"{end:.3g}" for end in _ends(one)}
    shown_choices = one.choices if len(one.choices) <= _CHOICES else (one.choices[0], one.choices[-1])
    return {_height(one, float(one.choices.index(choice))): choice for choice in shown_choices}


def _with_worse(marks: Mapping[float, str], objective: Objective) -> dict[float, str]:
    """Return the marks of the results, of which the worst stands for those that are far off, too."""
    height, sign = (0.0, "\u2264") if objective.is_maximised else (1.0, "\u2265")
    return {**marks, height: f"{sign} {marks[height]}"}


def _label(figure: go.Figure, column: int, one: Parameter, marks: Mapping[float, str]) -> None:
    for height, text in marks.items():
        figure.add_annotation(
            x=column,
            y=height,
            text=short(text),
            showarrow=False,
            yshift=9 if height > 0.5 or one.choices else -9,
            font={"size": 11},
        )


def _ends(one: Parameter) -> tuple[float, float]:
    return min(one.places.values()), max(one.places.values())


def _height(one: Parameter, place: float) -> float:
    """Return where a value lies between the least and the greatest, from 0 to 1."""
    low, high = _ends(one)
    if one.is_log:
        low, high, place = math.log(low), math.log(high), math.log(place)
    return 0.5 if high == low else (place - low) / (high - low)
