"""The winner's retrainings as one answer: measured once on dev and test, when all of them have ended."""

from __future__ import annotations

import contextlib
from pathlib import Path

from torch import nn

from tuner.data.dataset import Dataset
from tuner.data.predictions import MAX_EXAMPLES, Predictions
from tuner.data.splits import as_split
from tuner.engine.worker import write_predictions
from tuner.errors import StorageError, TunerError
from tuner.io import storage
from tuner.io.files import hash_file
from tuner.journal.events import EnsembleMeasured, RetrainEnded
from tuner.journal.history import History
from tuner.models import ModelBuilder
from tuner.paths import RunPaths
from tuner.results.selection import ENSEMBLE, tuned_retrainings
from tuner.search.report import finite
from tuner.training.checkpoints import load_weights, save_model
from tuner.training.classifier import Classifier
from tuner.training.device import own_device
from tuner.training.lr_decay import without_schedule
from tuner.training.precision import resolve


def measure_ensemble(
    history: History, paths: RunPaths, dataset: Dataset, build: ModelBuilder, *, precision: str
) -> EnsembleMeasured | None:
    """Return the ensemble of the winner's retrainings, measured; None if fewer than two have ended.

    Its weights are written beside the retrainings'. It is computed in this process, in so many threads as torch takes.

    Raises:
        TunerError: if the weights of a retraining are missing or damaged.
        StorageError: if those of the ensemble cannot be written.
    """
    ended = tuned_retrainings(history)
    if len(ended) < 2:
        return None
    device = own_device()
    training = Classifier(
        build,
        without_schedule(ended[0].hparams),
        dataset.search_data(),
        seed=0,
        device=device,
        max_epochs=None,
        precision=resolve(precision, device),
    )
    model = training.ensemble([load_weights(weights_file(one, paths)) for one in ended]).to(device)
    weights = paths.retrain_checkpoints(ENSEMBLE, ended[0].seed) / Path(ended[0].weights).name
    sha256 = _write(model, paths, weights)
    splits = {"dev": dataset.dev, "test": dataset.test}
    found = {name: training.evaluate(split, model) for name, split in splits.items() if split is not None}
    evaluations = {name: finite(metrics) for name, metrics in found.items()}
    _keep_predictions(training, model, dataset, paths.location(weights.parent), paths.best_predictions.name)
    return EnsembleMeasured([one.seed for one in ended], evaluations, str(weights.relative_to(paths.root)), sha256)


def _keep_predictions(training: Classifier, model: nn.Module, dataset: Dataset, location: str, name: str) -> None:
    """Write what the ensemble answers on dev where its weights are; a disk that cannot take it costs nothing else."""
    if len(as_split(dataset.dev)) <= MAX_EXAMPLES:
        found = Predictions.of(dataset.dev, training.probabilities(dataset.dev, model))
        with contextlib.suppress(OSError):
            write_predictions(found, location, name)


def _write(model: nn.Module, paths: RunPaths, weights: Path) -> str:
    """Write the weights where those of the retrainings are, and return their sha256."""
    where = paths.location(weights.parent)
    place = storage.place(where)
    try:
        with place.scratch() as folder:
            made = folder / f"unfinished-{weights.name}"
            sha256 = save_model(model, made, {"format": "pt"})
            place.put(made, weights.name)
    except OSError as error:
        raise StorageError(f"no weights can be written in {where}: {storage.explain(error)}.") from error
    return sha256


def weights_file(measured: RetrainEnded | EnsembleMeasured, paths: RunPaths) -> Path:
    """Return the file with the weights, fetched from the run's bucket if it is not here.

    Raises:
        TunerError: if it is missing or damaged, or is none of the run's.
    """
    path = paths.root / measured.weights
    if not path.resolve().is_relative_to(paths.root.resolve()):
        raise TunerError(f"the weights of a retraining are {measured.weights!r}, which is no file of the run.")
    if paths.remote is not None and not path.exists():
        storage.fetch(storage.place(paths.remote), measured.weights, path)
    if not path.is_file() or hash_file(path) != measured.weights_sha256:
        raise TunerError(f"{path} is missing or damaged: its sha256 must be {measured.weights_sha256}.")
    return path
