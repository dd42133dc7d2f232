"""Several panels in one figure: side by side on a wide page, one below the other on a phone."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

NARROW = "narrow"
"""Key in the figure's `meta` of what to change in its layout where there is little room."""

_MARGIN = 40
"""Pixels above the first row, for the legend."""
_LABELS = 58
"""Pixels below a panel, for its ticks and its title."""
_GAP = 0.085
"""Between panels, as a share of the figure's width."""


def arrange(figure: go.Figure, count: int, *, columns: int, row_height: int, narrow_columns: int = 1) -> None:
    """Give `count` panels their places, in rows of `columns`, each of `row_height` pixels with its labels.

    Panel n has the axes `axis("x", n)` and `axis("y", n)`, from 0. The page takes what is in the figure's `meta` where
    it is narrow.
    """
    figure.update_layout(_layout(count, min(columns, count), row_height))
    figure.layout.meta = {NARROW: _layout(count, min(narrow_columns, count), row_height)}


def axis(kind: str, place: int) -> str:
    """Return the name of a panel's axis as traces have it: "x", "x2"; with `xaxis` that of its layout."""
    return kind if place == 0 else f"{kind}{place + 1}"


def _layout(count: int, columns: int, row_height: int) -> dict[str, Any]:
    rows = math.ceil(count / columns)
    height = rows * row_height
    width = (1 - _GAP * (columns - 1)) / columns
    found: dict[str, Any] = {"height": height + _MARGIN + _LABELS}
    for place in range(count):
        row, column = divmod(place, columns)
        left, top = column * (width + _GAP), 1 - row * row_height / height
        bottom = 1 - ((row + 1) * row_height - (_LABELS if row < rows - 1 else 0)) / height
        found[axis("xaxis", place)] = {"domain": [left, left + width], "anchor": axis("y", place)}
        found[axis("yaxis", place)] = {"domain": [max(0.0, bottom), top], "anchor": axis("x", place)}
    return found
