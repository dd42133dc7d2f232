"""Fashion-MNIST in torchvision's file layout: md5-checked, downloaded if need be, split as the reference."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuner.data.dataset import Dataset
from tuner.data.splits import Split
from tuner.errors import DataError, StorageError
from tuner.io.files import hash_file, write_whole

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""The four files and the md5 of each, as their authors publish them."""

TRAIN_IMAGES = 50_000
"""The first 50,000 of the official 60,000 are train, the other 10,000 are dev (the reference's split)."""

NETWORK_TIMEOUT = 10.0
"""Seconds to wait for the mirror's first answer, and later for any next piece of a file."""

_FOLDER = Path("FashionMNIST") / "raw"
_IMAGE_HEADER_BYTES = 16
_LABEL_HEADER_BYTES = 8

log = logging.getLogger(__name__)


class DownloadError(DataError):
    """The files could not be fetched: no network, a broken mirror, a cache that cannot be written."""


def load(data_dir: Path | None, cache_dir: Path) -> Dataset:
    """Return the data set from `data_dir/FashionMNIST/raw/*.gz`, which is only ever read.

    Without a `data_dir` the files lie in `cache_dir`, where those that are missing or damaged are downloaded.
    Raises DataError for a missing or damaged file, DownloadError for a failed download.
    """
    if data_dir is None:
        _download_missing(cache_dir / _FOLDER)
    folder = (cache_dir if data_dir is None else data_dir) / _FOLDER
    images, labels = _read_images(folder, "train"), _read_labels(folder, "train")
    train = Split(images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES], CLASS_NAMES)
    dev = Split(images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:], CLASS_NAMES)
    test = Split(_read_images(folder, "t10k"), _read_labels(folder, "t10k"), CLASS_NAMES)
    return Dataset(train, dev, test, name="fashion-mnist", hashes=dict(MD5))


def check_files(data_dir: Path) -> None:
    """Raise DataError if one of the four files below `data_dir` is missing or damaged."""
    for name in MD5:
        _packed(data_dir / _FOLDER / name)


def _read_images(folder: Path, part: str) -> NDArray[np.uint8]:
    content = _read_checked(folder / f"{part}-images-idx3-ubyte.gz")
    return np.frombuffer(content, dtype=np.uint8, offset=_IMAGE_HEADER_BYTES).reshape(-1, 28, 28)


def _read_labels(folder: Path, part: str) -> NDArray[np.int64]:
    content = _read_checked(folder / f"{part}-labels-idx1-ubyte.gz")
    return np.frombuffer(content, dtype=np.uint8, offset=_LABEL_HEADER_BYTES).astype(np.int64)


def _read_checked(path: Path) -> bytes:
    """Return the unpacked file; the very bytes that were checked are the ones unpacked."""
    return gzip.decompress(_packed(path))


def _packed(path: Path) -> bytes:
    """Return a file whose md5 is right, as it is."""
    expected = MD5[path.name]
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The data file {path} is missing; it must be there with md5 {expected}.") from None
    except OSError as error:
        raise DataError(f"The data file {path} (md5 {expected}) cannot be read: {error.strerror}.") from error
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(f"The data file {path} is damaged: its md5 is {found}, but must be {expected}.")
    return packed


def _download_missing(folder: Path) -> None:
    """Fetch the files that `folder` lacks or holds damaged, each one whole or not at all."""
    try:
        missing = [name for name, md5 in MD5.items() if not _is_intact(folder / name, md5)]
        if missing:
            # Imported late: it takes longer than reading the data, and is needed once per machine.
            from torchvision.datasets import FashionMNIST

            with _bounded_network():
                _fetch(missing, FashionMNIST.mirrors[0], folder)
    except (OSError, RuntimeError, http.client.HTTPException, StorageError) as error:
        raise DownloadError(f"Fashion-MNIST could not be downloaded to {folder}: {_reason(error)}.") from error


def _is_intact(path: Path, md5: str) -> bool:
    return path.is_file() and hash_file(path, "md5") == md5


def _fetch(names: list[str], mirror: str, folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    _check_reachable(mirror + names[0])
    for name in names:
        log.info("downloading %s to %s", mirror + name, folder)

        def download(temporary: Path, name: str = name) -> None:
            # torchvision draws a progress bar, which has no place in a log.
            with contextlib.redirect_stderr(io.StringIO()):
                download_url(mirror + name, str(temporary.parent), temporary.name, MD5[name])

        write_whole(folder / name, download)


@contextlib.contextmanager
def _bounded_network() -> Iterator[None]:
    """Bound every wait for the network: torchvision's downloader sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _check_reachable(url: str) -> None:
    """Raise OSError or HTTPException unless the mirror answers within NETWORK_TIMEOUT.

    A thread, because no socket timeout bounds the look-up of a name or the number of addresses tried.
    """
    failures: list[Exception] = []

    def ask() -> None:
        try:
            # The address is torchvision's own and not a user's.
            request = urllib.request.Request(url, method="HEAD")  # noqa: S310
            urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT).close()  # noqa: S310
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {NETWORK_TIMEOUT:g} s")
    if failures:
        raise failures[0]


def _reason(error: Exception) -> str:
    """Return what went wrong without urllib's wrapping, "<urlopen error [Errno 111] ...>"."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        return error.reason.strerror or str(error.reason)
    return str(error).rstrip(".")
