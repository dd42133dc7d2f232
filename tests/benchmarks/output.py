"""How every benchmark hands over what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.io.files import write_json


def publish(found: Mapping[str, Any], path: Path | None) -> None:
    """Print the result as JSON, and write it to the file `path` if there is one."""
    print(json.dumps(found, indent=2))
    if path is not None:
        write_json(path, found)
