"""Making Optuna studies without Optuna announcing each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
    with quietly():
        return optuna.create_study(directions=list(directions), sampler=sampler, study_name=name)


@contextmanager
def quietly() -> Iterator[None]:
    """Let Optuna only warn for a while."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
