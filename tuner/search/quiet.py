"""Making Optuna studies without Optuna announcing each."""

from __future__ import annotations

import optuna


def quiet_study(sampler: optuna.samplers.BaseSampler | None = None, name: str | None = None) -> optuna.Study:
    """Return an empty study that maximises, in memory; the user's own verbosity is left as it was.

    Without a `name` Optuna draws one at random.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize", sampler=sampler, study_name=name)
    finally:
        optuna.logging.set_verbosity(verbosity)
