"""The axis of the objective's values, on which a trial that diverged does not flatten all others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tuner.journal.history import TrialHistory
from tuner.results.far_off import worst_of_the_near
from tuner.results.figures.style import brief, shown
from tuner.search.objective import Objective

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
    everything = [value for values in drawn for value in values]
    near = worst_of_the_near(everything, objective)
    if near is None:
        return ValueAxis(shown(title), None)
    best, worst = max(map(objective.score, everything)), objective.score(near)
    margin = _MARGIN * (best - worst)
    ends = sorted(brief(objective.score(score)) for score in (worst - margin, best + margin))
    beyond = sum(all(objective.score(value) < worst for value in values) for values in drawn)
    return ValueAxis(shown(f"{title} ({beyond:,} beyond the axis)" if beyond else title), ends)


def best_value(trial: TrialHistory) -> float:
    """Return the best value of the objective that a trial with an epoch has shown."""
    assert trial.best is not None, trial.number
    return trial.best.metrics[trial.objective.metric]
