"""A task made of the objects of a notebook or a program, without a file of its own."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.config import NOTEBOOK
from tuner.engine.task import Task, task_of
from tuner.errors import SpaceError
from tuner.io.sources import Sources

_NAMES = {
    "trainable": "TRAINABLE",
    "model": "MODEL",
    "suggest": "suggest",
    "load_data": "load_data",
    "objective": "OBJECTIVE",
    "start": "START",
    "prior": "PRIOR",
}
"""The arguments of `tuner.tune`, and what a task file calls the same."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""Of an object in memory, in its representation."""


def task_of_objects(**given: Any) -> Task:
    """Return the task of these objects, None for one that is absent; raises SpaceError as `load_task` does.

    Its code is the source of the classes and functions given, and of those of the same module that they use.
    """
    brought = {_NAMES[name]: value for name, value in given.items() if value is not None}
    return task_of(NOTEBOOK, brought, _sources_of(brought))


def _sources_of(brought: Mapping[str, Any]) -> Sources:
    seen: dict[int, Any] = {}
    written = {name: _written(value, seen) for name, value in brought.items()}
    texts = sorted({_text_of(one) for one in seen.values()})
    constants = [f"{name} = {text}\n" for name, text in written.items() if text is not None]
    main = f"{NOTEBOOK}.py"
    return Sources(Path.cwd(), main, {main: "\n\n".join([*texts, *constants]).encode()})


def _written(value: Any, seen: dict[int, Any]) -> str | None:
    """Return a value as the run knows it again, None for what its source says; collect the code behind it.

    The same in another process: so without an address in the memory of this one.
    """
    if isinstance(value, type | types.FunctionType):
        _reach(value, seen)
        return None
    if isinstance(value, functools.partial):
        given = [_named(part, seen) for part in (value.func, *value.args)]
        given += [f"{name}={_named(part, seen)}" for name, part in value.keywords.items()]
        return f"partial({', '.join(given)})"
    if isinstance(value, types.MethodType):
        return f"{_named(value.__self__, seen)}.{value.__name__}"
    if callable(value) and hasattr(value, "__wrapped__"):  # as by functools.cache
        return _written(inspect.unwrap(value), seen)
    text = repr(value)
    if _ADDRESS.search(text) and _has_source(type(value)):
        _reach(type(value), seen)
    return _ADDRESS.sub("", text)


def _has_source(value: type) -> bool:
    try:
        inspect.getsource(value)
    except (OSError, TypeError):  # as a class written in C
        return False
    return True


def _named(value: Any, seen: dict[int, Any]) -> str:
    """Return a value as a part of another; of what its source says, the name."""
    return _written(value, seen) or str(getattr(value, "__qualname__", value))


def _reach(value: Any, seen: dict[int, Any]) -> None:
    """Collect a class or function, and those of its module that it names."""
    if id(value) in seen or not isinstance(value, type | types.FunctionType):
        return
    seen[id(value)] = value
    surroundings = vars(sys.modules.get(value.__module__) or types.ModuleType(""))
    for name in _names_in(value):
        other = surroundings.get(name)
        if getattr(other, "__module__", None) == value.__module__:
            _reach(other, seen)


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, type):
        yield from (base.__name__ for base in value.__bases__)
        for member in vars(value).values():
            if isinstance(member, types.FunctionType):
                yield from _names_in(member)
        return
    codes = [value.__code__]
    while codes:
        code = codes.pop()
        yield from code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


def _text_of(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError) as error:
        raise SpaceError(
            f"the source of {value.__qualname__} cannot be found, by which the run knows it again: define it in a cell "
            "or a file."
        ) from error
