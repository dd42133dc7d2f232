"""Tests of `tuner.data.dataset` and `tuner.data.fingerprint`: data of any kind, known again by its content."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

from tuner.data.dataset import Dataset, SearchData
from tuner.data.fingerprint import fingerprint
from tuner.data.splits import Split
from tuner.errors import DataError


@dataclass
class Own:
    x: Any


class Plain:
    def __init__(self, x: Any) -> None:
        self.x = x


def frame(x: float) -> pd.DataFrame:
    return pd.DataFrame({"a": [1.0, x], "b": ["u", "v"]})


KINDS: list[Callable[[float], Any]] = [
    lambda x: np.array([1.0, x]),
    lambda x: np.array([1.0, x])[::-1],
    lambda x: np.array(["a", x], dtype=object),
    lambda x: torch.tensor([1.0, x]),
    lambda x: torch.tensor([1.0, x], dtype=torch.bfloat16),
    lambda x: TensorDataset(torch.tensor([1.0, x])),
    frame,
    lambda x: frame(x)["a"],
    lambda x: Own(np.array([x])),
    lambda x: Plain({"deep": [(x,)]}),
    lambda x: {"a", x},
    lambda x: x,
]


def test_a_trial_cannot_see_the_test_split() -> None:
    assert {field.name for field in fields(SearchData)} == {"train", "dev"}


def test_what_trials_see_are_the_same_objects() -> None:
    train, dev = np.zeros(3), np.ones(2)
    seen = Dataset(train, dev, np.ones(1)).search_data()
    assert seen.train is train
    assert seen.dev is dev


def test_a_data_set_tells_its_splits_and_sizes_as_far_as_it_can() -> None:
    dataset = Dataset(train=[1, 2, 3], dev=iter(()))
    assert list(dataset.splits) == ["train", "dev"]
    assert dataset.sizes == {"train": 3, "dev": None}
    assert Dataset(([1, 2, 3], [0, 1, 0]), [5]).sizes == {"train": 3, "dev": 1}
    inputs = np.zeros((4, 2))
    assert Dataset({"x": inputs, "y": inputs[:, 0]}, list(inputs)).sizes == {"train": 4, "dev": 4}
    assert Dataset("train.csv", inputs).sizes == {"train": None, "dev": 4}


def test_a_fingerprint_that_is_given_or_hashes_of_files_stand_for_the_content() -> None:
    assert Dataset([1], [2], fingerprint="mine").identity == {"fingerprint": "mine"}
    assert Dataset([1], [2], hashes={"file": "md5"}).identity == {"file": "md5"}
    assert Dataset([1], [2]).identity == {"fingerprint": fingerprint([[1], [2], None])}


@pytest.mark.parametrize("make", KINDS)
def test_equal_content_has_an_equal_fingerprint_and_other_content_another(make: Callable[[float], Any]) -> None:
    assert fingerprint(make(2.0)) == fingerprint(make(2.0))
    assert fingerprint(make(2.0)) != fingerprint(make(3.0))


def test_shape_type_and_place_count() -> None:
    array = np.arange(6, dtype=np.int64)
    others: list[Any] = [
        array,
        array.reshape(2, 3),
        array.astype(np.int32),
        array.view(np.uint64),
        array.tolist(),
        [array],
        Split(array, array),
        {"x": array},
    ]
    assert len({fingerprint(other) for other in others}) == len(others)


def test_a_frame_whose_cells_are_lists_or_arrays_has_a_fingerprint_of_them() -> None:
    def frame(last: int, kind: Callable[[list[int]], Any]) -> pd.DataFrame:
        return pd.DataFrame({"tokens": [kind([1, 2]), kind([3, last])], "label": [0, 1]})

    kinds: tuple[Callable[[list[int]], Any], ...] = (list, np.array)
    for kind in kinds:
        assert fingerprint(frame(4, kind)) == fingerprint(frame(4, kind)) != fingerprint(frame(5, kind))


class Mapped:
    """Maps its array on first use, and sends none along."""

    def __init__(self, value: float) -> None:
        self.value = value
        self._array: Any = None

    def __len__(self) -> int:
        self._array = np.full(3, self.value)
        return len(self._array)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_array": None}


def test_what_an_object_drops_when_it_is_sent_does_not_count() -> None:
    data = Mapped(2.0)
    before = fingerprint(data)
    assert len(data) == 3
    assert fingerprint(data) == fingerprint(pickle.loads(pickle.dumps(data))) == before != fingerprint(Mapped(3.0))


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    code = "from tuner.data.fingerprint import fingerprint; print(fingerprint([{'a', 'b', 'c'}, {'k': 1.5}, (None,)]))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {fingerprint([{"a", "b", "c"}, {"k": 1.5}, (None,)]) + "\n"}


def test_files_count_with_name_size_beginning_and_end(tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return fingerprint(tmp_path)

    large = bytes(5 << 20)
    seen = [change("a", b"1"), change("a", b"2"), change("b", b"2"), change("b", large), change("b", large[:-1] + b"x")]
    assert len(set(seen)) == len(seen)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "a")
    (tmp_path / "c").write_bytes((tmp_path / "a").read_bytes())
    assert fingerprint(tmp_path / "c") != fingerprint(tmp_path / "a")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv cannot be read: No such file"):
        fingerprint({"train": tmp_path / "absent.csv"})


def test_what_holds_itself_has_a_fingerprint() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert fingerprint(loop)


def test_what_no_hash_can_be_told_of_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"of a generator no fingerprint .*Dataset\(\.\.\., fingerprint="):
        _ = Dataset((x for x in (1, 2)), [3]).identity
