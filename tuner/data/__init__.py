"""The data sets by name: one file in this folder is one data set."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tuner.data.dataset import Dataset, SearchData
from tuner.data.fashion_mnist import DownloadError
from tuner.data.splits import Split
from tuner.errors import unknown_name
from tuner.registry import registered_module, registered_names

__all__ = ["Dataset", "SearchData", "Split", "available_datasets", "data_dir_of", "load_dataset", "user_cache_dir"]

DATA_DIR_VARIABLE = "TUNER_DATA_DIR"
"""The environment variable that stands in for a data folder nobody named."""

AUTO = "auto"
_PREFERRED = "fashion-mnist"
_EMBEDDED = "digits"


def available_datasets() -> list[str]:
    """Return the registered names: of the modules here with `load(data_dir, cache_dir) -> Dataset`."""
    return registered_names(__name__, "load")


def load_dataset(name: str, data_dir: Path | None, cache_dir: Path | None = None) -> Dataset:
    """Return the data set `name`, or for "auto" Fashion-MNIST and, where it cannot be downloaded, the digits.

    `data_dir` (else $TUNER_DATA_DIR) is only read. Without it files are downloaded into `cache_dir`, by
    default "tuner" in the user's cache folder. "auto" falls back only from a failed download and says so in
    the data set's `notice`; a folder that was given must hold the files.
    Raises ConfigError for an unknown name, DataError for a missing or damaged file.
    """
    data_dir = data_dir_of(data_dir)
    cache_dir = cache_dir or user_cache_dir()
    if name != AUTO:
        return _load(name, data_dir, cache_dir)
    try:
        return _load(_PREFERRED, data_dir, cache_dir)
    except DownloadError as error:
        notice = f"NOT Fashion-MNIST: training on scikit-learn's small embedded digits instead. {error}"
        return replace(_load(_EMBEDDED, data_dir, cache_dir), notice=notice)


def _load(name: str, data_dir: Path | None, cache_dir: Path) -> Dataset:
    module = registered_module(__name__, name, "load")
    if module is None:
        raise unknown_name("dataset", name, [AUTO, *available_datasets()])
    dataset: Dataset = module.load(data_dir, cache_dir)
    return dataset


def data_dir_of(given: Path | None) -> Path | None:
    """Return the data folder that was given, else the one that the environment names, if any."""
    value = os.environ.get(DATA_DIR_VARIABLE)
    return given or (Path(value).expanduser() if value else None)


def user_cache_dir() -> Path:
    """Return the folder into which data sets are downloaded."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tuner"
