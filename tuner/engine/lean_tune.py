"""Imports Ray Tune without what only its tables and data sets need: a quarter of the start of a process that trains.

It is for importing first, by the processes that Ray starts. In the driver two threads import at the same time.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NOT_NEEDED = ("pandas", "ray.data")
"""By a process that trains. Ray 2.60 imports both with Ray Tune: 1.6 s of a processor."""


class _Later(ModuleType):
    """Stands for a module that nobody has asked anything of."""

    is_awaited = True
    """Whether what is asked for by name, as in annotations, need not be the real thing yet."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module has by that name; at first a class that makes what the real one makes."""
        if not self.is_awaited:
            return self._real(name)
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__new__": lambda _, *args, **options: self._real(name)(*args, **options)})

    def _real(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def imported_later(*names: str) -> Iterator[None]:
    """Let what is imported in the block get stand-ins for these modules, which import the real ones when they are used.

    Afterwards everyone else's import is a real one. Names that were imported before stay what they are. No other
    thread may import anything meanwhile: it would get a stand-in too.
    """
    stand_ins = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            stand_in.is_awaited = False
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


if "ray.tune" not in sys.modules:
    importlib.import_module("ray")
    with imported_later(*_NOT_NEEDED):
        importlib.import_module("ray.tune")
