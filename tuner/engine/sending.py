"""What travels to the workers: whether it can be pickled, what prevents it, and whether it fits the object store."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import ray
from ray import cloudpickle

from tuner.errors import DataError, ResourceError, SpaceError
from tuner.io.sources import Sources

_DEEPEST = 12
"""Steps from what is sent to the object that cannot be; far more than anybody's nesting."""
_MARGIN = 1.1
"""Ray keeps a little of its own beside an object."""


_dumps: Callable[..., bytes] = cloudpickle.dumps


def send_by_value(sources: Sources) -> None:
    """Let the task's modules travel with what refers to them: the file is not importable where the workers are."""
    for module in sources.modules():
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]


def check_code_travels(what: Any, name: str) -> None:
    """Raise SpaceError if `what`, the code of a task, cannot be pickled; it names the object that prevents it."""
    error = _failure(what)
    if error is None:
        return
    found = _culprit(what, name, set(), _DEEPEST)
    place, value = found or (name, what)
    raise SpaceError(
        f"{place} is a {type(value).__name__} and cannot be sent to the workers ({error}): "
        "make it inside the function that uses it."
    )


def check_data_fit(splits: Mapping[str, Any]) -> None:
    """Check that Ray can send the splits of a data set to every node.

    Raises:
        DataError: if they cannot be pickled.
        ResourceError: if a node's object store is smaller, with both sizes.
    """
    size = sum(_pickled_bytes(name, split) for name, split in splits.items()) * _MARGIN
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    stores = {
        node["NodeManagerHostname"]: node["Resources"].get("object_store_memory", 0.0)
        for node in nodes
        if node["Alive"] and node["Resources"].get("CPU", 0.0) > 0
    }
    smallest = min(stores, key=stores.__getitem__, default=None)
    if smallest is not None and size > stores[smallest]:
        raise ResourceError(
            f"the data take {size / 2**30:.2f} GiB, but the object store of {smallest} holds "
            f"{stores[smallest] / 2**30:.2f} GiB: let load_data return paths, and read the files in the training."
        )


def _pickled_bytes(name: str, split: Any) -> int:
    buffers: list[Any] = []
    try:
        in_band = _dumps(split, protocol=5, buffer_callback=buffers.append)
    except Exception as error:  # a user's class may raise anything
        found = _culprit(split, name, set(), _DEEPEST)
        place = found[0] if found else name
        raise DataError(
            f"the {name} split cannot be sent to the workers, because {place} cannot be pickled ({error}): "
            "return arrays, frames, or paths from which the training reads."
        ) from error
    return len(in_band) + sum(int(buffer.raw().nbytes) for buffer in buffers)


def _failure(value: Any) -> str | None:
    try:
        _dumps(value)
    except Exception as error:  # whatever its class raises
        return " ".join(str(error).split())
    return None


def _culprit(value: Any, name: str, seen: set[int], depth: int) -> tuple[str, Any] | None:
    """Return the innermost object that cannot be pickled, with a name for it; None if `value` can be."""
    if id(value) in seen or depth == 0 or _failure(value) is None:
        return None
    seen.add(id(value))
    for inner, part in _parts(value):
        called = inner if isinstance(value, types.FunctionType) else f"{name}.{inner}".rstrip(".")
        found = _culprit(part, called, seen, depth - 1)
        if found is not None:
            return found
    return name, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what pickling a value by value would take along, with its names."""
    if isinstance(value, types.FunctionType):
        yield from _taken_along(value)
    elif isinstance(value, partial):
        yield from (("", part) for part in (value.func, *value.args, *value.keywords.values()))
    elif isinstance(value, type | types.ModuleType):
        yield from vars(value).items()
    elif isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((str(place), item) for place, item in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield from (("__func__", value.__func__), ("__self__", value.__self__))
    else:
        yield from getattr(value, "__dict__", {}).items()


def _taken_along(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the global variables that a function's code names, and what it has enclosed."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for name in code.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents
