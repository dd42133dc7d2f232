"""Tests of `tuner.engine.processors`: half a CPU is one worker, a tied process has what it is tied to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.engine.processors import usable_cpus

V1_MOUNT = "32 31 0:29 {root} {folder}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct"
V2_MOUNT = "41 31 0:38 {root} {folder}/unified rw,relatime - cgroup2 cgroup2 rw"


def here() -> int:
    return len(os.sched_getaffinity(0))


class Machine:
    """The kernel's description of a process in control groups, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "cgroup").write_text("")
        (folder / "mountinfo").write_text("23 1 254:0 / / rw - ext4 /dev/vda rw\n")

    def mount(self, line: str, root: str = "/") -> None:
        with (self.folder / "mountinfo").open("a") as file:
            file.write(line.format(root=root, folder=self.folder) + "\n")

    def join(self, line: str) -> None:
        with (self.folder / "cgroup").open("a") as file:
            file.write(line + "\n")

    def limit(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of 64 CPUs."""
    monkeypatch.setattr("tuner.engine.processors._allowed", lambda: 64)
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("limit", "cpus"), [("50000 100000", 1), ("100000 100000", 1), ("250000 100000", 2), ("max 100000", 64)]
)
def test_a_limit_of_version_2_counts_in_whole_cpus_but_at_least_one(machine: Machine, limit: str, cpus: int) -> None:
    machine.mount(V2_MOUNT)
    machine.join("0::/pod")
    machine.limit("unified/pod/cpu.max", limit)
    assert usable_cpus(machine.folder) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("50000", 1), ("600000", 6), ("-1", 64)])
def test_a_limit_of_version_1_counts_likewise(machine: Machine, quota: str, cpus: int) -> None:
    machine.mount(V1_MOUNT)
    machine.join("4:memory:/other")
    machine.join("1:cpu,cpuacct:/pod")
    machine.limit("cpu/pod/cpu.cfs_quota_us", quota)
    machine.limit("cpu/pod/cpu.cfs_period_us", "100000")
    assert usable_cpus(machine.folder) == cpus


def test_the_narrowest_limit_of_all_groups_around_counts(machine: Machine) -> None:
    machine.mount(V2_MOUNT)
    machine.join("0::/user.slice/app.scope")
    machine.limit("unified/user.slice/app.scope/cpu.max", "800000 100000")
    machine.limit("unified/user.slice/cpu.max", "300000 100000")
    assert usable_cpus(machine.folder) == 3


def test_in_a_container_the_mounted_group_is_its_own(machine: Machine) -> None:
    machine.mount(V2_MOUNT, root="/docker/4f2a")
    machine.join("0::/docker/4f2a")
    machine.limit("unified/cpu.max", "200000 100000")
    assert usable_cpus(machine.folder) == 2


def test_a_path_that_only_the_host_knows_still_leads_to_the_mounted_group(machine: Machine) -> None:
    machine.mount(V1_MOUNT, root="/docker/4f2a")
    machine.join("1:cpu,cpuacct:/kubepods/pod7")
    machine.limit("cpu/cpu.cfs_quota_us", "200000")
    machine.limit("cpu/cpu.cfs_period_us", "100000")
    assert usable_cpus(machine.folder) == 2


@pytest.mark.parametrize("text", ["", "what", "x y"])
def test_what_cannot_be_read_limits_nothing(machine: Machine, text: str) -> None:
    machine.mount(V2_MOUNT)
    machine.join("0::/pod")
    machine.limit("unified/pod/cpu.max", text)
    assert usable_cpus(machine.folder) == 64
    assert usable_cpus(machine.folder / "absent") == 64


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tie no process to processors")
def test_a_process_tied_to_one_processor_has_one() -> None:
    one = min(os.sched_getaffinity(0))
    code = "from tuner.engine.processors import usable_cpus; print(usable_cpus())"
    command = ["taskset", "-c", str(one), sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are of Linux")
def test_without_limits_it_is_what_the_kernel_lets_the_process_run_on() -> None:
    assert 1 <= usable_cpus() <= here()
