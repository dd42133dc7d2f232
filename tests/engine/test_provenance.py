"""Tests of `tuner.engine.provenance`: a number can be traced to what made it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tuner.data import load_dataset
from tuner.engine import provenance
from tuner.engine.provenance import describe_environment, source_commit
from tuner.errors import ConfigError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit that stands in for the source tree."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")  # a user may sign commits, or have hooks
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "module.py").write_text("one = 1\n")
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(provenance, "_SOURCE", tmp_path)
    return tmp_path


def test_the_commit_is_whole_and_says_when_the_source_was_changed(checkout: Path) -> None:
    commit = source_commit()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (checkout / "module.py").write_text("one = 2\n")
    assert source_commit() == f"{commit}-dirty"


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_SOURCE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert source_commit() is None


def test_the_commit_of_a_repository_that_lies_around_an_installation_is_not_ours(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    monkeypatch.setattr(provenance, "_SOURCE", installed)
    assert source_commit() is None


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert source_commit() is None


def test_versions_data_and_command_are_written_down_and_fit_into_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/run.py", "--trials", "3"])
    dataset = load_dataset("digits", None)
    found = describe_environment(dataset, "5ha", "float32")
    assert json.loads(json.dumps(found)) == found
    assert found["command"] == ["run.py", "--trials", "3"]
    assert found["packages"]["torch"] == version("torch")
    assert found["packages"]["ray"] == version("ray")
    assert found["dataset"] == "digits"
    assert found["examples"] == {"train": len(dataset.train), "dev": len(dataset.dev), "test": len(dataset.test)}
    assert found["data_hashes"] == dict(dataset.hashes)
    assert found["space_sha256"] == "5ha"
    assert found["precision"] == "float32"
    assert found["cpus"] >= 1
    assert found["memory_gib"] > 0
    assert found["cpu"]


def test_an_unknown_precision_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"precision is 'float16', but must be one of: "):
        describe_environment(load_dataset("digits", None), "5ha", "float16")
