"""Where files are kept that several machines write: a shared folder, or a prefix of an S3 bucket."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, urlsplit

from tuner.errors import ConfigError, DataError, StorageError

T = TypeVar("T")

_SCHEME = "s3://"
_SECONDS_TO_CONNECT, _SECONDS_TO_ANSWER = 10, 60
_AT_ONCE = 16
"""Files dealt with at the same time: in a bucket, one after another, a thousand would take a minute or more."""


class Place(Protocol):
    """Files under flat names; each is there whole or not at all."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Yield a folder in which to make a file for `put`."""

    def put(self, made: Path, name: str) -> None:
        """Take a file made in `scratch`, under a name; a file of that name is replaced. Raises OSError."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Yield the path of a copy on this machine, for reading. Raises OSError."""

    def names(self) -> list[str]:
        """Return all names, in order; none if nothing was ever put. Raises OSError, also if that cannot be told."""

    def folders(self) -> list[str]:
        """Return the names of the folders right below, in order; none if there is no such place. Raises OSError."""

    def delete(self, *names: str) -> None:
        """Delete files, those that are there. Raises OSError."""

    def delete_all(self) -> None:
        """Delete everything, and make no complaint."""


def is_bucket(location: str | Path) -> bool:
    """Return whether the location is in an object store and not a folder."""
    return str(location).startswith(_SCHEME)


def address(argument: str, location: str | Path) -> str | None:
    """Return the address of something in an object store, without a slash at its end; None if it is in a folder.

    A `Path` of it has lost a slash, which is put back. Raises ConfigError as `check_location` does.
    """
    text = str(location)
    if isinstance(location, Path) and text.startswith("s3:/"):
        text = _SCHEME + text.removeprefix("s3:/").lstrip("/")
    if not is_bucket(text):
        return None
    check_location(argument, text)
    return text.rstrip("/")


def place(location: str | Path) -> Place:
    """Return the place at `location`: a folder's path, or `s3://bucket/prefix`."""
    return BucketPlace(str(location)) if is_bucket(location) else FolderPlace(Path(location))


def check_location(argument: str, location: str) -> None:
    """Raise ConfigError if a location is an address that is not `s3://bucket` or `s3://bucket/prefix`."""
    if "://" not in location:
        return
    if "@" in location:
        raise ConfigError(f"{argument} holds credentials, but they must come from the environment alone.")
    bucket, *parts = location.removeprefix(_SCHEME).rstrip("/").split("/")
    if not (is_bucket(location) and bucket):
        raise ConfigError(f"{argument} is {location!r}, but must be a folder or s3://bucket/prefix.")
    if "" in parts:
        raise ConfigError(f"{argument} is {location!r}, but no part of its path may be empty.")
    endpoint()


def endpoint() -> SplitResult | None:
    """Return the address of the object store, if the environment names one; else it is Amazon's own.

    Raises:
        ConfigError: if it is not the address of a server: the store that was meant must not be another's.
    """
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        given = os.environ.get(variable)
        if given:
            parts = urlsplit(given)
            is_server = parts.scheme in ("http", "https") and parts.netloc and parts.path in ("", "/")
            if "@" in given or not is_server:
                shown = "holds credentials" if "@" in given else f"is {given!r}"
                raise ConfigError(f"{variable} {shown}, but must be http://host:port or https://host.")
            return parts
    return None


class FolderPlace:
    """A folder. It is made when it is first written to; the folder above it must be there.

    A machine that lacks a shared folder must say so, not make one of its own.
    """

    def __init__(self, folder: Path) -> None:
        """Keep files in `folder`."""
        self._folder = folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield the folder itself: within one file system, a file is moved whole."""
        self._folder.mkdir(exist_ok=True)
        yield self._folder

    def put(self, made: Path, name: str) -> None:
        """Give the file its name."""
        made.replace(self._folder / name)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Yield the file itself."""
        yield self._folder / name

    def names(self) -> list[str]:
        """Return the names of the files."""
        if self._folder.is_dir():
            return sorted(path.name for path in self._folder.iterdir())
        if not self._folder.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"{self._folder.parent} is gone")
        return []

    def folders(self) -> list[str]:
        """Return the names of the folders."""
        if not self._folder.is_dir():
            return []
        # Beside the folders there may be any number of files, none of which is to be asked for.
        with os.scandir(self._folder) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry))

    def delete(self, *names: str) -> None:
        """Delete the files."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def delete_all(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


class BucketPlace:
    """A prefix of an S3 bucket, through pyarrow; an object appears when its upload is complete.

    Credentials, region and, for stores other than Amazon's, the endpoint come from the environment
    (`AWS_ACCESS_KEY_ID`, ..., `AWS_REGION`, `AWS_ENDPOINT_URL`) or from the machine's role, never from an address.
    """

    def __init__(self, location: str) -> None:
        """Keep objects below `location`, an `s3://` address; nothing is asked of the store yet."""
        self._prefix = location.removeprefix(_SCHEME).rstrip("/")

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
            yield Path(folder)

    def put(self, made: Path, name: str) -> None:
        """Upload the file."""
        with made.open("rb") as source, self._files.open_output_stream(f"{self._prefix}/{name}") as target:
            shutil.copyfileobj(source, target, 1 << 20)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Yield a downloaded copy."""
        with self.scratch() as folder:
            copy = folder / Path(name).name
            with self._files.open_input_stream(f"{self._prefix}/{name}") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            yield copy

    def names(self) -> list[str]:
        """Return the names of the objects, those below further prefixes with their path."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._prefix, recursive=True, allow_not_found=True)
        found = [info for info in self._files.get_file_info(selector) if info.type == FileType.File]
        return sorted(info.path.removeprefix(f"{self._prefix}/") for info in found)

    def folders(self) -> list[str]:
        """Return the next part of the names of the objects that have further ones."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._prefix, recursive=False, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type == FileType.Directory)

    def delete(self, *names: str) -> None:
        """Delete the objects."""
        side_by_side(self._delete, names)

    def delete_all(self) -> None:
        """Delete every object below the prefix.

        As a folder: of one object after the other, an empty one would be left in the place of each of their folders.
        """
        with suppress(OSError):
            self._files.delete_dir(self._prefix)

    def _delete(self, name: str) -> None:
        try:
            self._files.delete_file(f"{self._prefix}/{name}")
        except FileNotFoundError:
            return

    @cached_property
    def _files(self) -> Any:
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

        store = endpoint()
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        options: dict[str, Any] = {}
        if store is not None:
            options = {"endpoint_override": store.netloc, "scheme": store.scheme}
        elif region is None:
            region = resolve_s3_region(self._prefix.partition("/")[0])
        return S3FileSystem(
            region=region,
            connect_timeout=_SECONDS_TO_CONNECT,
            request_timeout=_SECONDS_TO_ANSWER,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=5),
            **options,
        )


def side_by_side(call: Callable[[T], object], values: Iterable[T]) -> None:
    """Call with each of the values, several at a time; raises what one of the calls raises."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # which has no more threads than it is given calls
        list(pool.map(call, values))


def explain(error: OSError) -> str:
    """Return an error's reason in one line; pyarrow's have no `strerror`."""
    return error.strerror or " ".join(str(error).split())


def unreadable(what: object, error: OSError) -> StorageError:
    """Return what to raise where `what` cannot be read."""
    return StorageError(f"{what} cannot be read: {explain(error)}.")


def fetch(source: Place, name: str, target: Path) -> None:
    """Copy a file to `target` on this machine.

    Raises:
        DataError: if it is not there.
        StorageError: if the place cannot be asked, or this machine's disk cannot be written.
    """
    try:
        with source.local(name) as copy:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy, target)
    except FileNotFoundError as error:
        raise DataError(f"{name} is missing: {explain(error)}.") from error
    except OSError as error:
        raise StorageError(f"{name} cannot be fetched: {explain(error)}.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link is followed as a path is, which takes one that leads to itself for none.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and Path(entry.path).is_dir())
