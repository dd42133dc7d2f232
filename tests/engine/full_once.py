"""A training for tests of what follows when its device is full for a while."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def full_once(flag: Path) -> type:
    """Return a training whose device is full in its second epoch, once: of that the file `flag` tells."""

    class FullOnce:
        def __init__(self, hparams: dict[str, Any], data: object, *, seed: int, device: torch.device) -> None:
            self._epoch = 0

        def train_epoch(self) -> dict[str, float]:
            self._epoch += 1
            if self._epoch == 2 and not flag.exists():
                flag.touch()
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
            return {"dev_accuracy": 0.5, "process": float(os.getpid())}

        def evaluate(self, split: object) -> dict[str, float]:
            return {}

        def state_dict(self) -> dict[str, Any]:
            return {"epoch": self._epoch}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self._epoch = state["epoch"]

    return FullOnce
