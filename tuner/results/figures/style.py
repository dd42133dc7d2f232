"""What all figures have in common: colours that can be read on white and on black, one template for each, and texts."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go

from tuner.results.selection import BASELINE, ENSEMBLE, TUNED
from tuner.results.wording import plain
from tuner.search.trial import TrialState

T = TypeVar("T")

BLUE = "#2f7fc1"
ORANGE = "#d0661c"
GREEN = "#2a9461"
RED = "#d9453d"
VIOLET = "#8a6bd1"
GREY = "#84898f"

CANDIDATE_COLOURS = {TUNED: BLUE, BASELINE: ORANGE, ENSEMBLE: VIOLET}
STATE_COLOURS = {
    TrialState.PRUNED: GREY,
    TrialState.PAUSED: VIOLET,
    TrialState.RUNNING: ORANGE,
    TrialState.COMPLETE: GREEN,
    TrialState.FAILED: RED,
}
"""In the order of drawing: what there is most of lies below."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def template(text: str, grid: str) -> dict[str, Any]:
    """Return a template with these colours of its texts and lines; the background is the page's."""
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "zeroline": False,
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "font": {"family": _FONT, "size": 13, "color": text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": [BLUE, ORANGE, GREEN, VIOLET, RED, GREY],
            "margin": {"l": 56, "r": 16, "t": 28, "b": 48},
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "namelength": -1},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
            "dragmode": "zoom",
            # To the sides the labels of x axes need no margin of their own: plotly would look for it again and again.
            "xaxis": {**axis, "automargin": "height"},
            "yaxis": {**axis, "automargin": True, "ticklabelstandoff": 4},
        }
    }


LIGHT = template("#24292f", "#dfe2e6")
DARK = template("#dce1e7", "#3b4148")


def new_figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty figure, `height` pixels high and as wide as its place."""
    return go.Figure(layout={"template": LIGHT, "height": height, "autosize": True, **layout})


def shown(text: object) -> str:
    """Return a text of the user's that plotly, which reads a little HTML, shows as it is."""
    return html.escape(plain(text), quote=False)


def short(text: str, length: int = 16) -> str:
    """Return a text of the user's, likewise, with at most `length` characters."""
    return shown(text if len(text) <= length else f"{text[: length - 1]}…")


def brief(value: float) -> float:
    """Return a number with the six digits that anybody sees: with all of them a page is twice as large."""
    return float(f"{value:.6g}")


def evenly(items: Sequence[T], count: int) -> Sequence[T]:
    """Return at most `count` of the items, in their order, from all parts of them."""
    return items[:: math.ceil(len(items) / count)] if len(items) > count else items


def time_unit(seconds: float) -> tuple[str, int]:
    """Return the unit in which a search of this length is drawn, and its seconds."""
    if seconds < 120:
        return "seconds", 1
    return ("minutes", 60) if seconds < 7200 else ("hours", 3600)
