"""Comparing trainings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def assert_identical(one: Any, other: Any) -> None:
    """Compare nested states bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert one.dtype is other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_identical(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_identical(*pair)
    else:
        assert one == other
