"""Python with a peer's own packages, in an environment that `uv` makes for it: ours need not agree with them."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def command(module: str, *requirements: str) -> list[str]:
    """Return what runs `module` of this repository with `requirements` and nothing else.

    The first time `uv` downloads them. It has to be run with `variables()`, in a folder outside of the repository.
    """
    packages = [word for requirement in requirements for word in ("--with", requirement)]
    python = ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", "3.11"]
    return [*python, *packages, "python", "-m", module]


def variables(**given: str) -> dict[str, str]:
    """Return this process's environment variables, where the repository is found, and what is `given`."""
    return {**os.environ, "PYTHONPATH": str(_ROOT), **given}
