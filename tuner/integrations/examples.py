"""How many examples an evaluation was of, so that a proportion's interval can be told."""

from __future__ import annotations

from collections.abc import Sized


def count_of(split: object) -> dict[str, float]:
    """Return the number of examples of a split as the metric `n`; nothing where it is not known."""
    if not isinstance(split, Sized):
        return {}
    try:
        return {"n": float(len(split))}
    except TypeError:  # of a data set that is read as it comes
        return {}
