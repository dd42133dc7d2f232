"""The command `python -m tuner.export RUN --to FORMAT`: a run's results, or its model, for other tools."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tuner.cli import Run, main, parse
from tuner.errors import ConfigError, StorageError
from tuner.io import storage
from tuner.io.files import write_text
from tuner.io.masking import mask_passwords
from tuner.io.reading import reading_run
from tuner.journal.history import read_history
from tuner.journal.store import read_journal
from tuner.paths import SQLITE, RunPaths
from tuner.results.model_card import model_card

Format = Literal["optuna", "csv", "tensorboard", "mlflow", "onnx", "pt2", "torchscript"]
_IN_FOLDERS = ("csv", "tensorboard")
"""Formats of several files."""
_EXAMPLES = {
    "runs/NAME --to optuna": "a study that optuna-dashboard shows",
    "runs/NAME --to csv --out tables": "trials, epochs and final results as CSV files",
    "runs/NAME --to onnx --out model.onnx": "the model, checked against the original",
}


@dataclass(frozen=True)
class ExportConfig:
    """Write a run's results for other tools, or its model in a format that other programs load."""

    run: Run
    """The run's folder, or its s3://bucket/prefix, which is only read."""
    to: Format
    """`optuna` (a storage that optuna-dashboard opens), `csv` (the tables), `tensorboard` or `mlflow` (what `--track`
    would have sent; only what is lacking is written), or the model: `onnx`, `pt2` (torch.export), `torchscript`."""
    out: Path | None = None
    """Where to write: a file, a folder for csv and tensorboard; by default below the run's folder. For mlflow the
    environment says where, and this is a SQLite file in its place."""
    space: str | None = None
    """For a model of a search space's own: that space's file, if it is elsewhere now. It is run as code."""


def export(run: str | Path, to: Format, out: Path | None = None, space: str | None = None) -> list[str]:
    """Do the export and return what there is to tell: what was written, and how to open it.

    Raises:
        ConfigError: if the format is unknown, lacks a package, or a place is needed.
        JournalError: if there is no run or its journal is damaged.
        StorageError: if nothing can be written there, there is no retrained model, or it answers otherwise in the new
            format.
    """
    if to not in get_args(Format):
        raise ConfigError(f"--to is {to!r}, but must be one of: {', '.join(get_args(Format))}.")
    if out is None and storage.address("RUN", run) is not None:
        raise ConfigError(f"--out is missing: {run} is only read, so say where to write.")
    if out is not None and to not in _IN_FOLDERS and out.is_dir():
        raise ConfigError(f"--out is {str(out)!r}, a folder, but {to} is written to a file: give its path.")
    with reading_run(run) as paths:
        try:
            return _EXPORTS.get(to, _model)(paths, to, out, space)
        except OSError as error:
            raise StorageError(f"{error.filename or out} cannot be written: {error.strerror or error}.") from error


def run(args: Sequence[str] | None = None) -> None:
    """Do what the arguments ask for and tell of it."""
    config = parse(ExportConfig, args, prog="python -m tuner.export", examples=_EXAMPLES)
    print("\n".join(export(config.run, config.to, config.out, config.space)))


def _optuna(paths: RunPaths, to: str, out: Path | None, space: str | None) -> list[str]:
    from sqlalchemy.engine import URL

    from tuner.results.optuna_study import to_study  # which waits for Optuna

    if out is not None and str(out).startswith("sqlite:"):
        raise ConfigError(f"--out is {str(out)!r}, but must be the path of a file, which will be a SQLite storage.")
    path = out or paths.exports / "optuna.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    # As it is, a path with a question mark would be cut there.
    address, name = URL.create("sqlite", database=str(path)).render_as_string(), paths.root.resolve().name
    study = to_study(read_history(paths.journal), address, name)
    return [
        f"{path}: the study {name!r} with {len(study.trials)} trials.",
        f"Look at it with: optuna-dashboard {shlex.quote(address)}",
    ]


def _csv(paths: RunPaths, to: str, out: Path | None, space: str | None) -> list[str]:
    from tuner.results.csv_tables import write_csv

    return [str(path) for path in write_csv(read_history(paths.journal), out or paths.exports / "csv")]


def _tensorboard(paths: RunPaths, to: str, out: Path | None, space: str | None) -> list[str]:
    from tuner.integrations.trackers import trackers
    from tuner.results.told import tell_all

    trackers([to], "--to")
    from tuner.integrations.trackers.tensorboard import Tracker

    # In a folder of its own: trials of another run have the same numbers, and the two are looked at side by side.
    name = paths.root.resolve().name
    tell_all(Tracker(out and out / name), read_journal(paths.journal), name, paths.root)
    return [f"Look at it with: tensorboard --logdir {shlex.quote(str(out or paths.trackers / to))}"]


def _mlflow(paths: RunPaths, to: str, out: Path | None, space: str | None) -> list[str]:
    from tuner.integrations.trackers import trackers
    from tuner.results.told import tell_all

    trackers([to], "--to")
    from tuner.integrations.trackers.mlflow import Tracker

    tracker = Tracker(None if out is None else f"{SQLITE}{out}")
    try:
        tell_all(tracker, read_journal(paths.journal), paths.root.resolve().name, paths.root)
    except Exception as error:
        from mlflow.exceptions import MlflowException  # not before the tracker has said how to import MLflow

        if not isinstance(error, MlflowException):
            raise
        reason = mask_passwords(" ".join(str(error).split()))
        raise StorageError(f"MLflow cannot be written: {reason}") from None  # which quotes the password
    return [_look_at(str(tracker.uri))]


def _look_at(uri: str) -> str:
    """Return where MLflow has it; the address of a server may hold a password, which the screen need not show."""
    if uri.startswith(SQLITE):
        return f"Look at it with: mlflow ui --backend-store-uri {uri}"
    return "Sent to where MLFLOW_TRACKING_URI says."


def _model(paths: RunPaths, to: str, out: Path | None, space: str | None) -> list[str]:
    from tuner.engine.model_formats import FORMATS, export_model  # torch takes seconds to import
    from tuner.predict import load_model
    from tuner.results.best import read_description

    description = read_description(paths)
    path = out or paths.exports / f"model{FORMATS[to].suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    worst = export_model(load_model(paths, space), description, to, path)
    shape = ", ".join(map(str, ("n", *description.input_shape)))
    inputs = f"tokens, int64 [{shape}]" if description.tokens is not None else f"float32 [{shape}]"
    if description.mean is not None:
        by = " by channel" if len(description.means) > 1 else ""
        inputs += f", pixels scaled to 0..1, minus {description.mean!r}, divided by {description.std!r}{by}"
    checked = f"Its logits differ from the original's by at most {worst:.1g}."
    use = FORMATS[to].use.replace("FILE", path.name)
    card = model_card(read_history(paths.journal), paths.root.resolve().name, is_of_images=description.is_of_images)
    about = f"## The file {path.name}\n\nInputs: {inputs}. {checked}\n\n```python\n{use}\n```\n"
    beside = path.with_name(f"{path.name}.md")
    write_text(beside, f"{card or ''}\n{about}".lstrip())
    return [f"{path}: {checked}", f"{beside}: how to use it, and its model card."]


_EXPORTS: Mapping[str, Callable[[RunPaths, str, Path | None, str | None], list[str]]] = {
    "optuna": _optuna,
    "csv": _csv,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
}
"""What is no model, by name."""


if __name__ == "__main__":
    main(run)
