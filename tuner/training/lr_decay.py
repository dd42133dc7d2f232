"""The learning rate of an epoch."""

from __future__ import annotations


def learning_rate(epoch: int, initial: float, decay_epochs: float) -> float:
    """Return initial x 0.1^(epoch / decay_epochs), the reference's decay; `epoch` counts from 0.

    It depends on no horizon, so a training stopped early is a true prefix of the longer one.
    """
    return float(initial * 0.1 ** (epoch / decay_epochs))
