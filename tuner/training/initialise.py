"""Building a model whose initial weights come from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tuner.models import ModelSpec


def build_seeded(spec: ModelSpec, hparams: Mapping[str, Any], seed: int) -> nn.Module:
    """Return a fresh model; equal seeds give equal weights, and the caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build(hparams)
