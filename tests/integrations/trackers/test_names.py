"""Tests of `tuner.integrations.trackers`: which there are, and what is said of one that is not."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from tuner.errors import ConfigError
from tuner.extras import install_line
from tuner.integrations import trackers
from tuner.integrations.trackers import TRACKERS
from tuner.integrations.trackers.values import finals, flat


def test_an_unknown_tracker_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"--track is 'tensorbord', but must be one of: .*tensorboard"):
        trackers.trackers(["tensorbord"])


def test_a_tracker_is_given_once() -> None:
    with pytest.raises(ConfigError, match="must name each tracker once"):
        trackers.trackers(["tensorboard", "tensorboard"])


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_names_the_line_that_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = util.find_spec
    monkeypatch.setattr(trackers, "find_spec", lambda one: None if one == name else found(one))
    with pytest.raises(ConfigError) as error:
        trackers.trackers([name])
    assert str(error.value) == f"--track is {name!r}, but {name} is not installed: {install_line(name)}"


def test_a_folder_of_a_trackers_name_is_not_its_package(tmp_path: Path) -> None:
    (tmp_path / "notwandb").mkdir()
    sys.path.insert(0, str(tmp_path))
    try:
        assert util.find_spec("notwandb") is not None
        assert not trackers._is_installed("notwandb")
    finally:
        sys.path.remove(str(tmp_path))


def test_no_tracker_is_imported_before_it_begins() -> None:
    code = (
        "import sys; from tuner.integrations.trackers import TRACKERS, trackers; trackers(list(TRACKERS));"
        "sys.exit(any(one.package in sys.modules for one in TRACKERS.values()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hyperparameters_become_flat() -> None:
    hparams = {"lr": 0.1, "widths": [8, 16], "inner": {"a": 1, "b": {"c": True}}, "none": None}
    assert flat(hparams) == {"lr": 0.1, "widths": "[8, 16]", "inner.a": 1, "inner.b.c": True}
    assert finals({"test": {"accuracy": 0.9}}) == {"test/accuracy": 0.9}
