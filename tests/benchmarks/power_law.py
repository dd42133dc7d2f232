"""Learning curves without data files: a Hartmann function approached by power laws that cross.

The final value is the six-dimensional Hartmann function (Dixon and Szego, 1978), the usual test of multi-fidelity
methods (Kandasamy et al., BOCA, 2017). Two further parameters decide how fast it is approached and how long an epoch
takes, so early results mislead and cheap epochs count, as in real trainings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.trial import BaseTrial

from tuner.search.arrays import Floats
from tuner.search.simulator import Curve

EPOCHS = 27
"""Of one full training."""
_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ]
)
_HIGHEST = 3.32237
"""The function's known maximum (of its negative)."""


def suggest(trial: BaseTrial) -> dict[str, Any]:
    """Return a configuration: a point of the unit cube, a speed and a width."""
    point = {f"x{index}": trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(6)}
    return point | {
        "speed": trial.suggest_float("speed", 0.3, 1.5),
        "width": trial.suggest_float("width", 1.0, 10.0, log=True),
    }


def suggest_before(trial: BaseTrial) -> dict[str, Any]:
    """Return a configuration of a space as it may have been before: two fixed, a narrower range of the first."""
    return {
        "x0": trial.suggest_float("x0", 0.25, 0.75),
        **{f"x{index}": trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(1, 4)},
        "x4": 0.5,
        "x5": 0.5,
        "speed": trial.suggest_float("speed", 0.3, 1.5),
        "width": trial.suggest_float("width", 1.0, 10.0, log=True),
    }


def hartmann6(point: np.ndarray) -> float:
    """Return the function at a point of the unit cube [6], scaled to a maximum of 1."""
    return float(_ALPHA @ np.exp(-np.sum(_A * (point - _P) ** 2, axis=1))) / _HIGHEST


def curve(hparams: Mapping[str, Any]) -> Curve:
    """Return the curve of a configuration; an epoch takes `width` seconds."""
    final = hartmann6(np.array([hparams[f"x{index}"] for index in range(6)]))
    # The fast ones end a little lower: whoever trusts the first epochs alone is misled.
    reached = final - 0.1 * (hparams["speed"] - 0.3)
    values = [reached - 0.5 * epoch ** -hparams["speed"] for epoch in range(1, EPOCHS + 1)]
    return Curve(values, [hparams["width"]] * EPOCHS)


def curves(configurations: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    """Return values and seconds [n, EPOCHS] of configurations."""
    found = [curve(hparams) for hparams in configurations]
    return np.array([one.values for one in found]), np.array([one.seconds for one in found])
