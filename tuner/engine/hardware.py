"""What a machine computes with, described where its trials train: the driver's may be another one."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Any

import torch

from tuner.engine.processors import usable_cpus
from tuner.training.device import own_device
from tuner.training.precision import resolve


def describe_hardware(precision: str) -> dict[str, Any]:
    """Return this machine's name, processors, memory and GPUs, and the number format that it computes in, for JSON."""
    device = own_device()
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cpus": usable_cpus(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "precision": str(resolve(precision, device)).removeprefix("torch."),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
