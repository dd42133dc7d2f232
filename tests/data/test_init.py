"""Tests of `tuner.data`: the registry, the choice of "auto", and the contract that every data set keeps."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST

from tuner.data import available_datasets, load_dataset
from tuner.errors import ConfigError, DataError


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data folder, an empty cache, and a mirror that refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{port}/"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TUNER_DATA_DIR", raising=False)


def test_the_registered_data_sets_are_the_modules_that_load() -> None:
    assert available_datasets() == ["digits", "fashion-mnist"]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "splits", "", "AUTO"])
def test_an_unknown_name_lists_those_that_exist(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_dataset(name, None)
    assert str(caught.value) == f"dataset is {name!r}, but must be one of: auto, digits, fashion-mnist."


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_the_digits_loudly_when_the_download_fails() -> None:
    dataset = load_dataset("auto", None)
    assert dataset.name == "digits"
    assert dataset.notice is not None
    assert dataset.notice.startswith("NOT Fashion-MNIST")
    assert "Connection refused" in dataset.notice


@pytest.mark.usefixtures("offline")
def test_a_failed_download_leaves_nothing_in_the_users_cache(tmp_path: Path) -> None:
    load_dataset("auto", None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("offline")
def test_fashion_mnist_by_name_never_falls_back() -> None:
    with pytest.raises(DataError, match=r"could not be downloaded to .*xdg.*tuner"):
        load_dataset("fashion-mnist", None)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["auto", "fashion-mnist"])
def test_a_folder_that_was_given_must_hold_the_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        load_dataset(name, tmp_path / "empty")


@pytest.mark.usefixtures("offline")
def test_the_environment_stands_in_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_DATA_DIR", str(tmp_path / "of-environment"))
    with pytest.raises(DataError, match=r"of-environment.* is missing"):
        load_dataset("auto", None)
    with pytest.raises(DataError, match=r"of-argument.* is missing"):
        load_dataset("auto", tmp_path / "of-argument")


@pytest.mark.usefixtures("offline")
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_DATA_DIR", "")
    assert load_dataset("auto", None).name == "digits"


def test_auto_is_fashion_mnist_without_a_notice_where_its_files_are(fashion_mnist_dir: Path) -> None:
    dataset = load_dataset("auto", fashion_mnist_dir)
    assert (dataset.name, dataset.notice) == ("fashion-mnist", None)


@pytest.mark.parametrize("name", available_datasets())
def test_every_data_set_keeps_the_contract(name: str, request: pytest.FixtureRequest) -> None:
    data_dir = request.getfixturevalue("fashion_mnist_dir") if name == "fashion-mnist" else None
    dataset = load_dataset(name, data_dir)
    classes = len(dataset.train.class_names)
    assert dataset.name == name
    assert dataset.notice is None
    assert dataset.hashes
    assert all(0 < moment < 1 for moment in dataset.train.moments)
    for split in (dataset.train, dataset.dev, dataset.test):
        assert split.class_names == dataset.train.class_names
        assert split.images.shape == (len(split), 28, 28)
        assert split.images.dtype == np.uint8
        assert split.images.min() == 0
        assert split.images.max() == 255
        assert split.labels.shape == (len(split),)
        assert split.labels.dtype == np.int64
        assert np.unique(split.labels).tolist() == list(range(classes))
