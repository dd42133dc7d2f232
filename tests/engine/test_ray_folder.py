"""Tests of `tuner.engine.ray_folder`: nobody else can look into it, and its path is short."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.engine import ray_folder as module
from tuner.engine.ray_folder import ray_folder
from tuner.errors import ResourceError

LONG = "x" * 90


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is short enough for sockets, as that of `tmp_path` need not be; it stands for `/tmp`."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        monkeypatch.setattr(module, "_SHORT", Path(folder))
        yield Path(folder)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("chosen", ["there", "made"])
def test_in_the_users_place_each_ray_has_a_folder_that_only_this_user_can_open(
    monkeypatch: pytest.MonkeyPatch, short: Path, name: str, chosen: str
) -> None:
    (short / "there").mkdir()
    monkeypatch.setenv(name, str(short / chosen))
    with ray_folder() as one, ray_folder() as other:
        assert one.parents[1] == other.parents[1] == short / chosen
        assert one != other
        assert stat.S_IMODE(one.parent.stat().st_mode) == 0o700


def test_it_goes_with_its_ray_but_stays_if_that_failed(short: Path) -> None:
    (short / "ours").touch()
    with ray_folder() as folder:
        (folder / "session").mkdir(parents=True)
    assert [path.name for path in short.iterdir()] == ["ours"]
    held = ray_folder()
    folder = held.__enter__()
    failure = ResourceError("Ray did not start.")
    assert not held.__exit__(ResourceError, failure, None)
    assert folder.parent.exists()


@pytest.mark.parametrize("chosen", [LONG, "file/below"])
def test_a_place_that_is_too_long_or_cannot_be_written_is_left_for_a_short_one(
    monkeypatch: pytest.MonkeyPatch, short: Path, chosen: str
) -> None:
    (short / LONG).mkdir()
    (short / "file").touch()
    monkeypatch.setenv("TMPDIR", str(short / chosen))
    with ray_folder() as folder:
        assert folder.parents[1] == short
    assert list((short / LONG).iterdir()) == []


def test_a_relative_place_counts_from_the_working_folder(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    monkeypatch.chdir(short)
    monkeypatch.setenv("TMPDIR", "here")
    with ray_folder() as folder:
        assert folder.parents[1] == Path.cwd() / "here"


def test_with_no_place_left_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / LONG))
    monkeypatch.setattr(module, "_SHORT", tmp_path / LONG)
    with pytest.raises(ResourceError, match=r"^Ray's sockets cannot lie below '.*x', which is too long or ") as caught:
        ray_folder().__enter__()
    longest = re.search(r"\$RAY_TMPDIR to a folder of your own whose path has at most (\d+) bytes", str(caught.value))
    assert longest is not None
    fits = short / ("x" * (int(longest[1]) - len(os.fsencode(short)) - 1))
    for place, is_taken in ((fits, True), (fits.with_name(f"{fits.name}x"), False)):
        monkeypatch.setenv("TMPDIR", str(place))
        monkeypatch.setattr(module, "_SHORT", short)
        with ray_folder() as folder:
            assert (folder.parents[1] == place) is is_taken
