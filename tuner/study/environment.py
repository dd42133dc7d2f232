"""Where and with what a run was made, so that its numbers can be traced."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tuner.data.splits import Dataset
from tuner.training.precision import resolve

_PACKAGES = ("ray", "optuna", "torch", "torchvision", "numpy", "pandas", "pyarrow", "scikit-learn")
_SOURCE = Path(__file__).resolve().parents[2]


def describe_environment(dataset: Dataset, space_sha256: str, precision: str) -> dict[str, Any]:
    """Return versions, hardware and data hashes as a JSON-ready dictionary."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": source_commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "host": socket.gethostname(),
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "precision": str(resolve(precision, device)).removeprefix("torch."),
        "dataset": dataset.name,
        "images": {"train": len(dataset.train), "dev": len(dataset.dev), "test": len(dataset.test)},
        "data_hashes": dataset.hashes,
        "space_sha256": space_sha256,
    }


def source_commit() -> str | None:
    """Return the commit of the source tree, with `-dirty` if it was changed; None outside a checkout."""
    command = ["git", "-C", str(_SOURCE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
