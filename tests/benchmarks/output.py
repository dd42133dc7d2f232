"""How every benchmark hands over what it found."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.io.files import write_json

_LOCAL = ("json", "surrogate", "results")


def machine() -> dict[str, Any]:
    """Return on what it was measured."""
    return {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()}


def told(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments of a benchmark without those that are paths of whoever measures."""
    return {name: str(value) for name, value in arguments.items() if name not in _LOCAL}


def publish(found: Mapping[str, Any], path: Path | None) -> None:
    """Print the result as JSON, and write it to the file `path` if there is one."""
    print(json.dumps(found, indent=2))
    if path is not None:
        write_json(path, found)
