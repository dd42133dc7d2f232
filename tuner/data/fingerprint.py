"""One hash of data of any kind, the same in every process and on every machine.

Arrays, tensors and frames count with their content. Of a file count its name, its size, and its beginning and end: data
that no memory holds would take long to read whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from tuner.errors import DataError

_FILE_END = 1 << 20
"""Bytes of a file's beginning, and of its end, that count."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)


def fingerprint(value: Any) -> str:
    """Return the sha256 of a value, told by its content and not by where it lies in memory.

    Raises:
        DataError: if it holds something of which no hash can be told, or a file that cannot be read.
    """
    digest = hashlib.sha256()
    for part in _parts(value, ()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, above: tuple[int, ...]) -> Iterator[bytes | memoryview]:
    """Yield the value piece by piece; `above` are the objects that hold it, lest one that holds itself has no end."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}".encode()
        return
    if id(value) in above:
        yield b"itself"
        return
    above = (*above, id(value))
    yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
    yield from _content(value, above)


def _content(value: Any, above: tuple[int, ...]) -> Iterator[bytes | memoryview]:
    if isinstance(value, np.ndarray):
        yield from _array(value, above)
    elif isinstance(value, Path):
        yield from _path(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item, above)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts(key, above)
            yield from _parts(item, above)
    elif isinstance(value, set | frozenset):
        yield from sorted(fingerprint(item).encode() for item in value)
    elif isinstance(value, type | FunctionType):
        yield f"{value.__module__}.{value.__qualname__}".encode()
    else:
        yield from _object(value, above)


def _object(value: Any, above: tuple[int, ...]) -> Iterator[bytes | memoryview]:
    """Yield an object of a library's or a user's: by the fingerprint it has, by its arrays, or by its attributes."""
    # Only a module that is imported can have made the value; importing one here would cost seconds for nothing.
    torch, pandas = sys.modules.get("torch"), sys.modules.get("pandas")
    own = getattr(value, "_fingerprint", None)  # Hugging Face's data sets
    if isinstance(own, str):
        yield own.encode()
    elif torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().contiguous()
        yield f"{tensor.dtype} {list(tensor.shape)}".encode()
        yield memoryview(tensor.flatten().view(torch.uint8).numpy()) if tensor.numel() else b""
    elif pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        yield from _parts([str(getattr(value, "dtypes", "")), list(getattr(value, "columns", ()))], above)
        try:
            hashed = pandas.util.hash_pandas_object(value).values
        except TypeError:  # of cells that are lists or arrays
            hashed = value.to_numpy()
        yield from _parts(hashed, above)
    elif dataclasses.is_dataclass(value):
        yield from _parts({one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, above)
    elif type(value).__getstate__ is not object.__getstate__:  # type: ignore[comparison-overlap]
        # What it drops when it is pickled, as an array that is mapped on first use, no worker has.
        yield from _parts(value.__getstate__(), above)
    elif hasattr(value, "__dict__"):
        yield from _parts(vars(value), above)
    else:
        raise DataError(
            f"of a {type(value).__name__} no fingerprint can be computed: "
            "give one that changes with the data, as in Dataset(..., fingerprint='2026-01')."
        )


def _array(array: np.ndarray[Any, Any], above: tuple[int, ...]) -> Iterator[bytes | memoryview]:
    yield f"{array.dtype} {array.shape}".encode()
    if array.dtype.hasobject:
        yield from _parts(array.tolist(), above)
    elif array.size:
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _path(path: Path) -> Iterator[bytes]:
    try:
        above = path if path.is_dir() else path.parent
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for file in files:
            yield str(file.relative_to(above)).encode(errors="surrogateescape")
            yield from _file(file)
    except OSError as error:
        raise DataError(f"the data file {error.filename or path} cannot be read: {error.strerror}.") from error


def _file(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as handle:
        yield handle.read(_FILE_END)
        handle.seek(max(handle.tell(), size - _FILE_END))
        yield handle.read(_FILE_END)
