"""Keras and Keras Tuner, run by `tests/benchmarks/keras_peer.py` in an environment that has nothing of ours.

`search` lets Keras Tuner's Hyperband search until a time, as its documentation has it: one process, which has all
cores. The space is that of the file in `search_spaces`, read with Keras Tuner's own hyperparameters. It has no way to
be given a start configuration. `retrain` trains one model on one core until a time. `epochs` trains an epoch for each
line that comes, and answers what it took.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from tests.benchmarks.epoch_log import say, train_until
from tests.benchmarks.keras_training import KerasTraining, decay_of, model_of, splits_of


class Suggestions:
    """Hyperparameters of Keras Tuner behind the calls that a search space makes on a trial of Optuna's."""

    def __init__(self, hp: keras_tuner.HyperParameters) -> None:
        """Ask `hp`."""
        self._hp = hp

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Ask for a number."""
        return float(self._hp.Float(name, low, high, step=step, sampling="log" if log else "linear"))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Ask for an integer."""
        return int(self._hp.Int(name, low, high, step=step, sampling="log" if log else "linear"))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Ask for a choice."""
        return self._hp.Choice(name, list(choices))


class Model(keras_tuner.HyperModel):  # type: ignore[misc]
    """The CNN and its training; each epoch is a line of the log."""

    def __init__(self, space: str, until: float, log: Path) -> None:
        """Train until the time `until`."""
        super().__init__()
        self._suggest = import_module(f"search_spaces.{space}").suggest
        self._until, self._log = until, log

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the untrained model."""
        return model_of(self._suggest(Suggestions(hp)))

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train it for the epochs that Hyperband wants."""
        hparams = self._suggest(Suggestions(hp))
        callbacks = [*kwargs.pop("callbacks"), decay_of(hparams), EpochLog(hparams, self._until, self._log)]
        return model.fit(*args, batch_size=hparams["batch_size"], callbacks=callbacks, **kwargs)


class EpochLog(keras.callbacks.Callback):  # type: ignore[misc]
    """A line for each epoch, and the end of the search when the time is over."""

    def __init__(self, hparams: Mapping[str, Any], until: float, log: Path) -> None:
        super().__init__()
        self._hparams, self._until, self._log = hparams, until, log

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the line."""
        assert logs is not None
        say(self._log, epoch=epoch + 1, dev_accuracy=logs["val_accuracy"], hparams=self._hparams)
        if time.time() > self._until:
            raise keras_tuner.errors.FatalError


def search(arguments: argparse.Namespace) -> None:
    """Let Hyperband search until the time is over."""
    data = splits_of(arguments.data)
    tuner = keras_tuner.Hyperband(
        Model(arguments.space, arguments.until, arguments.log),
        keras_tuner.Objective("val_accuracy", "max"),
        max_epochs=arguments.epochs,
        hyperband_iterations=None,  # as often as there is time for
        seed=arguments.seed,
        directory=tempfile.mkdtemp(prefix="keras-tuner-"),
    )
    train, dev = data["train"], data["dev"]
    try:
        tuner.search(train.images, train.classes, validation_data=(dev.images, dev.classes), verbose=0)
    except keras_tuner.errors.FatalError:
        assert time.time() > arguments.until, "it is the log that raises it, when the time is over"


def retrain(arguments: argparse.Namespace) -> None:
    """Train as many epochs as there is time for, and say how good the weights of the best one are."""
    _on_one_core()
    data, hparams, log = splits_of(arguments.data), json.loads(arguments.hparams), arguments.log
    training = KerasTraining(hparams, data["train"], data["dev"], arguments.seed)
    told = {"seed": arguments.seed, "hparams": hparams}
    model = training.model
    epoch, best, weights = train_until(arguments.until, training.train_epoch, model.get_weights, log, **told)
    model.set_weights(weights)
    say(log, epochs=epoch, dev_accuracy=best, test_accuracy=training.accuracy(data["test"]), **told)


def epochs(arguments: argparse.Namespace) -> None:
    """Train an epoch for each line, and answer its seconds by the clock and of the processor."""
    _on_one_core()
    data = splits_of(arguments.data)
    training = KerasTraining(json.loads(arguments.hparams), data["train"], data["dev"], arguments.seed)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        training.train_epoch()
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answer = {**seconds, "parameters": training.model.count_params()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _on_one_core() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def main() -> None:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["search", "retrain", "epochs"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--space")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--hparams")
    parser.add_argument("--until", type=float)
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    {"search": search, "retrain": retrain, "epochs": epochs}[arguments.what](arguments)


if __name__ == "__main__":
    main()
