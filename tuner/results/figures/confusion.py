"""Which classes the retrained winner takes for which, on the dev set."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from tuner.data.predictions import Predictions
from tuner.results.figures.panels import NARROW
from tuner.results.figures.style import BLUE, new_figure, shown

_NUMBERED = 20
"""With more classes there is no room for numbers."""
MOST_CLASSES = 60
"""With more there is no room for a matrix."""


def confusion(predictions: Predictions | None) -> go.Figure | None:
    """Return the confusion matrix, by label (rows) and answer (columns); None without answers and with many classes."""
    if predictions is None or len(predictions.class_names) > MOST_CLASSES:
        return None
    label, answer, count = predictions.confusions().T
    counts = np.zeros((len(predictions.class_names),) * 2, dtype=np.int64)
    counts[label, answer] = count
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    names = [shown(name) for name in predictions.class_names]
    places = list(range(len(names)))
    figure = new_figure(
        min(900, 160 + max(24 * len(names), 240)),
        xaxis={"title": {"text": "answer"}, "tickvals": places, "ticktext": names, "showgrid": False},
        yaxis={
            "title": {"text": "label"},
            "tickvals": places,
            "ticktext": names,
            "showgrid": False,
            "autorange": "reversed",
        },
        margin={"t": 10},
    )
    figure.layout.meta = {NARROW: {"width": 90 + 30 * len(names)}}
    figure.add_trace(
        go.Heatmap(
            z=[[round(float(share), 4) for share in row] for row in shares],
            x=places,
            y=places,
            customdata=counts.tolist(),
            hovertext=[[f"{label} taken for {answer}" for answer in names] for label in names],
            text=[[str(count) if count else "" for count in row] for row in counts.tolist()],
            texttemplate="%{text}" if len(names) <= _NUMBERED else None,
            colorscale=[[0, "rgba(47,127,193,0)"], [1, BLUE]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="%{hovertext}: %{customdata} (%{z:.1%})<extra></extra>",
        )
    )
    return figure
