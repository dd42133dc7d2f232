"""The resource levels at which trials are compared."""

from __future__ import annotations

import math
from bisect import bisect_left

from tuner.errors import ConfigError


def rung_levels(min_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """Return levels from `min_epochs` to `max_epochs`, evenly spaced, the ratio as near to the factor as can be.

    Where the factor's powers meet `max_epochs` they are those powers. Elsewhere the ratio is stretched or shrunk, so
    that no rung stands just below the end, where to go on would tell little: 1 to 10 by 3 is 1 3 10, not 1 3 9 10.
    Without room for half a step there is no rung but the end. Integers only: the float logarithm used elsewhere loses
    the level 243 of 1..243 by 3.

    Raises:
        ConfigError: if an argument breaks its law.
    """
    if min_epochs < 1:
        raise ConfigError(f"min_epochs is {min_epochs}, but must be at least 1.")
    if max_epochs < min_epochs:
        raise ConfigError(f"max_epochs is {max_epochs}, but must be at least min_epochs, which is {min_epochs}.")
    if reduction_factor < 2:
        raise ConfigError(f"reduction_factor is {reduction_factor}, but must be at least 2.")
    steps = 0
    while max_epochs**2 >= min_epochs**2 * reduction_factor ** (2 * steps + 1):
        steps += 1
    inner = [_between(min_epochs, max_epochs, step, steps) for step in range(1, steps)]
    return (*([min_epochs] if steps else []), *inner, max_epochs)


def first_rung(min_epochs: int | None, max_epochs: int) -> int:
    """Return the first level: `min_epochs`, at most `max_epochs`; by default a seventeenth of `max_epochs`.

    Chosen by simulation: docs/search-evidence.md.
    """
    return max(1, max_epochs // 17) if min_epochs is None else min(min_epochs, max_epochs)


def mean_epochs(rungs: tuple[int, ...], reduction_factor: int | None, trials: float = math.inf) -> float:
    """Return the epochs of a mean one of `trials`, if one in `reduction_factor` goes on from each rung (None: all).

    However few they are, one goes on.
    """
    if reduction_factor is None:
        return float(rungs[-1])
    steps = zip((0, *rungs), rungs, strict=False)
    return sum(
        (level - below) / min(float(reduction_factor**index), trials) for index, (below, level) in enumerate(steps)
    )


def _between(low: int, high: int, step: int, steps: int) -> int:
    """Return low x (high / low)^(step / steps), rounded to the nearest whole number."""
    exact = low ** (steps - step) * high**step  # to the power of `steps`
    return low + bisect_left(range(low, high), True, key=lambda level: (2 * level + 1) ** steps > 2**steps * exact)
