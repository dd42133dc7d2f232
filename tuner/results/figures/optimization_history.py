"""How the best value of the objective improved during the search, beside what each trial reached."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.style import BLUE, STATE_COLOURS, new_figure, shown, time_unit
from tuner.results.incumbent import improvements
from tuner.search.trial import TrialState

_GAP = 0.04


def optimization_history(history: History) -> go.Figure | None:
    """Return the objective's best value so far over time and over epochs, with every trial; None before an epoch."""
    found = improvements(history)
    if not found:
        return None
    duration = history.elapsed if history.search_seconds is None else history.search_seconds
    unit, size = time_unit(duration)
    words = history.objective.words
    figure = new_figure(
        380,
        xaxis={"domain": [0, 0.5 - _GAP / 2], "title": {"text": unit}},
        xaxis2={"domain": [0.5 + _GAP / 2, 1], "title": {"text": "epochs of all trials together"}},
        yaxis={"title": {"text": shown(words)}},
        yaxis2={"matches": "y", "anchor": "x2", "showticklabels": False},
    )
    _add_trials(figure, history, size)
    best = [one.value for one in found]
    trials = [one.trial for one in found]
    ends = duration / size, float(history.epochs_trained)
    steps = [one.seconds / size for one in found], [float(one.epochs) for one in found]
    for place, (xs, end) in enumerate(zip(steps, ends, strict=True), 1):
        figure.add_trace(
            go.Scatter(
                x=[*xs, max(end, xs[-1])],
                y=[*best, best[-1]],
                customdata=[*trials, trials[-1]],
                mode="lines+markers",
                line={"shape": "hv", "color": BLUE, "width": 2.2},
                marker={"size": [6] * len(xs) + [0]},
                name="best so far",
                legendgroup="best",
                showlegend=place == 1,
                hovertemplate="trial %{customdata}: %{y:.5g}<extra>best so far</extra>",
                xaxis=f"x{place}",
                yaxis=f"y{place}",
            )
        )
    return figure


def _add_trials(figure: go.Figure, history: History, size: int) -> None:
    """Add every trial where it reached its best value."""
    reached: dict[int, tuple[float, int]] = {}
    bests = {number: trial.best for number, trial in history.trials.items()}
    for epochs, (seconds, report) in enumerate(history.reported, 1):
        if report is bests[report.trial]:
            reached[report.trial] = (seconds / size, epochs)
    for state in TrialState:
        numbers = [number for number in sorted(reached) if history.trials[number].state is state]
        values = [best.metrics[history.objective.metric] for number in numbers if (best := bests[number])]
        for place in (1, 2) if numbers else ():
            figure.add_trace(
                go.Scatter(
                    x=[reached[number][place - 1] for number in numbers],
                    y=values,
                    customdata=numbers,
                    mode="markers",
                    marker={"color": STATE_COLOURS[state], "size": 5, "opacity": 0.7},
                    name=state.value,
                    legendgroup=state.value,
                    showlegend=place == 1,
                    hovertemplate=f"trial %{{customdata}}: %{{y:.5g}}<extra>{state.value}</extra>",
                    xaxis=f"x{place}",
                    yaxis=f"y{place}",
                )
            )
