"""What a search may look for: dev accuracy, and beside it what a model costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tuner.errors import ConfigError, unknown_name

Direction = Literal["maximize", "minimize"]
"""Optuna's words; this module must not import it, for reports read objectives too."""


@dataclass(frozen=True)
class Objective:
    """One thing to look for. All but dev accuracy are measures of the model, taken once before its first epoch."""

    name: str
    is_maximised: bool
    """Otherwise it is minimised."""
    meaning: str

    @property
    def direction(self) -> Direction:
        """Optuna's word for it."""
        return "maximize" if self.is_maximised else "minimize"


DEV_ACCURACY = Objective("dev_accuracy", True, "fraction of the dev images classified right, in the best epoch")
PARAMS = Objective("params", False, "trainable parameters of the model")
LATENCY = Objective("latency", False, "median seconds of the forward pass of one image, on the trial's device")

OBJECTIVES: Mapping[str, Objective] = {one.name: one for one in (DEV_ACCURACY, PARAMS, LATENCY)}
"""By public name."""


def objectives_of(names: Sequence[str]) -> tuple[Objective, ...]:
    """Return the objectives of these names.

    Raises:
        ConfigError: if a name is unknown or given twice, or the first is not dev accuracy.
    """
    for name in names:
        if name not in OBJECTIVES:
            raise unknown_name("--objectives", name, OBJECTIVES)
    given, available = ",".join(names), ", ".join(OBJECTIVES)
    if len(set(names)) < len(names):
        raise ConfigError(f"--objectives is {given!r}, but must name each once; available are: {available}.")
    if not names or OBJECTIVES[names[0]] != DEV_ACCURACY:
        raise ConfigError(
            f"--objectives is {given!r}, but must begin with {DEV_ACCURACY.name}, by which trials are compared at the "
            f"rungs; available are: {available}."
        )
    return tuple(OBJECTIVES[name] for name in names)
