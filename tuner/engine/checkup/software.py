"""Python, the packages and the optional parts."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import metadata, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tuner.engine.checkup.finding import Finding, note, ok, problem
from tuner.engine.provenance import source_commit
from tuner.extras import (
    available_extras,
    command_to_install,
    install_line,
    installed_version,
    is_installed,
    requirements_of,
)

_SHOWN = ("ray", "torch", "optuna")


def python() -> Iterator[Finding]:
    """Look at the version of Python."""
    found, needed = platform.python_version(), metadata("tuner")["Requires-Python"]
    if SpecifierSet(needed).contains(found, prereleases=True):
        yield ok("Python", found)
    else:
        yield problem("Python", f"{found}, but tuner needs {needed}.", "uv venv --python 3.13 && uv sync")


def packages() -> Iterator[Finding]:
    """Look at the packages that tuner needs, whether they are there in a version that it knows."""
    shown = ", ".join(f"{name} {installed_version(name) or 'missing'}" for name in _SHOWN)
    commit = source_commit()
    yield ok("tuner", f"{version('tuner')}{f' (commit {commit[:9]})' if commit else ''} with {shown}")
    wrong = [text for text in requirements_of(None) if not _is_met(text)]
    if wrong:
        told = ", ".join(f"{text} ({installed_version(text) or 'missing'} is installed)" for text in wrong)
        yield problem("packages", f"not as tuner needs them: {told}.", command_to_install(wrong))


def extras() -> Iterator[Finding]:
    """Look at the optional parts."""
    there = [extra for extra in available_extras() if is_installed(extra)]
    if there:
        yield ok("extras", f"installed: {', '.join(there)}")
    for extra in available_extras():
        if extra not in there:
            yield note(f"extra {extra}", "not installed. You need it only if you ask for it.", install_line(extra))


def _is_met(text: str) -> bool:
    found = installed_version(text)
    return found is not None and Requirement(text).specifier.contains(found, prereleases=True)
