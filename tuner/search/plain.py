"""The one form in which configurations are kept: what a user's file hands over becomes what the journal gives back.

A space may return tuples, NumPy's numbers or a dictionary that its next call changes. What `plain` makes of them is a
deep copy of Python's own `dict`, `list`, `str`, `int`, `float`, `bool` and None, which a journey through JSON leaves as
it is. So a trial gets the same in its first process, after a promotion or a resume, and when it is retrained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST_LEVELS = 32
"""Of nesting; what is deeper most likely holds itself."""
_LAW = "use numbers, strings, booleans, None, and lists, tuples and dictionaries of these"


def plain(value: Any) -> Any:
    """Return a deep copy of `value` in the journal's form: tuples, ranges and NumPy's arrays become lists.

    Raises:
        ValueError: naming the part that has no such form: a dictionary's key that is no string (JSON would make it
            one), a number that is not finite, an object of another type.
    """
    if type(value) is bool or (type(value) in (int, float) and abs(value) < 1e15):
        return value  # at once: a searcher asks a space for thousands of numbers
    text = json.dumps(_plain(value, ""), ensure_ascii=False, allow_nan=False)
    return json.loads(text)


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()  # of a scalar, Python's own
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place or 'it'} is {value}, but numbers must be finite")
        return float(value)
    if place.count("[") > _MOST_LEVELS:
        raise ValueError(f"it is nested more than {_MOST_LEVELS} levels deep, or holds itself")
    if isinstance(value, Mapping):
        return {_key(key, place): _plain(inner, f"{place}[{key!r}]") for key, inner in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(inner, f"{place}[{index}]") for index, inner in enumerate(value)]
    raise ValueError(f"{place or 'it'} is of type {type(value).__name__}: {_LAW}")


def _text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{place or 'it'} is {value!r}, which is no text in UTF-8") from None
    return str.__str__(value)  # of an enum's member, its value


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{place or 'it'} has the key {key!r}, but keys must be strings: write {str(key)!r}")
    return _text(key, place)
