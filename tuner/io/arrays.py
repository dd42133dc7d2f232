"""A few arrays in one small file, which holds no objects and can be read from a stranger's folder."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError

MAX_BYTES = 64 << 20
"""Unpacked; a small file can pretend to hold any amount."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers or texts as a compressed NumPy file; equal arrays give equal files. Raises OSError."""
    with path.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file written by `write_arrays`, by name; objects are not loaded.

    Raises:
        DataError: if it is missing, damaged, larger than `MAX_BYTES`, or holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > MAX_BYTES:
            raise DataError(f"{path} holds {size} bytes, but may hold {MAX_BYTES}.")
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError, MemoryError) as error:
        # Memory is asked for by the shape that an array says it has, before there is anything of it.
        raise DataError(f"{path} cannot be read: {error}.") from error
    # NumPy hands over what is no array as it is, and of texts without a letter a file holds any number.
    if not all(isinstance(array, np.ndarray) and array.itemsize for array in arrays.values()):
        raise DataError(f"{path} cannot be read: it holds what is no array of numbers or texts.")
    return arrays


def are_of(arrays: Mapping[str, NDArray[Any]], forms: Mapping[str, tuple[str, Collection[int]]]) -> bool:
    """Return whether there are just the arrays of `forms`, each of its kind (as in `dtype.kind`) and dimensions."""
    return arrays.keys() == forms.keys() and all(
        arrays[name].dtype.kind == kind and arrays[name].ndim in dimensions
        for name, (kind, dimensions) in forms.items()
    )
