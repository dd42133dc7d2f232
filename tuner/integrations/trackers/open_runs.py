"""The runs of a tracker that are open at the same time: not all, for hundreds of trials may be paused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 16

T = TypeVar("T")


class OpenRuns(Generic[T]):
    """Opens runs by their key when they are wanted, and closes those that nobody has wanted for longest."""

    def __init__(self, open_run: Callable[[str], T], close_run: Callable[[T], None], most: int = _MOST) -> None:
        """Open with `open_run`, again for one that was closed; at most so many stay open."""
        self._open_run = open_run
        self._close_run = close_run
        self._most = most
        self._open: OrderedDict[str, T] = OrderedDict()

    def __getitem__(self, key: str) -> T:
        """Return the run of a key, opened if it is not."""
        if key not in self._open:
            while len(self._open) >= self._most:
                self._close_run(self._open.popitem(last=False)[1])
            self._open[key] = self._open_run(key)
        self._open.move_to_end(key)
        return self._open[key]

    def close(self, key: str) -> None:
        """Close a run if it is open."""
        if key in self._open:
            self._close_run(self._open.pop(key))

    def close_all(self) -> None:
        """Close those that are open."""
        for key in list(self._open):
            self.close(key)
