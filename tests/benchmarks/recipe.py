"""What a change of the recipe is worth: one configuration, trained without a search, its dev metrics after each epoch.

TUNER_DATA_DIR=DIR python -m tests.benchmarks.recipe --start 1 --epochs 30 --changes '{"lr_decay": "linear"}'

The configuration is a start configuration of a space, its hyperparameters changed as said. One thread, and the test
split is not read. To compare two recipes start two of them, with the same seed. Trained on a GPU where there is one.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from tests.benchmarks.output import publish
from tuner.config import DataConfig
from tuner.engine.provenance import source_commit
from tuner.engine.task import load_task
from tuner.training.device import own_device
from tuner.training.precision import resolve


@dataclass(frozen=True)
class Arguments:
    """What to train."""

    space: str = "cnn"
    start: int = 1
    """Which of the space's start configurations, from 0."""
    epochs: int = 30
    changes: str = "{}"
    """Hyperparameters in place of those that the space makes, as JSON."""
    params: str = "{}"
    """Parameters in place of the start configuration's, as JSON."""
    dataset: str = "fashion-mnist"
    seed: int = 11
    json: Path | None = None


def main(arguments: Arguments) -> dict[str, Any]:
    """Train, tell each epoch on stderr, and return all of them."""
    torch.set_num_threads(1)
    device = own_device()
    task = load_task(arguments.space)
    values = {**task.space.start[arguments.start], **json.loads(arguments.params)}
    hparams = {**task.space.answer(values)[1], **json.loads(arguments.changes)}
    data = task.load_data(DataConfig(dataset=arguments.dataset)).search_data()
    training = task.trainable.make(
        hparams,
        data,
        seed=arguments.seed,
        device=device,
        max_epochs=arguments.epochs,
        precision=resolve("auto", device),
    )
    epochs = []
    for epoch in range(1, arguments.epochs + 1):
        begun = time.monotonic()
        metrics = training.train_epoch()
        epochs.append({"epoch": epoch, "seconds": time.monotonic() - begun, **metrics})
        print(f"{epoch}: dev accuracy {metrics['dev_accuracy']:.4f}", file=sys.stderr, flush=True)
    return {
        "commit": source_commit(),
        "device": torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu",
        "arguments": {name: value for name, value in vars(arguments).items() if name != "json"},
        "hparams": hparams,
        "best_dev_accuracy": max(one["dev_accuracy"] for one in epochs),
        "epochs": epochs,
    }


if __name__ == "__main__":
    arguments = tyro.cli(Arguments, description=__doc__)
    publish(main(arguments), arguments.json)
