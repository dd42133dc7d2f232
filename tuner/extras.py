"""What the optional parts need, and the line that installs it into the Python that runs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec

_EXTRA = re.compile(r"""extra == ['"]([^'"]+)['"]""")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def available_extras() -> list[str]:
    """Return the names of the optional parts."""
    return sorted(metadata("tuner").get_all("Provides-Extra") or [])


def requirements_of(extra: str | None) -> list[str]:
    """Return what an optional part needs, or without one the whole, such as `lightning<3,>=2.6`."""
    found = []
    for text in requires("tuner") or []:
        requirement, _, marker = text.partition(";")
        named = _EXTRA.search(marker)
        if (named[1] if named else None) == extra:
            found.append(requirement.strip())
    return found


def installed_version(requirement: str) -> str | None:
    """Return the version that is installed of what a requirement names; None if it is not."""
    named = _NAME.match(requirement)
    assert named is not None, requirement
    try:
        return version(named[0])
    except PackageNotFoundError:
        return None


def is_installed(extra: str) -> bool:
    """Return whether everything is there that an optional part needs."""
    return all(installed_version(requirement) is not None for requirement in requirements_of(extra))


def install_line(extra: str) -> str:
    """Return the command that installs what an optional part needs.

    It names the packages and not `tuner[extra]`: that would look for a `tuner` on the package index.
    """
    return command_to_install(requirements_of(extra))


def command_to_install(requirements: Sequence[str]) -> str:
    """Return the command that installs packages beside this one; an environment that uv made has no pip."""
    tool = ["-m", "pip", "install"]
    command = [sys.executable, *tool] if find_spec("pip") else ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*command, *requirements])
