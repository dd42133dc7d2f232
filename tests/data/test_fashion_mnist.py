"""Tests of `tuner.data.fashion_mnist`: the real files, damaged ones, and a mirror on this machine."""

from __future__ import annotations

import gzip
import http.server
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST
from torchvision.datasets.mnist import read_image_file, read_label_file

from tuner.data import fashion_mnist
from tuner.data.fashion_mnist import CLASS_NAMES, MD5, DownloadError
from tuner.errors import DataError

RAW = Path("FashionMNIST") / "raw"
NOWHERE = Path("nowhere")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def use_mirror(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{port}/"])


@pytest.fixture
def damaged_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in MD5:
        (folder / name).write_bytes(b"not the file")
    server = serve(folder)
    use_mirror(monkeypatch, server.server_port)
    yield
    server.shutdown()
    server.server_close()


def linked_copy(source: Path, target: Path) -> Path:
    """A folder whose files are links to the real ones, so that one can be replaced."""
    (target / RAW).mkdir(parents=True)
    for name in MD5:
        (target / RAW / name).symlink_to(source / RAW / name)
    return target


def test_the_split_is_the_references(fashion_mnist_dir: Path) -> None:
    dataset = fashion_mnist.load(fashion_mnist_dir, NOWHERE)
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (50_000, 10_000, 10_000)
    official = gzip.decompress((fashion_mnist_dir / RAW / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert bytes(dataset.train.labels.astype(np.uint8)) == official[:50_000]
    assert bytes(dataset.dev.labels.astype(np.uint8)) == official[50_000:]


def test_images_and_labels_are_those_that_torchvision_reads(fashion_mnist_dir: Path, tmp_path: Path) -> None:
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        packed = fashion_mnist_dir / RAW / f"{name}.gz"
        (tmp_path / name).write_bytes(gzip.decompress(packed.read_bytes()))
    test = fashion_mnist.load(fashion_mnist_dir, NOWHERE).test
    np.testing.assert_array_equal(test.images, read_image_file(str(tmp_path / "t10k-images-idx3-ubyte")).numpy())
    np.testing.assert_array_equal(test.labels, read_label_file(str(tmp_path / "t10k-labels-idx1-ubyte")).numpy())


def test_names_and_hashes_are_those_that_torchvision_knows() -> None:
    assert list(CLASS_NAMES) == FashionMNIST.classes
    assert list(MD5.items()) == FashionMNIST.resources


def test_a_users_folder_is_only_read(fashion_mnist_dir: Path, tmp_path: Path) -> None:
    folder = linked_copy(fashion_mnist_dir, tmp_path / "data")
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    fashion_mnist.load(folder, tmp_path / "cache")
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", MD5)
def test_a_missing_file_is_named_with_its_md5(name: str, fashion_mnist_dir: Path, tmp_path: Path) -> None:
    path = linked_copy(fashion_mnist_dir, tmp_path / "data") / RAW / name
    path.unlink()
    with pytest.raises(DataError) as caught:
        fashion_mnist.load(tmp_path / "data", NOWHERE)
    assert str(caught.value) == f"The data file {path} is missing; it must be there with md5 {MD5[name]}."


@pytest.mark.parametrize("name", MD5)
def test_a_truncated_file_is_named_with_both_md5(name: str, fashion_mnist_dir: Path, tmp_path: Path) -> None:
    path = linked_copy(fashion_mnist_dir, tmp_path / "data") / RAW / name
    path.unlink()
    path.write_bytes(b"abc")
    with pytest.raises(DataError) as caught:
        fashion_mnist.load(tmp_path / "data", NOWHERE)
    found = "900150983cd24fb0d6963f7d28e17f72"
    assert str(caught.value) == f"The data file {path} is damaged: its md5 is {found}, but must be {MD5[name]}."


def test_one_changed_byte_is_noticed(fashion_mnist_dir: Path, tmp_path: Path) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    path = linked_copy(fashion_mnist_dir, tmp_path / "data") / RAW / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        fashion_mnist.load(tmp_path / "data", NOWHERE)


def test_an_empty_folder_of_the_user_is_an_error_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is missing"):
        fashion_mnist.load(tmp_path, NOWHERE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_a_files_place_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / RAW / "train-images-idx3-ubyte.gz").mkdir(parents=True)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz \(md5 8d4fb7.*cannot be read"):
        fashion_mnist.load(tmp_path, NOWHERE)


def test_without_a_folder_the_files_are_downloaded_once_into_the_cache(
    fashion_mnist_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = serve(fashion_mnist_dir / RAW)
    use_mirror(monkeypatch, server.server_port)
    first = fashion_mnist.load(None, tmp_path)
    server.shutdown()
    server.server_close()
    again = fashion_mnist.load(None, tmp_path)
    np.testing.assert_array_equal(first.test.images, again.test.images)
    assert sorted(path.name for path in (tmp_path / RAW).iterdir()) == sorted(MD5)
    assert capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None


def test_a_damaged_file_in_the_cache_is_downloaded_again_and_the_others_are_not(
    fashion_mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shutil.copy(fashion_mnist_dir / RAW / name, mirror)
    cache = linked_copy(fashion_mnist_dir, tmp_path / "cache")
    (cache / RAW / name).unlink()
    (cache / RAW / name).write_bytes(b"damaged")
    server = serve(mirror)
    use_mirror(monkeypatch, server.server_port)
    dataset = fashion_mnist.load(None, cache)
    server.shutdown()
    server.server_close()
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10


@pytest.mark.usefixtures("damaged_mirror")
def test_a_damaged_download_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fashion_mnist.load(None, tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_mirror_without_the_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror").mkdir()
    server = serve(tmp_path / "mirror")
    use_mirror(monkeypatch, server.server_port)
    with pytest.raises(DownloadError, match="HTTP Error 404"):
        fashion_mnist.load(None, tmp_path / "cache")
    server.shutdown()
    server.server_close()


def test_a_refused_connection_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    use_mirror(monkeypatch, port)
    with pytest.raises(DownloadError, match=r"could not be downloaded to .*: Connection refused[.]$"):
        fashion_mnist.load(None, tmp_path)


def test_a_mirror_that_never_answers_does_not_hang_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "NETWORK_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_mirror(monkeypatch, silent.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(DownloadError):
            fashion_mnist.load(None, tmp_path)
        assert time.monotonic() - started < 5


def test_a_cache_that_cannot_be_written_is_an_error(
    fashion_mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    server = serve(fashion_mnist_dir / RAW)
    use_mirror(monkeypatch, server.server_port)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fashion_mnist.load(None, tmp_path / "cache")
    server.shutdown()
    server.server_close()
