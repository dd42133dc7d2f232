"""A training's state as tensors and plain values alone, which a checkpoint can hold and loading runs no code.

`torch.load(weights_only=True)` reads neither NumPy's arrays nor its numbers; they are packed as tensors of their bytes.
"""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from tuner.errors import TrialFailedError

_PLAIN = (type(None), bool, int, float, str, torch.Tensor, torch.nn.Parameter)
_PLAIN_TORCH = (torch.Size, torch.dtype, torch.device)
_MAPPINGS = (dict, OrderedDict, Counter)
"""All of them are read without running code; torch's schedules count their milestones in a Counter."""
_NUMPY = "numpy: dtype, shape, bytes"
"""The key of a packed array; no state of a user's has it."""


def pack(state: Any, where: str = "state_dict()") -> Any:
    """Return the state with NumPy's values packed; what holds none of them is returned itself.

    Raises:
        TrialFailedError: if it holds anything but plain values, NumPy arrays and tensors, in dictionaries, lists and
            tuples; the place in the state is named.
    """
    kind = type(state)
    if kind in _PLAIN or kind in _PLAIN_TORCH:
        return state
    if isinstance(state, np.ndarray | np.generic):
        return _pack_array(state, where)
    if kind in _MAPPINGS:
        for key in state:
            if type(key) not in _PLAIN:
                raise _unfit(f"a key of {where}", type(key).__name__)
        packed = kind({key: pack(value, f"{where}[{key!r}]") for key, value in state.items()})
        # An nn.Module's OrderedDict carries its layers' versions beside its items.
        return state if all(packed[key] is state[key] for key in state) else packed
    if kind in (list, tuple):
        items = kind(pack(value, f"{where}[{place}]") for place, value in enumerate(state))
        return state if all(one is other for one, other in zip(items, state, strict=True)) else items
    raise _unfit(where, kind.__name__)


def unpack(state: Any) -> Any:
    """Return the state of which `pack` made this."""
    kind = type(state)
    if kind is dict and state.keys() == {_NUMPY}:
        return _unpack_array(*state[_NUMPY])
    if kind in _MAPPINGS:
        unpacked = kind({key: unpack(value) for key, value in state.items()})
        return state if all(unpacked[key] is state[key] for key in state) else unpacked
    if kind in (list, tuple):
        return kind(unpack(value) for value in state)
    return state


def kept(state: Any) -> Any:
    """Return a copy of a packed state, which stays as it is while the training goes on; its tensors are on the CPU.

    A GPU with room for a training may have none for its weights and its optimizer's moments once more.
    """
    copies = {id(tensor): tensor.detach().to("cpu", copy=True) for tensor in _tensors(state)}
    return copy.deepcopy(state, copies)  # what else a dictionary carries, and who shares a tensor, stays so


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        yield state
    elif type(state) in _MAPPINGS:
        for value in state.values():
            yield from _tensors(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _tensors(value)


def _pack_array(array: np.ndarray[Any, Any] | np.generic, where: str) -> Mapping[str, Any]:
    if array.dtype.hasobject or array.dtype.names is not None:
        raise _unfit(where, f"array of {array.dtype}")
    content = torch.frombuffer(bytearray(array.tobytes()), dtype=torch.uint8) if array.nbytes else torch.empty(0)
    shape = list(array.shape) if isinstance(array, np.ndarray) else None
    return {_NUMPY: [array.dtype.str, shape, content]}


def _unpack_array(dtype: str, shape: list[int] | None, content: torch.Tensor) -> np.ndarray[Any, Any] | np.generic:
    flat = np.frombuffer(content.numpy().tobytes(), dtype=dtype)
    if shape is None:
        number: np.generic = flat[0]
        return number
    return flat.reshape(shape).copy()


def _unfit(where: str, kind: str) -> TrialFailedError:
    return TrialFailedError(
        f"{where} is a value of type {kind}, which a checkpoint does not keep: use plain values, NumPy arrays and "
        "tensors, in dictionaries, lists and tuples."
    )
