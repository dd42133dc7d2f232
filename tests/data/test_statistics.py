"""Tests of `tuner.data.statistics`: the reference's table, and counts made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tuner.data import Dataset, Split, load_dataset
from tuner.data.statistics import (
    class_balance,
    collect_statistics,
    count_missing,
    describe_pixels,
    find_duplicates,
    render_table,
)


def split_of(shades: list[int], labels: list[int]) -> Split:
    """Plain images, each of one shade."""
    images = np.array(shades, np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    return Split(images, np.array(labels, np.int64), ("zero", "one", "two"))


@pytest.fixture
def small() -> Dataset:
    return Dataset(
        train=split_of([10, 20, 20, 30], [0, 1, 0, 1]),
        dev=split_of([40, 10], [1, 1]),
        test=split_of([10, 20, 30, 30, 99], [0, 1, 2, 2, 2]),
        name="small",
    )


def test_the_first_five_columns_are_those_of_the_reference(fashion_mnist_dir: Path) -> None:
    table = describe_pixels(load_dataset("fashion-mnist", fashion_mnist_dir).train)
    assert table.shape == (8, 784)
    first = table.iloc[:, :5]
    assert [f"{value:.6f}" for value in first.loc["mean"]] == [
        "0.000900",
        "0.006160",
        "0.030940",
        "0.107540",
        "0.253580",
    ]
    assert [f"{value:.6f}" for value in first.loc["std"]] == [
        "0.100893",
        "0.269673",
        "0.800147",
        "2.558106",
        "4.300201",
    ]
    assert list(first.loc["max"]) == [16, 36, 119, 164, 224]
    assert list(table.loc["count"]) == [50_000.0] * 784


def test_the_table_agrees_with_numpy() -> None:
    train = load_dataset("digits", None).train
    table = describe_pixels(train)
    pixels = train.images.reshape(len(train), 784).astype(np.float64)
    np.testing.assert_allclose(table.loc["mean"], pixels.mean(0))
    np.testing.assert_allclose(table.loc["std"], pixels.std(0, ddof=1))
    np.testing.assert_allclose(table.loc["75%"], np.quantile(pixels, 0.75, axis=0))


def test_the_printed_table_elides_the_middle_columns(small: Dataset) -> None:
    lines = render_table(describe_pixels(small.train)).splitlines()
    assert lines[0].split() == ["0", "1", "2", "3", "4", "...", "779", "780", "781", "782", "783"]
    rows = [line.split()[0] for line in lines[1:9]]
    assert rows == ["count", "mean", "std", "min", "25%", "50%", "75%", "max"]
    assert lines[2].split()[1] == "20.000000"
    assert lines[-1] == "[8 rows x 784 columns]"


def test_class_balance_counts_each_split_and_shows_an_absent_class(small: Dataset) -> None:
    balance = class_balance(small)
    assert balance.index.tolist() == ["zero", "one", "two"]
    assert balance.to_dict("list") == {"train": [2, 2, 0], "dev": [0, 2, 0], "test": [1, 1, 3]}


def test_duplicates_are_counted_with_their_labels(small: Dataset) -> None:
    found = find_duplicates(small)
    assert (found.reference, found.split) == ("train", "test")
    # 10, 20, 30 and 30 occur in train; 20 does so with both labels, the two 30 only with another.
    assert (found.images, found.other_label) == (4, 2)
    assert find_duplicates(small, "train", "dev").images == 1


def test_fashion_mnists_duplicates_are_those_numpy_finds(fashion_mnist_dir: Path) -> None:
    dataset = load_dataset("fashion-mnist", fashion_mnist_dir)
    train, test = (split.images.reshape(len(split), 784).view("S784") for split in (dataset.train, dataset.test))
    assert find_duplicates(dataset).images == int(np.isin(test, train).sum())


def test_nothing_is_missing_in_whole_images(small: Dataset) -> None:
    assert count_missing(small.train) == 0


def test_the_statistics_survive_json(small: Dataset) -> None:
    plain = json.loads(json.dumps(collect_statistics(small).to_json()))
    assert len(plain["pixels"]["mean"]) == 784
    assert plain["pixels"]["mean"][783] == 20.0
    assert plain["missing_values"] == {"train": 0, "dev": 0, "test": 0}
    assert plain["class_balance"]["test"] == {"zero": 1, "one": 1, "two": 3}
    assert plain["duplicates"] == {"reference": "train", "split": "test", "images": 4, "other_label": 2}
