"""A cluster of fixed size that loses a node goes on with what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.study import REPOSITORY, chaos_environment


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_trainings_that_lost_their_node_are_done_by_the_processes_that_are_left(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.lost_node", str(tmp_path)]
    found = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **chaos_environment(tmp_path), "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    result = json.loads(found.stdout.splitlines()[-1])
    assert result["done"] == [0, 1, 2, 3]
    assert result["lost"] == 1
