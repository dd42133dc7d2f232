"""Tests of `tuner.training.precision`: which number format is chosen where."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tuner.errors import ConfigError
from tuner.training.precision import resolve

CPU_DESCRIPTION = Path("/proc/cpuinfo")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_named_precision_is_taken_on_any_device(device: str) -> None:
    assert resolve("float32", torch.device(device)) is torch.float32
    assert resolve("bfloat16", torch.device(device)) is torch.bfloat16


def test_an_unknown_precision_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="--precision is 'float16', but must be one of: auto, bfloat16, float32"):
        resolve("float16", torch.device("cpu"))


def test_auto_on_a_cpu_follows_what_the_kernel_says_of_it() -> None:
    if not CPU_DESCRIPTION.exists():
        pytest.skip("needs Linux's /proc/cpuinfo as the independent witness")
    flags = set(CPU_DESCRIPTION.read_text().split())
    expected = torch.bfloat16 if flags & {"avx512_bf16", "amx_tile"} else torch.float32
    assert resolve("auto", torch.device("cpu")) is expected


@pytest.mark.parametrize(("supported", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_on_a_gpu_takes_bfloat16_only_in_hardware(
    monkeypatch: pytest.MonkeyPatch, supported: bool, expected: torch.dtype
) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return supported or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert resolve("auto", torch.device("cuda")) is expected
