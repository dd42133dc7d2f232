from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tuner.errors import DataError
from tuner.io.arrays import MAX_BYTES, are_of, read_arrays, write_arrays


class Dangerous:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_arrays_come_back_as_they_were_and_equal_ones_give_equal_files(tmp_path: Path) -> None:
    arrays = {"numbers": np.arange(5, dtype=np.int32), "names": np.array(["a", "é"]), "none": np.zeros((0, 1, 1))}
    write_arrays(tmp_path / "one.npz", arrays)
    write_arrays(tmp_path / "two.npz", arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    found = read_arrays(tmp_path / "one.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_an_object_in_a_file_is_not_unpickled(tmp_path: Path) -> None:
    path, trace = tmp_path / "a.npz", tmp_path / "unpickled"
    np.savez(path, hidden=np.array([Dangerous(trace)], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(path)
    assert not trace.exists()


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, zeros=np.zeros(MAX_BYTES + 1, dtype=np.uint8))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match="but may hold"):
        read_arrays(path)


@pytest.mark.parametrize("kind", ["<U0", "<i8"])
def test_a_file_that_pretends_to_hold_more_than_it_does_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("names.npy", "w") as member:
        many = {"descr": kind, "fortran_order": False, "shape": (10**13,)}
        np.lib.format.write_array_header_1_0(member, many)
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_arrays(path)


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_arrays(path)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"no array")
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(path)


def test_kinds_and_dimensions_are_compared() -> None:
    arrays = {"a": np.zeros((2, 3))}
    assert are_of(arrays, {"a": ("f", {1, 2})})
    assert not are_of(arrays, {"a": ("i", {2})})
    assert not are_of(arrays, {"a": ("f", {1})})
    assert not are_of(arrays, {"a": ("f", {2}), "b": ("f", {2})})
