"""Every metric by epoch of the retrained winner and baseline: learning curves before and after tuning."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go

from tuner.journal.history import History, RetrainHistory
from tuner.results.figures.panels import arrange, axis
from tuner.results.figures.style import CANDIDATE_COLOURS, GREY, brief, new_figure, shown

_DASHES = {"train": "dash", "dev": "solid", "val": "solid", "": "solid"}
_PANELS_IN_A_ROW = 2
_ROW_HEIGHT = 290


def learning_curves(history: History) -> go.Figure | None:
    """Return every metric by epoch, one line a seed; None before the first epoch of a retraining.

    What is known of several splits (`train_loss`, `dev_loss`) shares a panel.
    """
    retrains = [retrain for retrain in history.retrains.values() if retrain.epochs]
    if not retrains:
        return None
    panels = panels_of(name for one in retrains for report in one.epochs.values() for name in report.metrics)
    figure = new_figure(_ROW_HEIGHT)
    arrange(figure, len(panels), columns=_PANELS_IN_A_ROW, row_height=_ROW_HEIGHT)
    named: set[str] = set()
    for place, (label, lines) in enumerate(panels.items()):
        figure.update_layout(
            {
                axis("xaxis", place): {"title": {"text": "epoch"}},
                axis("yaxis", place): {"title": {"text": shown(label.replace("_", " "))}},
            }
        )
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


def _add_line(figure: go.Figure, place: int, retrain: RetrainHistory, metric: str, split: str, named: set[str]) -> None:
    known = [report for _, report in sorted(retrain.epochs.items()) if metric in report.metrics]
    if not known:
        return
    # Each kind of line is named once, however many seeds and panels there are.
    name = f"{retrain.candidate}, {split}" if split else retrain.candidate
    figure.add_trace(
        go.Scatter(
            x=[report.epoch for report in known],
            y=[brief(report.metrics[metric]) for report in known],
            mode="lines" if len(known) > 1 else "markers",
            name=name,
            legendgroup=name,
            # The colour says enough of what is of no split, where there are lines of one.
            showlegend=name not in named and (split != "" or not named),
            line={"color": CANDIDATE_COLOURS.get(retrain.candidate, GREY), "dash": _DASHES[split], "width": 1.8},
            hovertemplate=f"{name}, seed {retrain.seed}<br>epoch %{{x}}: %{{y:.5g}}<extra></extra>",
            xaxis=axis("x", place),
            yaxis=axis("y", place),
        )
    )
    named.add(name)
