"""Tests of the script `tuner.engine.ray_agent`; that a Ray starts with it shows every study."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from ray._private import ray_constants, services

from tuner.engine import ray_agent
from tuner.engine.ray_onlookers import without_onlookers


def agents_command() -> list[str]:
    """Return the command with which Ray begins that of the agent."""
    with without_onlookers():
        command: list[str] = services._build_python_executable_command_memory_profileable(
            ray_constants.PROCESS_TYPE_DASHBOARD_AGENT, "/ray/session"
        )
    return command


def started(session: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start an agent as a node does, and return when it has said what its ports are."""
    *interpreter, script, _ = agents_command()
    assert script == ray_agent.__file__
    flags = ["/ray/dashboard/agent.py", "--head", f"--session-dir={session}", "--gcs-address=a=b", "--node-id=17"]
    command = [*interpreter, script, "one,two", *flags]
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **environment})
    while {path.name for path in session.iterdir()} != {"one_17", "two_17"}:
        assert agent.poll() is None or (session / "two_17").exists()
        time.sleep(0.01)
    return agent


def test_it_says_that_there_are_no_ports_and_ends_with_its_node(tmp_path: Path) -> None:
    with started(tmp_path, RAY_enable_pipe_based_agent_to_parent_health_check="1") as agent:
        assert [(tmp_path / name).read_text() for name in ("one_17", "two_17")] == ["-1", "-1"]
        assert agent.poll() is None
        assert agent.stdin is not None
        agent.stdin.close()
        assert agent.wait(30) == 0


def test_without_a_pipe_from_its_node_it_looks_who_its_parent_is(tmp_path: Path) -> None:
    without = {"RAY_enable_pipe_based_agent_to_parent_health_check": "0"}
    with started(tmp_path, **without, RAY_RAYLET_PID=str(os.getpid())) as agent:
        assert agent.stdin is not None
        agent.stdin.close()  # that of the command, which may be anything
        with pytest.raises(subprocess.TimeoutExpired):
            agent.wait(0.5)
        agent.kill()
    (tmp_path / "later").mkdir()
    with started(tmp_path / "later", **without, RAY_RAYLET_PID=str(os.getppid())) as orphan:
        assert orphan.wait(30) == 0


def test_its_python_finds_the_standard_library_by_pythonhome_and_nothing_beside_the_script(tmp_path: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    (tmp_path / sys.platlibdir).mkdir()
    (tmp_path / sys.platlibdir / library.name).symlink_to(library)
    (tmp_path / "script.py").write_text("import sys\nprint(sys.prefix, 'site' in sys.modules, sys.path)")
    *interpreter, _, _ = agents_command()
    found = subprocess.run(
        [*interpreter, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONHOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    prefix, has_site, path = found.stdout.split(maxsplit=2)
    assert (prefix, has_site) == (str(tmp_path), "False")
    assert f"'{tmp_path}'" not in path
