"""A learning curve of bounded size, and its picture in one line."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_POINTS = 64


class Curve:
    """The values of a training's epochs; of a long one, every second, fourth, ... of them."""

    def __init__(self) -> None:
        """Begin without a value."""
        self._values: list[float] = []
        self._stride = 1
        self._count = 0
        self._last: float | None = None

    def add(self, value: float) -> None:
        """Take the next epoch's value."""
        if self._count % self._stride == 0:
            if len(self._values) == _MOST_POINTS:
                self._values = self._values[::2]
                self._stride *= 2
            if self._count % self._stride == 0:
                self._values.append(value)
        self._count += 1
        self._last = value

    @property
    def last(self) -> float | None:
        """The last epoch's value; None before the first."""
        return self._last

    @property
    def values(self) -> list[float]:
        """At most `_MOST_POINTS` + 1 values, the first and the last epoch's among them."""
        is_last_kept = self._count == 0 or (self._count - 1) % self._stride == 0
        return self._values if is_last_kept or self._last is None else [*self._values, self._last]


def sparkline(values: Sequence[float], width: int, steps: str, least_range: float = 0.0) -> str:
    """Return the values as at most `width` characters of `steps`, which rise from the lowest to the highest.

    With more values than characters, each character shows the last of those that fall to it: where the training stood
    then. What varies by less than `least_range` is drawn no steeper than that.
    """
    if not values or width < 1:
        return ""
    shown = values
    if len(values) > width:
        shown = [values[(place + 1) * len(values) // width - 1] for place in range(width)]
    low, high = min(shown), max(shown)
    missing = max(0.0, least_range - (high - low))
    low, high = low - missing / 2, high + missing / 2
    if high <= low:
        return steps[len(steps) // 2] * len(shown)
    top = len(steps) - 1
    return "".join(steps[min(top, max(0, round((value - low) / (high - low) * top)))] for value in shown)
