"""Which values of the objective are so far from the others that a picture with them would show nothing else."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from tuner.search.objective import Objective

_BETTER = 0.75
"""This share of the values, the better ones, says what is far from them."""
_FLAT = 10.0
"""Times their spread: if no value is worse than the worst of them by more, all values can be told apart as they are."""
_FAR = 5.0
"""Likewise: else what is worse by more is far off."""


def limit_of(values: Collection[float], objective: Objective) -> float | None:
    """Return the value beyond which values are far off; None if none is, as where nothing diverged."""
    scores = sorted(map(objective.score, values), reverse=True)
    if not scores:
        return None
    fence = scores[math.ceil(_BETTER * len(scores)) - 1]
    spread = scores[0] - fence
    if spread == 0 or scores[-1] >= fence - _FLAT * spread:
        return None
    return objective.score(fence - _FAR * spread)


def brought_near(values: Sequence[float], objective: Objective) -> list[float]:
    """Return the values, in the place of each that is far off the worst of the others."""
    limit = limit_of(values, objective)
    if limit is None:
        return list(values)
    worst = worst_within(limit, values, objective)
    return [objective.score(max(objective.score(value), objective.score(worst))) for value in values]


def worst_within(limit: float, values: Collection[float], objective: Objective) -> float:
    """Return the worst of the values that do not lie beyond the limit."""
    scores = map(objective.score, values)
    return objective.score(min(score for score in scores if score >= objective.score(limit)))
