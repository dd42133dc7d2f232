"""Tests of `tuner.extras`: what an optional part needs, and the line that installs it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tuner import extras


def test_the_optional_parts_and_what_they_need_are_read_from_the_package_itself() -> None:
    assert {"lightning", "mlflow", "onnx", "tensorboard", "transformers", "wandb"} <= set(extras.available_extras())
    assert any(text.startswith("onnxscript") for text in extras.requirements_of("onnx"))
    assert any(text.startswith("torch<") for text in extras.requirements_of(None))
    assert not any(text.startswith("mlflow") for text in extras.requirements_of(None))


def test_what_is_installed_is_known_by_its_version() -> None:
    assert extras.installed_version("pytest>=1") == pytest.__version__
    assert extras.installed_version("no-such-package>=1") is None


def test_the_line_installs_into_the_python_that_runs_with_or_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    line = extras.install_line("lightning")
    assert line.startswith(f"uv pip install --python {sys.executable} 'lightning")
    monkeypatch.setattr(extras, "find_spec", lambda name: find_spec("sys"))
    assert extras.install_line("lightning").startswith(f"{sys.executable} -m pip install 'lightning")


def test_the_shell_reads_the_line_as_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    line = extras.command_to_install(["optuna<6,>=5.0"])
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines()[-1] == "optuna<6,>=5.0"
