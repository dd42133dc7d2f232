"""NePS behind JSON lines; run by `tests/benchmarks/child_peers.py` in an environment that has nothing else."""

from __future__ import annotations

import random
from typing import Any

import neps
import numpy as np
import torch

from tests.benchmarks.child_protocol import ByBudget, Wanted, serve

_FIDELITY = "epochs_in_all"
_CONFIDENCE = "high"
"""A normal of a quarter of the range, as our own belief is."""


def parameter_of(parameter: dict[str, Any], belief: Any) -> Any:
    """Return a parameter as NePS writes it, with what is believed in, None for nothing."""
    confidence = {} if belief is None else {"prior_confidence": _CONFIDENCE}
    if "choices" in parameter:
        prior = {} if belief is None else {"prior": parameter["choices"].index(belief)}
        return neps.Categorical(parameter["choices"], **prior, **confidence)
    prior = {} if belief is None else {"prior": belief}
    kind = neps.Integer if parameter["is_int"] else neps.Float
    return kind(parameter["low"], parameter["high"], log=parameter["log"], **prior, **confidence)


class Neps(ByBudget):
    """One optimizer of NePS; every argument not given is its default."""

    def __init__(self, first: dict[str, Any]) -> None:
        """Begin as the first line says; NePS draws from the global generators, as its documentation has it."""
        super().__init__(first["epochs"])
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(first["seed"])
        parameters = {
            name: parameter_of(parameter, first["belief"].get(name)) for name, parameter in first["space"].items()
        }
        parameters[_FIDELITY] = neps.IntegerFidelity(1, first["epochs"])
        space = type("Space", (neps.PipelineSpace,), parameters)()
        self._neps = neps.AskAndTell(getattr(neps.algorithms, first["method"])(space))

    def ask(self) -> Wanted:
        """Ask for a trial; NePS has one for each rung of a configuration."""
        trial = self._neps.ask()
        config = dict(trial.config)
        return Wanted(trial.id.split("_rung_")[0], config, config.pop(_FIDELITY), trial)

    def tell(self, handle: neps.Trial, value: float) -> None:
        """Tell it what is left to the best value that there could be."""
        self._neps.tell(handle, 1.0 - value)


if __name__ == "__main__":
    serve(Neps)
