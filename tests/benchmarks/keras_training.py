"""The reference CNN in Keras, as the student project has it, and what its users add to tune it.

Run by `tests/benchmarks/keras_child.py` in an environment that has Keras and TensorFlow, and not `tuner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

PIXELS, CLASSES = 28, 10
_EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Split:
    """Images [n, 28, 28, 1] of bytes, and their classes [n, 10], one-hot."""

    images: np.ndarray[Any, Any]
    classes: np.ndarray[Any, Any]


def splits_of(file: Path) -> dict[str, Split]:
    """Return the splits that `save` has written."""
    with np.load(file) as arrays:
        names = {name.rpartition("_")[0] for name in arrays}
        return {
            name: Split(
                arrays[f"{name}_images"][..., None], keras.utils.to_categorical(arrays[f"{name}_labels"], CLASSES)
            )
            for name in names
        }


def model_of(hparams: Mapping[str, Any]) -> keras.Model:
    """Return the CNN, compiled: 1,813,050 parameters with the reference's hyperparameters."""
    parts: list[Any] = [keras.Input((PIXELS, PIXELS, 1)), *_augmentation(hparams), layers.Rescaling(1 / 255)]
    parts += [_conv(hparams["stem1_width"]), _conv(hparams["stem2_width"])]
    for number in (1, 2, 3, 4):
        width, dropout = hparams[f"block{number}_width"], hparams.get(f"block{number}_dropout")
        parts += [_conv(width), _conv(width), layers.BatchNormalization(), layers.MaxPooling2D()]
        parts += [layers.Dropout(dropout)] if dropout is not None else []
    parts += [_conv(hparams["head_width"]), layers.Dropout(hparams["head_dropout"])]
    parts += [layers.MaxPooling2D(padding="same"), layers.Flatten()]
    for name in ("dense1", "dense2"):
        parts += [layers.Dense(hparams[f"{name}_width"], activation="relu"), layers.BatchNormalization()]
        parts += [layers.Dropout(hparams[f"{name}_dropout"])]
    model = keras.Sequential([*parts, layers.Dense(CLASSES, activation="softmax")])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=hparams.get("label_smoothing", 0.0))
    model.compile(_optimizer(hparams), loss, metrics=["accuracy"])
    return model


def _conv(width: int) -> Any:
    return layers.Conv2D(width, 3, padding="same", activation="relu")


def _augmentation(hparams: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    if hparams.get("shift"):
        found.append(layers.RandomTranslation(*2 * [hparams["shift"] / PIXELS], fill_mode="constant"))
    if hparams.get("flip"):
        found.append(layers.RandomFlip("horizontal"))
    if hparams.get("erasing"):  # two equal numbers are the probability itself; one would be the most that is drawn
        found.append(layers.RandomErasing(2 * (hparams["erasing"],), fill_value=0.0))
    return found


def _optimizer(hparams: Mapping[str, Any]) -> Any:
    rate = hparams.get("learning_rate", 0.01)
    if hparams.get("optimizer", "adam") == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.AdamW(rate, weight_decay=hparams["weight_decay"])


def decay_of(hparams: Mapping[str, Any]) -> Any:
    """Return the callback by which the learning rate falls to a tenth in `decay_epochs`."""
    rate, epochs = hparams.get("learning_rate", 0.01), hparams.get("decay_epochs", 10.0)
    return keras.callbacks.LearningRateScheduler(lambda epoch: rate * 0.1 ** (epoch / epochs))


class KerasTraining:
    """The CNN, trained epoch by epoch."""

    def __init__(self, hparams: Mapping[str, Any], train: Split, dev: Split, seed: int) -> None:
        """Prepare to train the CNN with `hparams` on `train`, and to measure on `dev`."""
        keras.utils.set_random_seed(seed)
        self.model = model_of(hparams)
        self._hparams, self._train, self._dev, self._epochs = hparams, train, dev, 0

    def train_epoch(self) -> float:
        """Train an epoch and return the accuracy on dev."""
        self.model.fit(
            self._train.images,
            self._train.classes,
            batch_size=self._hparams["batch_size"],
            initial_epoch=self._epochs,
            epochs=self._epochs + 1,
            callbacks=[decay_of(self._hparams)],
            verbose=0,
        )
        self._epochs += 1
        return self.accuracy(self._dev)

    def accuracy(self, split: Split) -> float:
        """Return the share of the images that are classified correctly."""
        found = self.model.evaluate(split.images, split.classes, _EVALUATION_BATCH, verbose=0, return_dict=True)
        return float(found["accuracy"])
