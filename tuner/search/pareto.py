"""The Pareto front: what cannot be bettered in one objective without being worse in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner.search.objective import Objective


def pareto_front(points: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[bool]:
    """Return which points are on the front; a point has a value for each objective, none of them NaN.

    A point is on it unless another is at least as good in every objective and better in one; equal points are on it
    together.
    """
    signs = [-1.0 if objective.is_maximised else 1.0 for objective in objectives]
    costs = np.array(points, dtype=float).reshape(len(points), len(signs)) * signs
    front = np.empty_like(costs)
    found: list[int] = []
    # Only a point that sorts before another can better it, so each is compared with the front so far, not with all.
    for place in np.lexsort(costs.T[::-1]):
        cost, so_far = costs[place], front[: len(found)]
        if not np.any(np.all(so_far <= cost, axis=1) & np.any(so_far < cost, axis=1)):
            front[len(found)] = cost
            found.append(place)
    is_on_front: list[bool] = np.isin(np.arange(len(costs)), found).tolist()
    return is_on_front
