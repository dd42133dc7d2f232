"""Hyperparameters and scores as trackers take them: flat, of numbers and short texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tuner.integrations.callback import RetrainEpoch, Retraining

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


def retraining_name(one: Retraining | RetrainEpoch) -> str:
    """Return "tuned-seed-1" or "ensemble"."""
    return one.candidate if one.seed is None else f"{one.candidate}-seed-{one.seed}"


def run_title(key: str) -> str:
    """Return what a run of this key is called beside the study's name: "trial 3", or a retraining's name as it is."""
    return f"trial {key}" if key.isdigit() else f"retrained {key}"
