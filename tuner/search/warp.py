"""Making the values of all levels comparable, and bad ones count for no more than that they are bad."""

from __future__ import annotations

import numpy as np

from tuner.search.arrays import Floats, Ints

FLOOR = 3.0
"""Widths below the median at which values are cut off; a trial that failed is there."""


def warped(trials: Ints, at: Ints, values: Floats, levels: int, *, scales_ties: bool = True) -> tuple[Floats, float]:
    """Return values [n] of about unit scale, and that width: 0 is the median, 1 the width of the better half above it.

    Where more than half are equal at the top the width is how far the others typically lie below them; it is 1.0 if
    nothing differs, or not `scales_ties`. `trials` [n] are rows from 0, `at` [n] the levels, from 0 to `levels` - 1,
    and a value that is NaN a failure. Each level is shifted by what the trials seen on both sides have typically gained
    from one level to the next, and what is far below the median is cut off: a diverged training must not stretch the
    scale on which good ones are compared.
    """
    by_level = np.full((int(trials.max(initial=-1)) + 1, levels), np.nan)
    by_level[trials, at] = values
    steps = np.diff(by_level, axis=1)
    gains = [float(np.median(step[~np.isnan(step)])) if not np.isnan(step).all() else 0.0 for step in steps.T]
    ahead = np.array([*np.cumsum(gains[::-1])[::-1], 0.0])
    by_level += ahead
    seen = ~np.isnan(by_level)
    last = by_level[seen.any(axis=1), (levels - 1 - seen[:, ::-1].argmax(axis=1))[seen.any(axis=1)]]
    if not len(last):
        return np.full_like(values, -FLOOR), 1.0
    middle = float(np.median(last))
    width = float(np.sqrt(np.mean((last[last >= middle] - middle) ** 2)))
    below = middle - last[last < middle]
    if width == 0.0:
        width = float(np.median(below)) if scales_ties and len(below) else 1.0
    unit = (values + ahead[at] - middle) / width
    result: Floats = np.maximum(np.nan_to_num(unit, nan=-FLOOR), -FLOOR)
    return result, width
