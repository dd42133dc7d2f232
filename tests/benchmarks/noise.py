"""What a surrogate lacks: two trainings of one configuration differ, so a search may be led to try the same again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import json_to_distribution

from tuner.search.arrays import Floats
from tuner.search.simulator import Curve
from tuner.search.trial import Proposal
from tuner.search.unit import to_unit

_ALIKE = 0.02
"""Of each parameter's range: closer than that no training can tell two configurations apart."""


def noisy(
    curve_of: Callable[[Mapping[str, Any]], Curve], deviation: float, generator: np.random.Generator
) -> Callable[[Mapping[str, Any]], Curve]:
    """Return curves with normal noise of `deviation`, drawn once for a training and once more for each epoch."""

    def curve(hparams: Mapping[str, Any]) -> Curve:
        found = curve_of(hparams)
        drawn = generator.normal(0.0, deviation, len(found.values) + 1)
        return replace(found, values=(np.asarray(found.values) + drawn[0] + drawn[1:]).tolist())

    return curve


def copies(proposals: Sequence[Proposal]) -> int:
    """Return how many proposals are like an earlier one: the same parameters, none further off than `_ALIKE`."""
    seen: dict[tuple[str, ...], list[Floats]] = {}
    found = 0
    for proposal in (one for one in proposals if one.distributions):  # a peer need not tell them
        names = tuple(sorted(proposal.distributions))
        units = np.array([_place(proposal, name) for name in names])
        before = seen.setdefault(names, [])
        found += any(np.abs(units - other).max(initial=0.0) <= _ALIKE for other in before)
        before.append(units)
    return found


def _place(proposal: Proposal, name: str) -> float:
    return to_unit(json_to_distribution(proposal.distributions[name]), proposal.params[name])
