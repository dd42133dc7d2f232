"""Making Optuna studies without Optuna announcing each."""

from __future__ import annotations

import optuna


def quiet_study(sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """Return an empty study that maximises, in memory; the user's own verbosity is left as it was."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
