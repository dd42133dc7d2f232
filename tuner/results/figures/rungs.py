"""The rungs: which trials got to each, what became of them there, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from tuner.journal.history import History, TrialHistory
from tuner.results.figures.style import BLUE, GREEN, GREY, ORANGE, RED, VIOLET, brief, new_figure, shown
from tuner.results.figures.trial_curves import best_so_far
from tuner.results.figures.value_axis import value_axis
from tuner.results.summary import pace_of, rung_epochs
from tuner.search.pace import Pace
from tuner.search.scheduler import Action
from tuner.search.trial import TrialState

_COLOURS = {
    "given up": GREY,
    "went on": BLUE,
    "paused": VIOLET,
    "running": ORANGE,
    "failed later": RED,
    "complete": GREEN,
}
"""What became of a trial at a rung, in the order of drawing."""
_SYMBOLS = {"given up": "x-thin-open", "complete": "star", "paused": "square"}
_TRACED = 60
"""Up to so many trials the rungs of each are joined by a line."""
_SPREAD = 0.7
"""Of a rung's column, over which its trials are strewn so that they do not hide each other."""
_GOLDEN = 0.6180339887498949
"""Its multiples, without what stands before the point, never crowd."""
_WIDTH_OF_REASON = 60


@dataclass(frozen=True)
class Stay:
    """A trial at a rung."""

    trial: int
    level: int
    value: float
    """The best by then."""
    fate: str
    """A key of `_COLOURS`."""
    reason: str


def rungs(history: History) -> go.Figure | None:
    """Return one point for every trial at every rung that it reached; None before the first comparison."""
    levels, pace = rung_epochs(history), pace_of(history)
    stays = [stay for _, trial in sorted(history.trials.items()) for stay in stays_of(trial, levels, pace)]
    if not any(trial.decisions for trial in history.trials.values()):
        return None
    reached = [level for level in levels if any(stay.level == level for stay in stays)]
    columns = {level: column for column, level in enumerate(reached)}
    labels = [_label(level, [stay for stay in stays if stay.level == level]) for level in reached]
    values = value_axis(
        f"best {history.objective.words} by the rung", [[stay.value] for stay in stays], history.objective
    )
    figure = new_figure(
        460,
        xaxis={
            "tickvals": list(columns.values()),
            "ticktext": labels,
            "range": [-0.55, len(reached) - 0.45],
            "showgrid": False,
        },
        yaxis={"title": {"text": values.title}, "range": values.range},
    )
    if len(history.trials) <= _TRACED:
        figure.add_trace(_paths(stays, columns))
    for fate in _COLOURS:
        _add_points(figure, fate, [stay for stay in stays if stay.fate == fate], columns)
    return figure


def stays_of(trial: TrialHistory, levels: Sequence[int], pace: Pace) -> Iterator[Stay]:
    """Yield the trial at each rung that it reached, from the first; `pace` says with which of its epochs."""
    epochs, values = best_so_far(trial)
    best = dict(zip(epochs, values, strict=True))
    reasons = {decision.epoch: decision.reason for decision in trial.decisions}
    for level in levels:
        epoch = pace.epoch_at(trial.number, level)
        if epoch in best:
            fate = _fate(trial, level, epoch)
            reason = reasons.get(level, "")
            if trial.ended is not None and fate in ("given up", "complete") and trial.ended.reason != reason:
                reason = f"{reason}; {trial.ended.reason}" if reason else trial.ended.reason
            yield Stay(trial.number, level, best[epoch], fate, reason)


def _fate(trial: TrialHistory, level: int, epoch: int) -> str:
    if max(trial.epochs) > epoch:
        return "went on"
    if trial.state is TrialState.COMPLETE:
        return "complete"
    if trial.state is TrialState.FAILED:
        return "failed later"
    if trial.stopped_at == level or trial.state is TrialState.PRUNED:
        return "given up"
    if trial.state is TrialState.PAUSED:
        return "paused"
    is_promoted = level in trial.promoted_from or any(
        decision.epoch == level and decision.action == Action.CONTINUE for decision in trial.decisions
    )
    return "went on" if is_promoted else "running"


def _label(level: int, stays: Sequence[Stay]) -> str:
    on = sum(stay.fate == "went on" for stay in stays)
    text = f"rung {level}<br>{len(stays):,} trial{'s' * (len(stays) != 1)}"
    return f"{text}<br>{on:,} went on" if on else text


def _place(stay: Stay, columns: dict[int, int]) -> float:
    return columns[stay.level] + _SPREAD * ((stay.trial * _GOLDEN) % 1 - 0.5)


def _paths(stays: Sequence[Stay], columns: dict[int, int]) -> go.Scatter:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for before, stay in zip([None, *stays], stays, strict=False):
        if before is not None and before.trial != stay.trial:
            xs.append(None)
            ys.append(None)
        xs.append(brief(_place(stay, columns)))
        ys.append(brief(stay.value))
    line = {"color": GREY, "width": 1}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, opacity=0.5, hoverinfo="skip", showlegend=False)


def _add_points(figure: go.Figure, fate: str, stays: Sequence[Stay], columns: dict[int, int]) -> None:
    if not stays:
        return
    figure.add_trace(
        go.Scatter(
            x=[brief(_place(stay, columns)) for stay in stays],
            y=[brief(stay.value) for stay in stays],
            customdata=[[stay.trial, _folded(shown(stay.reason))] for stay in stays],
            mode="markers",
            name=fate,
            marker={
                "color": _COLOURS[fate],
                "size": 7 if len(stays) <= _TRACED * 4 else 4.5,
                "symbol": _SYMBOLS.get(fate, "circle"),
                "line": {"width": 1.5 if fate == "given up" else 0, "color": _COLOURS[fate]},
                "opacity": 0.85,
            },
            hovertemplate=f"trial %{{customdata[0]}}: %{{y:.5g}}<br>{fate}<br>%{{customdata[1]}}<extra></extra>",
        )
    )


def _folded(text: str) -> str:
    """Return the text in lines short enough for a phone; an entity is never cut, for it holds no blank."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > _WIDTH_OF_REASON:
            lines.append("")
        lines[-1] += f"{word} "
    return "<br>".join(line.strip() for line in lines)
