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


def worst_of_the_near(values: Collection[float], objective: Objective) -> float | None:
    """Return the worst value that is not far off; None if none is far off, as where nothing diverged."""
    scores = sorted(map(objective.score, values), reverse=True)
    if not scores:
        return None
    fence = scores[math.ceil(_BETTER * len(scores)) - 1]
    spread = scores[0] - fence
    if spread == 0 or scores[-1] >= fence - _FLAT * spread:
        return None
    return objective.score(min(score for score in scores if score >= fence - _FAR * spread))


def brought_near(values: Sequence[float], objective: Objective) -> list[float]:
    """Return the values, in the place of each that is far off the worst of the others."""
    worst = worst_of_the_near(values, objective)
    if worst is None:
        return list(values)
    return [max(value, worst, key=objective.score) for value in values]
