"""What the trainings of `time_to_accuracy` write; the standard library alone, for the process of Keras has no more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Weights = TypeVar("Weights")


def say(log: Path, **line: Any) -> None:
    """Append a line; lines this short are written as one, whoever else writes."""
    with log.open("a") as file:
        file.write(json.dumps({"at": time.time(), **line}) + "\n")


def train_until(
    deadline: float, train_epoch: Callable[[], float], weights: Callable[[], Weights], log: Path, **told: Any
) -> tuple[int, float, Weights]:
    """Train as many epochs as there is time for, a line with what is `told` for each.

    Returns how many there were, the best accuracy on dev, and the weights then.
    """
    best, longest, epoch, kept = -1.0, 0.0, 0, weights()
    while time.time() + longest < deadline:
        began = time.time()
        accuracy = train_epoch()
        epoch += 1
        longest = max(longest, time.time() - began)
        say(log, epoch=epoch, dev_accuracy=accuracy, **told)
        if accuracy > best:
            best, kept = accuracy, weights()
    return epoch, best, kept
