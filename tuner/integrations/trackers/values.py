"""Hyperparameters as trackers take them: flat, of numbers and short texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Scalar = bool | int | float | str


def flat(hparams: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Return hyperparameters by name, those of a dictionary as `outer.inner`; a list is its JSON, None is left out."""
    found: dict[str, Scalar] = {}
    for name, value in hparams.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, Scalar):
            found[f"{prefix}{name}"] = value
        elif value is not None:
            found[f"{prefix}{name}"] = json.dumps(value)
    return found


def finals(evaluations: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return what a retraining scored as `split/metric`."""
    return {f"{split}/{name}": value for split, found in evaluations.items() for name, value in found.items()}
