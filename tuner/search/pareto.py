"""The Pareto front: what cannot be bettered in one objective without being worse in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner.search.objectives import Objective


def pareto_front(points: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[bool]:
    """Return which points are on the front; a point has a value for each objective, none of them NaN.

    A point is on it unless another is at least as good in every objective and better in one; equal points are on it
    together.
    """
    signs = [-1.0 if objective.is_maximised else 1.0 for objective in objectives]
    costs = np.array(points, dtype=float).reshape(len(points), len(signs)) * signs
    return [not np.any(np.all(costs <= cost, axis=1) & np.any(costs < cost, axis=1)) for cost in costs]
