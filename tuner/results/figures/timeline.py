"""When each worker trained which trial, and when it was idle."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.journal.history import History
from tuner.results.figures.style import BLUE, STATE_COLOURS, brief, new_figure, shown, time_unit
from tuner.results.lanes import Lane, Timeline, timeline_of
from tuner.search.trial import TrialState

_LANES = 32
"""With more, what is drawn is how many of them work."""
_STRETCHES = 4000
"""With more bars than these likewise."""


def timeline(history: History) -> go.Figure | None:
    """Return the workers' lanes over time, coloured by what became of the trial; None before the first epoch.

    With many workers or trials it is the number of workers that are busy.
    """
    whole = timeline_of(history)
    if whole is None:
        return None
    found = whole.lanes
    if len(found) > _LANES or sum(len(lane.stretches) for lane in found) > _STRETCHES:
        return _busy(whole)
    unit, size = time_unit(whole.end)
    idle = [f"idle {whole.idle(lane):.0%}" for lane in found]
    names = [f"{shown(lane.host)} {number}" for number, lane in enumerate(found, 1)]
    figure = new_figure(
        96 + 30 * len(found),
        barmode="overlay",
        bargap=0.25,
        xaxis={"title": {"text": unit}, "range": [whole.begin / size, whole.end / size]},
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


def _busy(whole: Timeline) -> go.Figure:
    unit, size = time_unit(whole.end)
    changes = sorted(
        [(one.begin, 1) for lane in whole.lanes for one in lane.stretches]
        + [(one.end, -1) for lane in whole.lanes for one in lane.stretches]
    )
    busy, times, counts = 0, [brief(whole.begin / size)], [0]
    for moment, change in changes:
        busy += change
        times.append(brief(moment / size))
        counts.append(busy)
    figure = new_figure(
        320,
        xaxis={"title": {"text": unit}},
        yaxis={"title": {"text": "workers that train"}, "range": [0, len(whole.lanes) * 1.05]},
    )
    line = {"shape": "hv", "color": BLUE, "width": 1}
    figure.add_trace(go.Scatter(x=times, y=counts, mode="lines", line=line, fill="tozeroy", name="busy"))
    return figure


def _epochs(first: int, last: int) -> str:
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"
