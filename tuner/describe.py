"""The command `python -m tuner.describe`: what is in the data set, and what the model is made of."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuner.cli import main, parse
from tuner.data import Dataset, load_dataset
from tuner.data.statistics import SPLITS, Statistics, collect_statistics, render_table
from tuner.models import get_model
from tuner.models.summary import ModelSummary, summarize

_EXAMPLES = {
    "--dataset digits": "the data set that comes with scikit-learn",
    "--model resnet --json": "everything, for a program",
}


@dataclass(frozen=True)
class DescribeConfig:
    """See what is in a data set, and what a model is made of."""

    dataset: str = "auto"
    """`fashion-mnist`, `digits`, or `auto`: Fashion-MNIST if it can be had, else digits."""
    data_dir: Path | None = None
    """Folder in torchvision's layout, never written to; else $TUNER_DATA_DIR, else the user's cache."""
    model: str = "cnn"
    """The model whose layers to print, with its default hyperparameters."""
    json: bool = False
    """Print one JSON document with all pixel columns."""


@dataclass(frozen=True)
class Description:
    """Everything the command prints."""

    dataset: Dataset
    statistics: Statistics
    model: str
    summary: ModelSummary


def describe(config: DescribeConfig) -> Description:
    """Return the description. Raises ConfigError for an unknown name, DataError for a bad file."""
    model = get_model(config.model)
    dataset = load_dataset(config.dataset, config.data_dir)
    summary = summarize(model.build(model.defaults or {}))
    return Description(dataset, collect_statistics(dataset), model.name, summary)


def to_json(description: Description) -> dict[str, Any]:
    """Return the description as plain values."""
    dataset = description.dataset
    mean, std = dataset.train.moments
    return {
        "dataset": dataset.name,
        "notice": dataset.notice,
        "hashes": dataset.identity,
        "shapes": {name: list(getattr(dataset, name).images.shape) for name in SPLITS},
        "dtypes": {"images": str(dataset.train.images.dtype), "labels": str(dataset.train.labels.dtype)},
        "train_mean": mean,
        "train_std": std,
        "class_names": list(dataset.train.class_names),
        **description.statistics.to_json(),
        "model": {"name": description.model, **asdict(description.summary)},
    }


def to_text(description: Description) -> str:
    """Return the description for people, one titled block after the other."""
    statistics = description.statistics
    blocks = {
        f"Data set: {description.dataset.name}": _shapes(description.dataset),
        "Train pixels, one column each": render_table(statistics.pixels),
        "Missing values": ", ".join(f"{name} {count}" for name, count in statistics.missing.items()),
        "Labels": _labels(description.dataset),
        "Images by class": statistics.balance.to_string(),
        "Duplicates": _duplicates(description),
        f"Model: {description.model}": _layers(description.summary),
    }
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{body}" for title, body in blocks.items())


def _shapes(dataset: Dataset) -> str:
    splits = ((name, getattr(dataset, name)) for name in SPLITS)
    lines = [f"{name:<5}  images {split.images.shape}  labels {split.labels.shape}" for name, split in splits]
    mean, std = dataset.train.moments
    lines.append(f"train pixels scaled to [0, 1]: mean {mean:.6f}, standard deviation {std:.6f}")
    lines += [f"{name}  {digest}" for name, digest in dataset.identity.items()]
    return "\n".join(lines)


def _labels(dataset: Dataset) -> str:
    return "\n".join(f"{label}  {name}" for label, name in enumerate(dataset.train.class_names))


def _duplicates(description: Description) -> str:
    found = description.statistics.duplicates
    images = len(description.dataset.test)
    return (
        f"{found.images} of {images} {found.split} images also occur in {found.reference}, "
        f"{found.other_label} of them with another label."
    )


def _layers(summary: ModelSummary) -> str:
    rows = [("layer", "type", "output shape", "parameters")]
    rows += [(layer.name, layer.type, _shape(layer.output_shape), f"{layer.parameters:,}") for layer in summary.layers]
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{a:<{width[0]}}  {b:<{width[1]}}  {c:<{width[2]}}  {d:>{width[3]}}" for a, b, c, d in rows]
    totals = f"{summary.total:,} parameters: {summary.trainable:,} trainable, {summary.non_trainable:,} not trainable"
    return "\n".join([*lines, "", totals])


def _shape(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else " x ".join(map(str, shape))


def run(args: Sequence[str] | None = None) -> None:
    """Print the description that the arguments ask for; a notice goes to stderr."""
    config = parse(DescribeConfig, args, prog="python -m tuner.describe", examples=_EXAMPLES)
    description = describe(config)
    if description.dataset.notice:
        print(f"NOTICE: {description.dataset.notice}", file=sys.stderr)
    print(json.dumps(to_json(description), indent=2) if config.json else to_text(description))


if __name__ == "__main__":
    main(run)
