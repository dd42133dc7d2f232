"""The device of this process."""

from __future__ import annotations

import torch


def own_device() -> torch.device:
    """Return the GPU that this process was given, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
