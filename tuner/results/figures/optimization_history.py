"""How the best value of the objective improved during the search, beside what each trial reached."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.panels import arrange, axis
from tuner.results.figures.style import BLUE, STATE_COLOURS, brief, new_figure, time_unit
from tuner.results.figures.value_axis import value_axis
from tuner.results.incumbent import improvements

_ROW_HEIGHT = 330


def optimization_history(history: History) -> go.Figure | None:
    """Return the objective's best value so far over time and over epochs, with every trial; None before an epoch."""
    found = improvements(history)
    if not found:
        return None
    duration = history.elapsed if history.search_seconds is None else history.search_seconds
    unit, size = time_unit(duration)
    bests = [[top.metrics[history.objective.metric]] for trial in history.trials.values() if (top := trial.best)]
    values = value_axis(history.objective.words, bests, history.objective)
    figure = new_figure(_ROW_HEIGHT)
    arrange(figure, 2, columns=2, row_height=_ROW_HEIGHT)
    for place, title in enumerate((unit, "epochs of all trials together")):
        figure.update_layout({axis("xaxis", place): {"title": {"text": title}}})
    figure.update_layout(
        yaxis={"title": {"text": values.title}, "range": values.range}, yaxis2={"matches": "y", "range": values.range}
    )
    _add_trials(figure, history, size)
    best = [brief(one.value) for one in found]
    trials = [one.trial for one in found]
    ends = duration / size, float(history.epochs_trained)
    steps = [brief(one.seconds / size) for one in found], [float(one.epochs) for one in found]
    for place, (xs, end) in enumerate(zip(steps, ends, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=[*xs, max(end, xs[-1])],
                y=[*best, best[-1]],
                customdata=[*trials, trials[-1]],
                mode="lines+markers",
                line={"shape": "hv", "color": BLUE, "width": 2.2},
                marker={"size": [6] * len(xs) + [0], "line": {"width": 0}},
                name="best so far",
                legendgroup="best",
                showlegend=place == 0,
                hovertemplate="trial %{customdata}: %{y:.5g}<extra>best so far</extra>",
                xaxis=axis("x", place),
                yaxis=axis("y", place),
            )
        )
    return figure


def _add_trials(figure: go.Figure, history: History, size: int) -> None:
    """Add every trial where it reached its best value."""
    reached: dict[int, tuple[float, float]] = {}
    bests = {number: trial.best for number, trial in history.trials.items()}
    epochs = 0
    for seconds, report in history.reported:
        epochs += not report.reused
        if report is bests[report.trial]:
            reached[report.trial] = (brief(seconds / size), epochs)
    for state in STATE_COLOURS:
        numbers = [number for number in sorted(reached) if history.trials[number].state is state]
        values = [brief(best.metrics[history.objective.metric]) for number in numbers if (best := bests[number])]
        for place in (0, 1) if numbers else ():
            figure.add_trace(
                go.Scatter(
                    x=[reached[number][place] for number in numbers],
                    y=values,
                    customdata=numbers,
                    mode="markers",
                    marker={"color": STATE_COLOURS[state], "size": 5, "opacity": 0.7},
                    name=state.value,
                    legendgroup=state.value,
                    showlegend=place == 0,
                    hovertemplate=f"trial %{{customdata}}: %{{y:.5g}}<extra>{state.value}</extra>",
                    xaxis=axis("x", place),
                    yaxis=axis("y", place),
                )
            )
