"""Telling the failures of a device, after which its process is of no use, from other exceptions."""

from __future__ import annotations

import torch

_SIGNS = ("CUDA error", "CUDA out of memory", "CUBLAS_STATUS", "cuDNN error", "HIP error", "device-side assert")
"""Of the messages of torch's plain RuntimeErrors that come from a device."""


def device_failure(error: BaseException) -> str | None:
    """Return why a training failed by its device, None if it was not the device.

    It ran out of its memory, which another configuration need not, or a kernel of it stopped at an assertion, after
    which the device refuses every further call of the process.
    """
    first_line = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError):
        asked_for = first_line.partition(" GPU ")[0]  # torch goes on with half a page of advice
        return f"its training needs more memory than the device has: {asked_for}"
    is_of_device = isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
    if isinstance(error, torch.AcceleratorError) or is_of_device:
        return f"its training stopped the device: {first_line}"
    return None
