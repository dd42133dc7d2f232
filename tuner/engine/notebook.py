"""A task made of the objects of a notebook or a program, without a file of its own."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.engine.task import Task, task_of
from tuner.errors import SpaceError
from tuner.io.sources import Sources

NAME = "notebook"
"""What such a task is called, in place of a file's name."""
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


def task_of_objects(**given: Any) -> Task:
    """Return the task of these objects, None for one that is absent; raises SpaceError as `load_task` does.

    Its code is the source of the classes and functions given, and of those of the same module that they use.
    """
    brought = {_NAMES[name]: value for name, value in given.items() if value is not None}
    return task_of(NAME, brought, _sources_of(brought))


def _sources_of(brought: Mapping[str, Any]) -> Sources:
    seen: dict[int, Any] = {}
    for value in brought.values():
        _reach(value, seen)
    texts = sorted({_text_of(one) for one in seen.values()})
    constants = [f"{name} = {value!r}\n" for name, value in brought.items() if id(value) not in seen]
    main = f"{NAME}.py"
    return Sources(Path.cwd(), main, {main: "\n\n".join([*texts, *constants]).encode()})


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
