"""The chaos suite's short form: `python -m tests.benchmarks.chaos` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.study import REPOSITORY


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_study_survives_the_death_of_its_driver_its_worker_and_its_node(tmp_path: Path) -> None:
    file = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "tests.benchmarks.chaos", "--kind", "all", "--kills", "1", "--trials", "6"]
    found = subprocess.run(
        [*command, "--seed", "3", "--json", str(file)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert file.exists(), found.stderr[-3000:]
    result = json.loads(file.read_text())
    assert [study["violations"] for study in result["studies"]] == [[]] * len(result["studies"])
    assert result["kills"] == 3
    assert found.returncode == 0
