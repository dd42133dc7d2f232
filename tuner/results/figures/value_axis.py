"""The axis of the objective's values, on which a trial that diverged does not flatten all others."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tuner.journal.history import TrialHistory
from tuner.results.figures.style import brief, shown
from tuner.search.objective import Objective

_BETTER = 0.75
"""This share of the values, the better ones, says what is far from them."""
_FLAT = 10.0
"""Times their spread: if no value is worse than the worst of them by more, all values can be told apart as they are."""
_FAR = 5.0
"""Likewise: else what is worse by more lies beyond the axis."""
_MARGIN = 0.05
"""At both ends, as a share of the range."""


@dataclass(frozen=True)
class ValueAxis:
    """What the layout says of the axis."""

    title: str
    """With how many lie beyond it; plotly may read it."""
    range: list[float] | None
    """None where all values have their place, which plotly finds."""


def value_axis(title: str, drawn: Collection[Sequence[float]], objective: Objective) -> ValueAxis:
    """Return the axis of what is drawn: of each line or point its values of `objective`."""
    scores = sorted((objective.score(value) for values in drawn for value in values), reverse=True)
    if not scores:
        return ValueAxis(shown(title), None)
    best, fence = scores[0], scores[math.ceil(_BETTER * len(scores)) - 1]
    spread = best - fence
    if spread == 0 or scores[-1] >= fence - _FLAT * spread:
        return ValueAxis(shown(title), None)
    limit = fence - _FAR * spread
    worst = min(score for score in scores if score >= limit)
    margin = _MARGIN * (best - worst)
    ends = sorted(brief(objective.score(score)) for score in (worst - margin, best + margin))
    beyond = sum(all(objective.score(value) < limit for value in values) for values in drawn)
    return ValueAxis(shown(f"{title} ({beyond:,} beyond the axis)" if beyond else title), ends)


def best_value(trial: TrialHistory) -> float:
    """Return the best value of the objective that a trial with an epoch has shown."""
    assert trial.best is not None, trial.number
    return trial.best.metrics[trial.objective.metric]
