"""Starts Ray as a study does, asks it to compute something, and prints as JSON how it went; run as a process."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import ray

from tuner.config import ResourceConfig
from tuner.engine.ray_session import ray_session
from tuner.errors import TunerError

_ONE = ResourceConfig(workers=1)
"""For a study of as many workers as there are CPUs, Ray's processes would all import what trains."""


def main() -> int:
    """Print what was found and return the exit code; the last line on stderr says what failed."""
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, ray_session(_ONE, Path(folder) / "ray.log"):
            assert ray.get(_twice.remote(3)) == 6
            [node] = ray.nodes()  # type: ignore[no-untyped-call]
            found = {
                "address": node["NodeManagerAddress"],
                "cpus": node["Resources"].get("CPU", 0.0),
                "seconds": time.monotonic() - begun,
            }
    except TunerError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


@ray.remote
def _twice(number: int) -> int:
    return 2 * number


if __name__ == "__main__":
    sys.exit(main())
