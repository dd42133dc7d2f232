"""Processors, memory, GPUs, disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from ray._common.utils import get_system_memory
from ray._private.utils import resolve_object_store_memory

from tuner.engine.checkup.finding import Finding, note, ok, problem
from tuner.engine.hardware import describe_hardware
from tuner.engine.processors import usable_cpus
from tuner.engine.ray_folder import ray_folder
from tuner.errors import ResourceError

_GIB = 2**30
_LEAST_MEMORY = 2 * _GIB
"""Bytes for Ray, a driver and one trial of a small model."""
_MEMORY_OF_A_TRIAL = _GIB
"""Bytes; torch and its data alone take half of it."""
_FULL = 0.95
"""Of a disk: beyond it Ray moves no more objects there from memory."""
_SHARED = Path("/dev/shm")  # noqa: S108 - the kernel's own
_DRIVER = Path("/proc/driver/nvidia/version")


def processors() -> Iterator[Finding]:
    """Look at how many CPUs may be used, of how many, and which number format they compute in."""
    usable, there = usable_cpus(), os.cpu_count() or 1
    found = describe_hardware("auto")
    text = f"{usable} of {there} CPUs ({found['cpu']}), computing in {found['precision']}"
    if usable < there:
        yield note(
            "processors",
            f"{text}. Affinity or a control group allows no more; so many trials train at a time.",
            f"docker run --cpus={there} ...   # or start without taskset",
        )
    else:
        yield ok("processors", text)


def memory() -> Iterator[Finding]:
    """Look at the memory that the machine or the control group allows."""
    total, usable = get_system_memory(), usable_cpus()
    text = f"{total / _GIB:.1f} GiB"
    if total < _LEAST_MEMORY:
        yield problem("memory", f"{text}, but Ray and one trial need {_LEAST_MEMORY / _GIB:.0f} GiB.")
    elif total < _LEAST_MEMORY + (usable - 1) * _MEMORY_OF_A_TRIAL:
        fitting = max(1, int((total - _LEAST_MEMORY) / _MEMORY_OF_A_TRIAL) + 1)
        yield note("memory", f"{text} for {usable} trials at a time is little.", f"tuner run --workers {fitting}")
    else:
        yield ok("memory", text)


def gpus() -> Iterator[Finding]:
    """Look at the GPUs that torch can use."""
    if torch.cuda.is_available():
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        yield ok("GPUs", ", ".join(f"{one.name} ({one.total_memory / _GIB:.0f} GiB)" for one in found))
    elif not _DRIVER.exists() and shutil.which("nvidia-smi") is None:
        yield ok("GPUs", "none; trials train on CPUs")
    elif torch.version.cuda is None:
        text = f"there is an NVIDIA driver, but torch {torch.__version__} is built for CPUs alone."
        yield note("GPUs", text, "uv pip install --reinstall torch torchvision")
    else:
        text = f"there is an NVIDIA driver, but torch, built for CUDA {torch.version.cuda}, finds no GPU."
        yield note("GPUs", text, "nvidia-smi   # is the driver new enough, and $CUDA_VISIBLE_DEVICES right?")


def shared_memory() -> Iterator[Finding]:
    """Look at the memory in which Ray keeps what trials share; where it is small, Ray silently goes elsewhere."""
    if not _SHARED.is_dir():
        yield ok("shared memory", "Ray keeps what trials share in a file, as it always does on this system")
        return
    there = shutil.disk_usage(_SHARED).free
    wanted = resolve_object_store_memory(get_system_memory())
    text = f"{_SHARED} has {there / _GIB:.2f} GiB free"
    if there >= wanted:
        yield ok("shared memory", text)
    else:
        yield note(
            "shared memory",
            f"{text}, and Ray wants {wanted / _GIB:.1f} GiB. It will use a file in its own folder instead, without a "
            "word: slower to begin with, and as large as the disk allows.",
            f"docker run --shm-size={wanted / _GIB * 1.1:.1f}g ...",
        )


def folder_of_ray() -> Iterator[Finding]:
    """Look at the place of the folder of Ray's own files: its path, and the room on its disk."""
    try:
        with ray_folder() as folder:
            place = folder.parents[1]
    except ResourceError as error:
        yield problem("Ray's folder", str(error), "export RAY_TMPDIR=$(mktemp -d /tmp/t.XXXXXX)")
        return
    disk = shutil.disk_usage(place)
    text = f"{place} has {disk.free / _GIB:.1f} GiB free"
    if disk.used > _FULL * disk.total:
        mend = "export RAY_TMPDIR=FOLDER_ON_ANOTHER_DISK"
        yield note("Ray's folder", f"{text}: its disk is nearly full, and Ray moves nothing more to it.", mend)
    else:
        yield ok("Ray's folder", text)
