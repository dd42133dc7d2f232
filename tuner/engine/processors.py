"""How many processors this process may use: what the machine has, less what affinity and control groups take away."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

_PROCESS = Path("/proc/self")


def usable_cpus(process: Path = _PROCESS) -> int:
    """Return the CPUs that this process may use, at least 1: half a CPU is one, two and a half are two.

    `taskset` and a container's `--cpuset-cpus` limit which, `--cpus` and Kubernetes' limits how much of them.
    Ray counts all those of the machine, and none of half a one. `process` is the folder in which Linux describes a
    process; other systems have none, and no such limits.
    """
    return max(1, int(min([_allowed(), *_quotas(process)])))


def _allowed() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1  # which $PYTHON_CPU_COUNT overrides
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(process: Path) -> Iterator[float]:
    """Yield the limits, in CPUs, of the process's control groups and of those around them, in versions 1 and 2."""
    try:
        memberships = (process / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (process / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    groups = {controllers: path for _, controllers, path in (line.split(":", 2) for line in memberships)}
    for line in mounts:
        # "31 23 0:28 ROOT MOUNT_POINT options ... - TYPE source SUPER_OPTIONS"; see proc_pid_mountinfo(5).
        before, _, after = line.partition(" - ")
        root, mount_point = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" and "" in groups:
            yield from _along(mount_point, root, groups[""], _quota_of_version_2)
        elif kind == "cgroup" and "cpu" in options.split(","):
            for controllers, path in groups.items():
                if "cpu" in controllers.split(","):
                    yield from _along(mount_point, root, path, _quota_of_version_1)


def _along(mount_point: str, root: str, path: str, quota: Callable[[Path], float | None]) -> Iterator[float]:
    """Yield the limits of a group and of those around it, as far as they can be seen below the mount point."""
    inside = PurePosixPath(path)
    if inside.is_relative_to(root):
        inside = inside.relative_to(root)
    # In a container the path may be one that only the host knows; the container's own group is the mount point.
    folder = Path(mount_point, *inside.parts[inside.is_absolute() :])
    while True:
        limit = quota(folder)
        if limit is not None:
            yield limit
        if folder == Path(mount_point):
            return
        folder = folder.parent


def _quota_of_version_2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_of_version_1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
        return quota / int((folder / "cpu.cfs_period_us").read_text(encoding="utf-8")) if quota > 0 else None
    except (OSError, ValueError):
        return None
