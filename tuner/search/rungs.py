"""The resource levels at which trials are compared."""

from __future__ import annotations

from tuner.errors import ConfigError


def rung_levels(min_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """Return the levels min_epochs, min_epochs x factor, ... below `max_epochs`, and `max_epochs` itself.

    Integers only: the float logarithm used elsewhere loses the level 243 of 1..243 by 3.

    Raises:
        ConfigError: if an argument breaks its law.
    """
    if min_epochs < 1:
        raise ConfigError(f"min_epochs is {min_epochs}, but must be at least 1.")
    if max_epochs < min_epochs:
        raise ConfigError(f"max_epochs is {max_epochs}, but must be at least min_epochs, which is {min_epochs}.")
    if reduction_factor < 2:
        raise ConfigError(f"reduction_factor is {reduction_factor}, but must be at least 2.")
    levels = []
    level = min_epochs
    while level < max_epochs:
        levels.append(level)
        level *= reduction_factor
    return (*levels, max_epochs)


def first_rung(min_epochs: int | None, max_epochs: int) -> int:
    """Return the first level: `min_epochs`, at most `max_epochs`; by default a seventeenth of `max_epochs`.

    Chosen by simulation: docs/search.md.
    """
    return max(1, max_epochs // 17) if min_epochs is None else min(min_epochs, max_epochs)


def mean_epochs(rungs: tuple[int, ...], reduction_factor: int | None) -> float:
    """Return the epochs of an average trial, if one in `reduction_factor` goes on from each rung (None: all)."""
    if reduction_factor is None:
        return float(rungs[-1])
    steps = zip((0, *rungs), rungs, strict=False)
    return sum((level - below) / float(reduction_factor**index) for index, (below, level) in enumerate(steps))
