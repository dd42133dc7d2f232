"""Hyperparameters that remember what was read of them, to find those that a training ignores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class WatchedHparams(dict[str, Any]):
    """A dictionary of hyperparameters that notes which it was asked for; whoever reads all of it has read each."""

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        """Hold `hparams`, of which nothing has been read."""
        super().__init__(hparams)
        self.asked: set[str] = set()
        """The names that were asked for, whether there or not."""

    @property
    def unread(self) -> list[str]:
        """The names that nobody has asked for, in their order."""
        return [name for name in dict.keys(self) if name not in self.asked]

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __or__(self, other: Any) -> Any:
        return dict(self._all()) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self._all())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of that name, else `default`."""
        self.asked.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a name and return its value, else `default`."""
        self.asked.add(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the value of that name, which becomes `default` if there is none."""
        self.asked.add(name)
        return super().setdefault(name, default)

    def keys(self) -> Any:
        """Return all names."""
        return self._all().keys()

    def values(self) -> Any:
        """Return all values."""
        return self._all().values()

    def items(self) -> Any:
        """Return all names and values."""
        return self._all().items()

    def copy(self) -> dict[str, Any]:
        """Return a plain copy."""
        return dict(self._all())

    def _all(self) -> dict[str, Any]:
        everything = {name: dict.__getitem__(self, name) for name in dict.keys(self)}
        self.asked.update(everything)
        return everything
