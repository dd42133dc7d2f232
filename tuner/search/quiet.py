"""Making Optuna studies without Optuna announcing each."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from tuner.search.objective import Direction


def quiet_study(
    sampler: optuna.samplers.BaseSampler | None = None,
    name: str | None = None,
    directions: Sequence[Direction] = ("maximize",),
) -> optuna.Study:
    """Return an empty study in memory; the user's own verbosity is left as it was.

    Without a `name` Optuna draws one at random. There is a direction for each objective.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(directions=list(directions), sampler=sampler, study_name=name)
    finally:
        optuna.logging.set_verbosity(verbosity)
