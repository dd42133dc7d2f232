from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tuner.engine.preflight import probe


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / ".probe-1").write_text(".probe-1")
    return tmp_path


def test_a_node_that_shares_the_folder_leaves_nothing_there(shared: Path) -> None:
    assert probe(str(shared), ".probe-1", "node") is None
    assert [path.name for path in shared.iterdir()] == [".probe-1"]


def test_a_folder_of_the_nodes_own_is_not_the_shared_one(tmp_path: Path) -> None:
    assert probe(str(tmp_path), ".probe-1", "node") == "does not see what the driver wrote there"


def test_a_folder_that_the_node_has_not_at_all_is_not_made(tmp_path: Path) -> None:
    assert probe(str(tmp_path / "runs"), ".probe-1", "node") == "does not see what the driver wrote there"
    assert not (tmp_path / "runs").exists()


def test_an_older_probe_under_the_same_name_is_noticed(shared: Path) -> None:
    (shared / ".probe-1").write_text("older")
    assert probe(str(shared), ".probe-1", "node") == "reads something else than the driver wrote there"


def test_a_disk_that_fails_is_told_in_its_own_words(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    assert probe(str(shared), ".probe-1", "node") == "cannot use it (No space left on device)"
