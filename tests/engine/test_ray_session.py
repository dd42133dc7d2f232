"""Tests of `tuner.engine.ray_session`: whom a local Ray lets in, what it writes and says; see also `test_loopback`."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.environment import untouched_environment
from tuner.config import ResourceConfig
from tuner.engine import ray_session as module
from tuner.engine.processors import usable_cpus
from tuner.engine.ray_session import _init, ray_session, workers_available
from tuner.errors import ResourceError

SCRIPT = """
import json, logging, os, subprocess, sys, warnings
from pathlib import Path

import ray

from tuner.config import ResourceConfig
from tuner.engine.ray_session import ray_session, workers_available

found = {"token_before": os.environ.get("RAY_AUTH_TOKEN")}
init = ray.init
ray.init = lambda **options: init(**options, num_gpus=2)  # which exist for Ray alone
with ray_session(ResourceConfig(workers=1), Path(sys.argv[1])):
    logging.getLogger("ray.tune").error("said by Ray")
    warnings.warn("said by Python")

    @ray.remote
    def chatter():
        print("said by a worker")
        logging.getLogger("ray").error("said by a worker")

        return sys.executable, os.getcwd()

    found["folder"] = folder = ray._private.worker.global_worker.current_temp_dir
    found["modes"] = [oct(one.stat().st_mode & 0o777) for one in (Path(folder), Path(folder).parent)]
    found["worker_is_at_home"] = ray.get(chatter.remote()) == (sys.executable, os.getcwd())
    found["token"] = os.environ.get("RAY_AUTH_TOKEN")
    found["workers"] = workers_available(ResourceConfig(gpus_per_trial=0))
    found["workers_with_a_gpu"] = workers_available(ResourceConfig())

    @ray.remote
    def surroundings():
        return os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpriority(os.PRIO_PROCESS, 0)

    asked = {gpus: surroundings.options(num_gpus=gpus).remote() for gpus in (0, 0.5, 1)}
    for gpus, answer in asked.items():
        found[f"seen_with_{gpus}"], found["niceness_of_worker"] = ray.get(answer)
    stats = {folder: folder.joinpath("stat").read_text() for folder in Path("/proc").glob("[0-9]*")}
    parents = {folder.name: stat.rpartition(")")[2].split()[1] for folder, stat in stats.items()}
    ours = [one for one, parent in parents.items() if str(os.getpid()) in (parent, parents.get(parent))]
    found["started"] = [Path("/proc", one, "cmdline").read_text() for one in ours]
    found["niceness"] = os.getpriority(os.PRIO_PROCESS, 0)
    code = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); print(ray.cluster_resources())"
    address = ray.get_runtime_context().gcs_address
    stranger = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    command = [sys.executable, "-c", code, address]
    visits = {
        name: subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for name, environment in (("friend", {**os.environ, "RAY_AUTH_MODE": "token"}), ("stranger", stranger))
    }
    for name, visit in visits.items():
        found[name + "_said"] = visit.communicate(timeout=120)[1][-2000:]
        found[name] = visit.returncode
found["token_after"] = os.environ.get("RAY_AUTH_TOKEN")
found["running_after"] = ray.is_initialized()
Path(sys.argv[2]).write_text(json.dumps(found))
"""

NODES = [
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
    {"Alive": True, "Resources": {"CPU": 3.0}},
    {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
]


@dataclass(frozen=True)
class Session:
    found: dict[str, Any]
    home: Path
    log: str
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """What a process saw that started Ray as a study does, visited it with and without its token, and left it."""
    folder = tmp_path_factory.mktemp("session")
    home = folder / "home"
    home.mkdir()
    # As on a machine where nothing about authentication was decided.
    environment = untouched_environment()
    arguments = [sys.executable, "-c", SCRIPT, str(folder / "run.log"), str(folder / "found.json")]
    # As below `uv run`, by which Ray would have its workers run somewhere else.
    (folder / "run").write_text(f"{shlex.join(arguments)}\nexit $?\n")
    finished = subprocess.run(
        ["uv", "run"],
        executable="/bin/sh",
        cwd=folder,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found = json.loads((folder / "found.json").read_text())
    return Session(found, home, (folder / "run.log").read_text(), finished.stdout, finished.stderr)


pytestmark = pytest.mark.timeout(240)


def test_who_does_not_know_the_token_is_kept_out(session: Session) -> None:
    assert session.found["friend"] == 0, session.found["friend_said"]
    assert session.found["stranger"] != 0


def test_the_token_is_made_for_the_session_and_written_nowhere(session: Session) -> None:
    assert session.found["token_before"] is None
    assert len(session.found["token"]) == 64
    assert session.found["token_after"] is None
    assert not (session.home / ".ray").exists()


def test_workers_run_in_the_environment_of_their_node(session: Session) -> None:
    assert session.found["worker_is_at_home"]


def test_nobody_else_can_open_the_folder_above_the_one_that_ray_opens_to_everyone(session: Session) -> None:
    assert session.found["modes"] == ["0o777", "0o700"]
    assert not Path(session.found["folder"]).parent.exists()  # it has gone with its Ray


def test_ray_is_left_at_the_end(session: Session) -> None:
    assert session.found["running_after"] is False


def test_nothing_is_printed_and_what_ray_and_python_warn_of_is_in_the_log(session: Session) -> None:
    assert (session.stdout, session.stderr) == ("", "")
    assert "said by Ray" in session.log
    assert "UserWarning: said by Python" in session.log


def test_every_cpu_is_a_worker_and_where_there_are_gpus_every_gpu(session: Session) -> None:
    assert session.found["workers"] == usable_cpus()
    assert session.found["workers_with_a_gpu"] == min(2, usable_cpus())


def test_a_local_ray_starts_nothing_that_only_looks_on(session: Session) -> None:
    started = session.found["started"]
    assert any("raylet" in command for command in started)
    lookers = ("monitor.py", "dashboard.py", "DashboardAgent")
    assert not [command for command in started if any(one in command for one in lookers)]
    scripts = [part for command in started for part in command.split("\0") if part.endswith("ray_agent.py")]
    assert len(scripts) == 1


def test_a_worker_sees_the_gpu_it_was_given_and_without_one_none(session: Session) -> None:
    assert session.found["seen_with_1"] in ("0", "1")
    assert session.found["seen_with_0.5"] in ("0", "1")
    assert session.found["seen_with_0"] == ""


def test_workers_are_as_nice_as_the_command_and_not_starved_by_whatever_else_computes(session: Session) -> None:
    assert session.found["niceness_of_worker"] == session.found["niceness"]


@pytest.mark.parametrize(
    ("cpus", "resources", "expected"),
    [
        (2, ResourceConfig(), True),
        (2, ResourceConfig(workers=2, cpus_per_trial=1), True),
        (4, ResourceConfig(workers=2), False),
        (4, ResourceConfig(cpus_per_trial=2), False),
        (64, ResourceConfig(), False),
    ],
)
def test_processes_import_ahead_where_each_of_them_will_have_a_trial(
    cpus: int, resources: ResourceConfig, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "usable_cpus", lambda: cpus)
    monkeypatch.setattr(module, "_has_gpus", lambda: False)
    assert module._all_will_train(resources) is expected
    monkeypatch.setattr(module, "_has_gpus", lambda: True)
    assert module._all_will_train(resources) is False


# A machine as containers have it.

INHOSPITABLE = """
import json, os, tempfile
from pathlib import Path

from tuner.home import ensure_home

ensure_home()
import ray, torch
import ray.tune

from tuner.config import ResourceConfig
from tuner.engine.ray_session import ray_session, workers_available

with ray_session(ResourceConfig(), Path(tempfile.gettempdir()) / "run.log"):

    @ray.remote
    def work(images):
        import getpass
        import ray.tune
        return int(images.sum()), getpass.getuser()

    images = torch.ones(50_000_000, dtype=torch.uint8).numpy()  # more than the shared memory holds
    found = {"workers": workers_available(ResourceConfig()), "work": ray.get(work.remote(images))}
shm = os.statvfs("/dev/shm")
print(json.dumps(found | {"shm": shm.f_blocks * shm.f_frsize, "tmpdir": tempfile.gettempdir()}))
"""
A_SMALL_SHM = 'mount -t tmpfs -o size=32m,mode=1777 tmpfs /dev/shm && exec unshare --user --map-user=12345 "$@"'


def in_a_poor_container(*command: str, tmpdir: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whom nobody knows, without a home, on one CPU, with little shared memory."""
    start = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    start += ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", A_SMALL_SHM, "sh"]
    environment = {k: v for k, v in untouched_environment().items() if k not in ("HOME", "USER", "LOGNAME")}
    # Nothing is trained there, so nothing need be imported ahead.
    environment |= {
        "RAY_preload_python_modules": "",
        "TMPDIR": str(tmpdir),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    return subprocess.run([*start, *command], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def long_tmpdir() -> Iterator[Path]:
    """A folder that is there in the container too: `tmp_path` may lie in /dev/shm, which is another one there."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tmpdir = Path(folder) / ("x" * 90)
        tmpdir.mkdir()
        yield tmpdir


@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are of Linux")
def test_one_cpu_no_home_no_name_little_shared_memory_and_a_long_tmpdir_are_no_hindrance(
    long_tmpdir: Path,
) -> None:
    if in_a_poor_container("true", tmpdir=long_tmpdir).returncode != 0:
        pytest.skip("this system lets nobody make user namespaces")
    finished = in_a_poor_container(sys.executable, "-c", INHOSPITABLE, tmpdir=long_tmpdir)
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert found == {"workers": 1, "work": [50_000_000, "12345"], "shm": 32 << 20, "tmpdir": str(long_tmpdir)}
    assert finished.stderr == ""


# Counting workers, without a cluster.


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, 2),  # one a GPU
        ({"gpus_per_trial": 0.0}, 11),
        (
            {"gpus_per_trial": 0.0, "cpus_per_trial": 2},
            5,
        ),  # 4 on the first, 1 on the second: a trial does not span machines
        ({"gpus_per_trial": 0.0, "cpus_per_trial": 4}, 2),
        ({"gpus_per_trial": 1.0}, 2),
        ({"gpus_per_trial": 0.5}, 4),
        ({"gpus_per_trial": 0.1, "cpus_per_trial": 1}, 8),  # 20 by the GPUs, 8 by the CPUs
        ({"gpus_per_trial": 0.4}, 4),  # a fraction lies on one GPU
        ({"cpus_per_trial": 8, "gpus_per_trial": 2.0}, 1),
        ({"gpus_per_trial": 0.0, "workers": 3}, 3),
    ],
)
def test_trials_are_counted_machine_by_machine_and_the_dead_do_not_count(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, Any], expected: int
) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: NODES)
    assert workers_available(replace(ResourceConfig(), **resources)) == expected


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (
            {"cpus_per_trial": 9},
            "--cpus-per-trial is 9 and --gpus-per-trial 1, but the largest machine has 8 CPUs and 2 GPUs.",
        ),
        (
            {"gpus_per_trial": 3.0},
            "--cpus-per-trial is 1 and --gpus-per-trial 3, but the largest machine has 8 CPUs and 2 GPUs.",
        ),
        (
            {"gpus_per_trial": 0.0, "workers": 12},
            "--workers is 12, but with 1 CPUs and 0 GPUs per trial only 11 fit at the same time.",
        ),
    ],
)
def test_more_than_there_is_is_refused_with_the_numbers(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: NODES)
    with pytest.raises(ResourceError) as caught:
        workers_available(replace(ResourceConfig(), **resources))
    assert str(caught.value) == message


# A notebook's own session.


@pytest.mark.usefixtures("ray_running")
def test_a_ray_that_runs_already_is_used_and_left_running(tmp_path: Path) -> None:
    with ray_session(ResourceConfig(), tmp_path / "run.log"):
        assert ray.is_initialized()
    assert ray.is_initialized()


@pytest.mark.usefixtures("ray_running")
def test_a_ray_that_runs_already_must_be_the_one_that_was_asked_for(tmp_path: Path) -> None:
    here = ray.get_runtime_context().gcs_address
    _, _, port = here.rpartition(":")
    for same in ("auto", here, f"localhost:{port}"):
        with ray_session(ResourceConfig(address=same), tmp_path / "run.log"):
            assert ray.is_initialized()
    for other in ("10.1.2.3:6379", f"10.1.2.3:{port}", "localhost:1"):
        with (
            pytest.raises(
                ResourceError, match=f"--address is '{other}', but this process has joined the Ray at {here}"
            ),
            ray_session(ResourceConfig(address=other), tmp_path / "run.log"),
        ):
            raise AssertionError(other)


@pytest.mark.usefixtures("ray_running")
def test_logs_and_warnings_go_to_the_log_during_the_session_and_where_they_went_before_after_it(tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("ray", "py.warnings")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    log = tmp_path / "run.log"
    with ray_session(ResourceConfig(), log):
        logging.getLogger("ray.tune").error("during")
        warnings.warn("also during", stacklevel=1)
    logging.getLogger("ray.tune").error("after")
    assert "ray.tune ERROR during" in log.read_text()
    assert "UserWarning: also during" in log.read_text()
    assert "after" not in log.read_text()
    assert [(logger.handlers, logger.propagate) for logger in loggers] == before
    with pytest.warns(UserWarning, match="after"):
        warnings.warn("after", stacklevel=1)


@pytest.mark.parametrize(("too_slow", "starts"), [(2, True), (3, False)])
def test_a_machine_too_busy_to_start_ray_in_time_gets_another_chance(
    monkeypatch: pytest.MonkeyPatch, too_slow: int, starts: bool
) -> None:
    begun: list[str] = []

    def slow_at_first(address: str, **options: object) -> None:
        begun.append(address)
        if len(begun) <= too_slow:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", slow_at_first)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    if starts:
        _init(None, Path("/tmp"))
    else:
        with pytest.raises(ResourceError, match=r"3 tries, .* too busy: try again .* --in-process; .* during startup"):
            _init(None, Path("/tmp"))
    assert begun == ["local"] * 3
