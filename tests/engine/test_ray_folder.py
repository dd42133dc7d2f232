"""Tests of `tuner.engine.ray_folder`: a long or unwritable $TMPDIR is left for a short one, or told."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tuner.engine import ray_folder as module
from tuner.engine.ray_folder import ray_folder
from tuner.errors import ResourceError

LONG = "x" * 90


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_short_folder_that_can_be_written_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/var/tmp")
    assert ray_folder() == "/var/tmp/ray"


def test_below_a_long_folder_no_socket_would_fit_so_ray_goes_where_it_goes_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / LONG).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / LONG))
    assert ray_folder() == "/tmp/ray"


def test_if_that_cannot_be_written_there_is_one_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_can_be_written", lambda folder: str(folder) != "/tmp/ray")
    assert ray_folder() == f"/tmp/ray-{os.getuid()}"


def test_with_nothing_left_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / LONG))
    monkeypatch.setattr(module, "_SHORT", tmp_path / LONG / "ray")
    with pytest.raises(ResourceError, match=r"^Ray's sockets cannot lie below '.*x', which is too long or ") as caught:
        ray_folder()
    longest = re.search(
        r"set \$RAY_TMPDIR to a folder of your own whose path has at most (\d+) bytes", str(caught.value)
    )
    assert longest is not None
    fits = "/" + "x" * (int(longest[1]) - 1)
    assert module._is_short(Path(fits) / "ray")
    assert not module._is_short(Path(fits + "x") / "ray")


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert module._can_be_written(tmp_path / "folder" / "ray")
    assert not module._can_be_written(tmp_path / "file" / "ray")


def test_below_a_folder_that_only_another_user_may_enter_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs, look = tmp_path / "theirs", os.stat
    theirs.mkdir()

    def stat(path: Any, **options: Any) -> os.stat_result:
        if not isinstance(path, int) and theirs in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(path, **options)

    # Whoever runs the tests may be root, who may enter every folder.
    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != theirs)
    assert module.nearest(theirs / "tmp" / "ray") == theirs
    assert not module._can_be_written(theirs / "tmp" / "ray")
