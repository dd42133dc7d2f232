"""Tests of `tuner.io.storage`: one contract for a folder and for a bucket on a real S3 server (moto's, on loopback)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import ConfigError, DataError
from tuner.io.storage import Place, address, check_location, explain, fetch, place


@pytest.fixture(params=["folder", "bucket"])
def somewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return place(tmp_path / "place")
    return place(f"{request.getfixturevalue('bucket')}/some/prefix")


def _put(where: Place, name: str, content: bytes) -> None:
    with where.scratch() as folder:
        made = folder / "made"
        made.write_bytes(content)
        where.put(made, name)


def _read(where: Place, name: str) -> bytes:
    with where.local(name) as path:
        return path.read_bytes()


def test_what_was_put_is_read_back(somewhere: Place) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: an S3 upload in several parts
    _put(somewhere, "large", content)
    _put(somewhere, "empty", b"")
    assert _read(somewhere, "large") == content
    assert _read(somewhere, "empty") == b""


def test_a_file_of_the_same_name_is_replaced(somewhere: Place) -> None:
    _put(somewhere, "name", b"old and longer")
    _put(somewhere, "name", b"new")
    assert _read(somewhere, "name") == b"new"


def test_names_are_in_order_and_a_deleted_one_is_gone(somewhere: Place) -> None:
    for name in ("b", "c", "a"):
        _put(somewhere, name, b"")
    somewhere.delete("b")
    somewhere.delete("b")
    assert somewhere.names() == ["a", "c"]


def test_a_place_that_was_never_written_to_is_empty(somewhere: Place) -> None:
    assert somewhere.names() == []
    somewhere.delete_all()


def test_everything_can_be_deleted_and_the_place_used_again(somewhere: Place) -> None:
    _put(somewhere, "name", b"")
    somewhere.delete_all()
    assert somewhere.names() == []
    _put(somewhere, "name", b"again")
    assert _read(somewhere, "name") == b"again"


def test_what_is_not_there_cannot_be_read(somewhere: Place, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _read(somewhere, "name")
    with pytest.raises(DataError, match="name is missing"):
        fetch(somewhere, "name", tmp_path / "copy")


def test_a_file_is_fetched_into_folders_that_are_made_for_it(somewhere: Place, tmp_path: Path) -> None:
    _put(somewhere, "name", b"content")
    fetch(somewhere, "name", tmp_path / "deep/down/copy")
    assert (tmp_path / "deep/down/copy").read_bytes() == b"content"


def test_a_folder_below_one_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _put(place(tmp_path / "not mounted" / "trial"), "name", b"")


def test_prefixes_that_begin_alike_are_apart(bucket: str) -> None:
    _put(place(f"{bucket}/run"), "name", b"")
    _put(place(f"{bucket}/run-2"), "name", b"")
    place(f"{bucket}/run").delete_all()
    assert place(f"{bucket}/run-2").names() == ["name"]


def test_of_folders_that_were_deleted_nothing_is_left_in_a_bucket(bucket: str) -> None:
    for trial in ("trial-0", "trial-1"):
        _put(place(f"{bucket}/run/checkpoints/{trial}"), "epoch-1", b"")
        place(f"{bucket}/run/checkpoints/{trial}").delete_all()
    assert place(f"{bucket}/run/checkpoints").folders() == []
    place(f"{bucket}/run/checkpoints").delete_all()
    assert place(f"{bucket}/run").folders() == []


def test_a_bucket_that_is_not_there_is_told_in_one_line(aws: str) -> None:
    with pytest.raises(OSError, match="bucket") as caught:
        _put(place("s3://no-such-bucket/prefix"), "name", b"")
    assert "\n" not in explain(caught.value)


@pytest.mark.parametrize("location", ["gs://bucket/prefix", "s3://", "s3:///", "s3:///prefix", "file:///runs"])
def test_an_address_that_is_no_bucket_of_s3_is_refused(location: str) -> None:
    with pytest.raises(ConfigError, match="must be a folder or s3://bucket/prefix"):
        check_location("--storage", location)


@pytest.mark.parametrize("location", ["s3://bucket//runs", "s3://bucket/runs//a/"])
def test_an_address_with_an_empty_part_is_refused(location: str) -> None:
    with pytest.raises(ConfigError, match=f"--storage is '{location}', but no part of its path may be empty"):
        check_location("--storage", location)


@pytest.mark.parametrize("rest", ["bucket/prefix", "", "bucket//prefix"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_credentials_in_an_address_are_refused_and_not_repeated(scheme: str, rest: str) -> None:
    with pytest.raises(ConfigError, match="from the environment alone") as caught:
        check_location("--storage", f"{scheme}://key:secret@{rest}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["runs", "/mnt/runs", "s3://bucket", "s3://bucket/", "s3://bucket/a/b", "s3://bucket/a/"]
)
def test_folders_and_buckets_are_accepted(location: str) -> None:
    check_location("--storage", location)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("server", ["localhost:9000", "127.0.0.1", "minio", "s3://minio", "http:///x", "http://h/x"])
def test_a_store_whose_address_is_none_is_refused_and_amazon_is_not_asked(
    variable: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, server)
    with pytest.raises(ConfigError, match=f"{variable} is '{server}', but must be http://host:port or https://host"):
        check_location("--storage", "s3://bucket/runs")
    with pytest.raises(ConfigError, match=variable):
        place("s3://bucket/runs").names()
    check_location("--storage", "runs")


def test_credentials_in_the_address_of_a_store_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://key:secret@host")
    with pytest.raises(ConfigError) as caught:
        check_location("--storage", "s3://bucket/runs")
    assert "secret" not in str(caught.value)


def test_an_address_that_went_through_a_path_is_still_one() -> None:
    for given in ("s3://bucket/runs/a", "s3://bucket/runs/a/", Path("s3://bucket/runs/a")):
        assert address("RUN", given) == "s3://bucket/runs/a"
    for given in ("runs/a", Path("runs/a"), Path("/runs/s3:/a")):
        assert address("RUN", given) is None


def test_the_folders_below_are_told_and_files_beside_them_are_not(somewhere: Place, tmp_path: Path) -> None:
    assert somewhere.folders() == []
    _put(somewhere, "file", b"")
    for name in ("b", "a"):
        (tmp_path / "place" / name).mkdir(parents=True, exist_ok=True)
        _put(somewhere, f"{name}/file", b"")
    assert somewhere.folders() == ["a", "b"]
