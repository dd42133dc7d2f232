"""Every metric by epoch of the retrained winner and baseline: learning curves before and after tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable

import plotly.graph_objects as go

from tuner.journal.history import History, RetrainHistory
from tuner.results.figures.style import CANDIDATE_COLOURS, GREY, new_figure, shown

_DASHES = {"train": "dash", "dev": "solid", "": "solid"}
_PANELS_IN_A_ROW = 2
_ROW_HEIGHT = 300
_GAP = 0.09
"""Between panels, as a share of the figure's width."""


def learning_curves(history: History) -> go.Figure | None:
    """Return every metric by epoch, one line a seed; None before the first epoch of a retraining.

    What is known of several splits (`train_loss`, `dev_loss`) shares a panel.
    """
    retrains = [retrain for retrain in history.retrains.values() if retrain.epochs]
    if not retrains:
        return None
    panels = panels_of(name for one in retrains for report in one.epochs.values() for name in report.metrics)
    rows = math.ceil(len(panels) / _PANELS_IN_A_ROW)
    figure = new_figure(_ROW_HEIGHT * rows + 60)
    named: set[str] = set()
    for place, (label, lines) in enumerate(panels.items()):
        _add_panel(figure, place, rows, label)
        for metric, split in lines.items():
            for retrain in retrains:
                _add_line(figure, place, retrain, metric, split, named)
    return figure


def panels_of(metrics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return by panel its metrics, each with its split, which is empty for one of no split."""
    panels: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(metrics):
        split, _, rest = name.partition("_")
        is_of_split = split in _DASHES and rest != ""
        panels.setdefault(rest if is_of_split else name, {})[name] = split if is_of_split else ""
    return panels


def _add_panel(figure: go.Figure, place: int, rows: int, label: str) -> None:
    row, column = divmod(place, _PANELS_IN_A_ROW)
    width = (1 - _GAP * (_PANELS_IN_A_ROW - 1)) / _PANELS_IN_A_ROW
    left, height = column * (width + _GAP), 1 / rows
    top = 1 - row * height
    figure.layout[_axis("xaxis", place)] = {
        "domain": [left, left + width],
        "anchor": _axis("y", place),
        "title": {"text": "epoch"},
    }
    figure.layout[_axis("yaxis", place)] = {
        "domain": [top - height + 0.22 / rows, top],
        "anchor": _axis("x", place),
        "title": {"text": shown(label.replace("_", " "))},
    }


def _add_line(figure: go.Figure, place: int, retrain: RetrainHistory, metric: str, split: str, named: set[str]) -> None:
    known = [report for _, report in sorted(retrain.epochs.items()) if metric in report.metrics]
    if not known:
        return
    # Each kind of line is named once, however many seeds and panels there are.
    name = f"{retrain.candidate}, {split}" if split else retrain.candidate
    figure.add_trace(
        go.Scatter(
            x=[report.epoch for report in known],
            y=[report.metrics[metric] for report in known],
            mode="lines" if len(known) > 1 else "markers",
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            line={"color": CANDIDATE_COLOURS.get(retrain.candidate, GREY), "dash": _DASHES[split], "width": 1.8},
            hovertemplate=f"{name}, seed {retrain.seed}<br>epoch %{{x}}: %{{y:.5g}}<extra></extra>",
            xaxis=_axis("x", place),
            yaxis=_axis("y", place),
        )
    )
    named.add(name)


def _axis(kind: str, place: int) -> str:
    return kind if place == 0 else f"{kind}{place + 1}"
