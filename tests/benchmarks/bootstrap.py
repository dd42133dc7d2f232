"""How well a mean is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner.search.arrays import Floats


def interval_of_mean(
    values: Sequence[float] | Floats, generator: np.random.Generator, bootstraps: int
) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean of values."""
    means = generator.choice(values, (bootstraps, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
