"""When each worker trained which trial, and when it was idle."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.style import BLUE, STATE_COLOURS, brief, new_figure, shown, time_unit
from tuner.results.lanes import Lane, lanes
from tuner.search.trial import TrialState

_LANES = 32
"""With more, what is drawn is how many of them work."""
_STRETCHES = 4000
"""With more bars than these likewise."""


def timeline(history: History) -> go.Figure | None:
    """Return the workers' lanes over time, coloured by what became of the trial; None before the first epoch.

    With many workers or trials it is the number of workers that are busy.
    """
    found = lanes(history)
    if not found:
        return None
    duration = search_seconds(history)
    if len(found) > _LANES or sum(len(lane.stretches) for lane in found) > _STRETCHES:
        return _busy(found, duration)
    unit, size = time_unit(duration)
    idle = [f"idle {1 - lane.busy / duration:.0%}" for lane in found]
    names = [f"{shown(lane.host)} {number}" for number, lane in enumerate(found, 1)]
    figure = new_figure(
        96 + 30 * len(found),
        barmode="overlay",
        bargap=0.25,
        xaxis={"title": {"text": unit}, "range": [0, duration / size]},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names[::-1],
            "showgrid": False,
            "tickvals": names,
            "ticktext": [f"{name}, {share}" for name, share in zip(names, idle, strict=True)],
        },
    )
    for state in STATE_COLOURS:
        _add_bars(figure, history, state, dict(zip(names, found, strict=True)), size)
    return figure


def search_seconds(history: History) -> float:
    """Return how long the search took, or has taken by now."""
    return history.elapsed if history.search_seconds is None else history.search_seconds


def idle_share(history: History) -> float | None:
    """Return the share of the workers' time in the search that was not spent on training; None before an epoch."""
    found, duration = lanes(history), search_seconds(history)
    if not found or duration <= 0:
        return None
    return max(0.0, 1 - sum(lane.busy for lane in found) / (duration * len(found)))


def _add_bars(figure: go.Figure, history: History, state: TrialState, named: dict[str, Lane], size: int) -> None:
    bars = [
        (name, one)
        for name, lane in named.items()
        for one in lane.stretches
        if history.trials[one.trial].state is state
    ]
    if not bars:
        return
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=[name for name, _ in bars],
            base=[brief(one.begin / size) for _, one in bars],
            x=[brief((one.end - one.begin) / size) for _, one in bars],
            customdata=[[one.trial, _epochs(one.first, one.last)] for _, one in bars],
            marker={"color": STATE_COLOURS[state], "line": {"width": 0.5, "color": "rgba(128,128,128,0.6)"}},
            name=state.value,
            hovertemplate=f"trial %{{customdata[0]}}, %{{customdata[1]}}<extra>{state.value}</extra>",
        )
    )


def _busy(found: Sequence[Lane], duration: float) -> go.Figure:
    unit, size = time_unit(duration)
    changes = sorted(
        [(one.begin, 1) for lane in found for one in lane.stretches]
        + [(one.end, -1) for lane in found for one in lane.stretches]
    )
    busy, times, counts = 0, [0.0], [0]
    for moment, change in changes:
        busy += change
        times.append(brief(moment / size))
        counts.append(busy)
    figure = new_figure(
        320,
        xaxis={"title": {"text": unit}},
        yaxis={"title": {"text": "workers that train"}, "range": [0, len(found) * 1.05]},
    )
    line = {"shape": "hv", "color": BLUE, "width": 1}
    figure.add_trace(go.Scatter(x=times, y=counts, mode="lines", line=line, fill="tozeroy", name="busy"))
    return figure


def _epochs(first: int, last: int) -> str:
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"
