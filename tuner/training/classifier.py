"""The built-in training loop: a classifier, an epoch at a time, resumable after each."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.data.splits import Split, as_split
from tuner.errors import ConfigError, DataError, TunerError
from tuner.models import DataShape, ModelBuilder, ModelSpec
from tuner.training.averaging import AveragedModel
from tuner.training.batches import Batches, Normalisation
from tuner.training.ensemble import Ensemble, as_measured
from tuner.training.evaluate import autocast, evaluate, predict
from tuner.training.hparams import TrainingHparams
from tuner.training.initialise import build_seeded, choose_memory_format
from tuner.training.lr_decay import LearningRate
from tuner.training.optimizers import build_optimizer, load_optimizer, set_learning_rate
from tuner.training.step import Step, build_step, cross_entropy
from tuner.training.trainable import TrainableSpec

_STEPS_BETWEEN_CHECKS = 100
"""Asking for the loss waits for the device; asking this rarely costs nothing and still ends a divergence soon."""

_STATISTICS_EXAMPLES = 4096
"""Examples on which averaged weights measure their batch norm's statistics; on 50,000 a fortieth of an epoch's cost."""


class NonFiniteLossError(TunerError):
    """The training diverged: its loss is infinite or not a number."""


class ClassifierData(Protocol):
    """What is trained on and judged by; each split is one that `as_split` takes."""

    @property
    def train(self) -> Any:
        """The examples to learn from."""

    @property
    def dev(self) -> Any:
        """The examples to judge by."""


class Classifier:
    """A model in training and everything a checkpoint must hold of it.

    Epoch e of seed s draws its batch order, augmentation and dropout from streams derived from (s, e), so no random
    state is saved, and a resumed training equals an uninterrupted one bit for bit on a CPU.
    """

    def __init__(
        self,
        build: ModelBuilder,
        hparams: Mapping[str, Any],
        data: ClassifierData,
        *,
        seed: int,
        device: torch.device,
        max_epochs: int | None,
        precision: torch.dtype,
        is_static: bool = False,
    ) -> None:
        """Prepare to train a model of `build` on `data.train`, judged on `data.dev`.

        `max_epochs` is the horizon of `lr_decay`; who trains fewer stops early, who trains more goes on at its end.
        `is_static`: the model's, as `ModelSpec` tells.

        Raises:
            ConfigError: if a training hyperparameter breaks its law, or the model does not take the data.
            DataError: if the splits are not arrays of inputs and labels.
        """
        self._hparams = TrainingHparams.of(hparams)
        train, dev = as_split(data.train), as_split(data.dev)
        shape = data_shape(train, dev)
        _check_images(self._hparams, shape)
        self._normalisation = Normalisation.of(train)
        self._device = device
        self._precision = precision
        self._trained = build_seeded(build, hparams, shape, seed).to(device)
        self._memory_format = choose_memory_format(self._trained, shape, device=device, precision=precision)
        self._splits = data
        self._train, self._dev = self._batches(train), self._batches(dev)
        steps = self._train.steps(self._hparams.batch_size)
        self._recorded = is_static and device.type == "cuda"
        self._optimizer = build_optimizer(self._trained, self._hparams, recorded=self._recorded)
        self._step = self._build_step()
        self._learning_rate = LearningRate(self._hparams, steps, max_epochs)
        averaged = self._hparams.averaged_epochs * steps
        self._averaged = AveragedModel(self._trained, averaged) if averaged else None
        self._seed = seed
        self._epoch = 0

    @property
    def model(self) -> nn.Module:
        """The model that is kept: the one in training, or the one of averaged weights."""
        return self._trained if self._averaged is None else self._averaged.model

    @property
    def answering_model(self) -> nn.Module:
        """What answers where the training is measured and used: the model, with mirrored images too if that is so."""
        return as_measured(self.model, self._hparams)

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch, measure dev, and return the metrics.

        Losses are mean cross-entropies in nats without label smoothing, accuracies fractions. Those of train are over
        the epoch as it went, in training mode, as Keras reports them. `lr` is that of the epoch's last step.

        Raises:
            NonFiniteLossError: if the loss is not finite; the training cannot go on.
        """
        train_loss, train_accuracy = self._train_epoch()
        if self._averaged is not None:
            self._measure_statistics(self._averaged)
        dev = evaluate(self.answering_model, self._dev, device=self._device, precision=self._precision)
        if not math.isfinite(dev.loss):
            raise NonFiniteLossError(f"the dev loss is {dev.loss} in epoch {self._epoch + 1}.")
        self._epoch += 1
        return {
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "dev_loss": dev.loss,
            "dev_accuracy": dev.accuracy,
            "lr": self._learning_rate.at_end(self._epoch - 1),
        }

    def evaluate(self, split: Any, model: nn.Module | None = None) -> dict[str, float]:
        """Return `accuracy`, `loss` and `n` of a split that `as_split` takes; raises DataError for another.

        `model` is measured in place of the training's own, in the same way: mirrored if that is.
        """
        batches = self._batches_of(split)
        judged = as_measured(model or self.model, self._hparams)
        found = evaluate(judged, batches, device=self._device, precision=self._precision)
        return {"accuracy": found.accuracy, "loss": found.loss, "n": found.n}

    def probabilities(self, split: Any, model: nn.Module | None = None) -> NDArray[np.float32]:
        """Return the probabilities [n, classes] of a split; `model` and what is raised as in `evaluate`."""
        batches = self._batches_of(split)
        judged = as_measured(model or self.model, self._hparams)
        return predict(judged, batches, device=self._device, precision=self._precision)

    def ensemble(self, weights: Sequence[Mapping[str, Tensor]]) -> Ensemble:
        """Return the ensemble of models like the training's own with these weights, each a model's state."""
        members = [copy.deepcopy(self.model) for _ in weights]
        for member, state in zip(members, weights, strict=True):
            member.load_state_dict(state)
        return Ensemble(members)

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last epoch, tensors and plain values only; the tensors are the live ones."""
        return {
            "epoch": self._epoch,
            "model": self._trained.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "averaged": None if self._averaged is None else self._averaged.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self._trained.load_state_dict(state["model"])
        load_optimizer(self._optimizer, state["optimizer"])
        self._step = self._build_step()  # a recorded one knows the optimizer's state by its place
        if self._averaged is not None:
            self._averaged.load_state_dict(state["averaged"])
        self._epoch = int(state["epoch"])

    def _build_step(self) -> Step:
        return build_step(
            self._trained,
            self._optimizer,
            label_smoothing=self._hparams.label_smoothing,
            device=self._device,
            precision=self._precision,
            recorded=self._recorded,
        )

    def _batches_of(self, split: Any) -> Batches:
        """Return a split's batches; those of the training's own are on its device already, which may lack room for two.

        Raises:
            DataError: if it is none that `as_split` takes.
        """
        if split is self._splits.train:
            return self._train
        return self._dev if split is self._splits.dev else self._batches(as_split(split))

    def _batches(self, split: Split) -> Batches:
        return Batches(split, self._normalisation, self._device, self._memory_format)

    def _measure_statistics(self, averaged: AveragedModel) -> None:
        with autocast(self._device, self._precision):
            inputs = self._train.drawn(_STATISTICS_EXAMPLES, self._hparams.batch_size)
            averaged.measure_statistics(self._trained, inputs)

    def _train_epoch(self) -> tuple[float, float]:
        """Return the mean loss and the accuracy over the epoch as it went."""
        order_seed, dropout_seed = _epoch_seeds(self._seed, self._epoch)
        generator = torch.Generator().manual_seed(order_seed)
        augmentation, mixing = self._hparams.augmentation(), self._hparams.mixing()
        loss = torch.zeros((), dtype=torch.float64, device=self._device)
        correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self._trained.train()
        # Dropout draws from torch's global generator and takes no other.
        with torch.random.fork_rng(devices=_cuda_devices(self._device)):
            torch.manual_seed(dropout_seed)
            batches = self._train.shuffled(self._hparams.batch_size, augmentation, generator)
            for step, (inputs, labels) in enumerate(batches):
                mixed = mixing(inputs, labels, generator)
                set_learning_rate(self._optimizer, self._learning_rate.at(self._epoch, step))
                logits = self._step(mixed)
                if self._averaged is not None:
                    self._averaged.update(self._trained)
                loss += cross_entropy(logits, mixed, reduction="sum")
                correct += (logits.argmax(1) == labels).sum()
                if step % _STEPS_BETWEEN_CHECKS == 0:
                    self._check_finite(loss)
        self._check_finite(loss)
        return loss.item() / len(self._train), correct.item() / len(self._train)

    def _check_finite(self, loss: Tensor) -> None:
        if not math.isfinite(loss.item()):
            raise NonFiniteLossError(f"the train loss is {loss.item()} in epoch {self._epoch + 1}.")


def classifier_of(model: ModelSpec) -> TrainableSpec:
    """Return how to make trainings of a model by the built-in loop."""
    make = partial(Classifier, model.build, is_static=model.is_static)
    return TrainableSpec(model.name, make, saves_state=True, tells_probabilities=True)


def data_shape(train: Split, dev: Split) -> DataShape:
    """Return what a model must fit that learns from `train` and is judged by `dev`."""
    tokens = None if train.tokens is None else max(train.tokens, dev.tokens or 0)
    return DataShape(train.input_shape, max(train.classes, dev.classes), tokens)


def check_splits(splits: Mapping[str, Any]) -> None:
    """Raise DataError if the splits, by name, do not fit each other: `train`, `dev` and, if there is one, `test`."""
    found = {name: _as_named_split(name, split) for name, split in splits.items()}
    named = {name: split.class_names for name, split in found.items() if split.class_names}
    if len(set(named.values())) > 1:
        told = "; ".join(f"{name} has {', '.join(names)}" for name, names in named.items())
        raise DataError(f"a label must mean the same class in all splits, but their class names differ: {told}.")
    train = found["train"]
    for name, split in found.items():
        if split.input_shape != train.input_shape:
            shapes = f"{list(split.input_shape)}, but those of the train split {list(train.input_shape)}"
            raise DataError(f"the {name} split's inputs have shape {shapes}.")
        if _kind(split) != _kind(train):
            kinds = f"{_kind(split)} ({split.images.dtype}), but those of the train split {_kind(train)}"
            raise DataError(f"the {name} split's inputs are {kinds} ({train.images.dtype}).")
    if "test" in found:
        check_test(found["test"], data_shape(train, found["dev"]))


def _kind(split: Split) -> str:
    """Return what inputs are taken for: by it they are scaled and normalised, looked up, or left as they are."""
    if split.has_pixels:
        return "pixels"
    return "numbers as they are" if split.tokens is None else "tokens"


def check_test(test: Any, shape: DataShape) -> None:
    """Raise DataError if the test split cannot be read by a model of that shape, by its form alone.

    It is measured when the whole budget is spent, and what is wrong with it should not be found out then.
    """
    split = _as_named_split("test", test)
    if split.input_shape != shape.input_shape:
        found, wanted = list(split.input_shape), list(shape.input_shape)
        raise DataError(f"the test split's inputs have shape {found}, but those of the train split {wanted}.")
    if split.classes > shape.classes:
        law = f"train and dev have classes from 0 to {shape.classes - 1}"
        raise DataError(f"the test split has class {split.classes - 1}, but {law}.")
    if shape.tokens is not None and (split.tokens or 0) > shape.tokens:
        law = f"train and dev have tokens from 0 to {shape.tokens - 1}"
        raise DataError(f"the test split has token {(split.tokens or 0) - 1}, but {law}.")


def _as_named_split(name: str, split: Any) -> Split:
    try:
        return as_split(split)
    except DataError as error:
        raise DataError(f"the {name} split does not fit: {error}") from error


def _check_images(hparams: TrainingHparams, shape: DataShape) -> None:
    name = hparams.needs_images()
    if name is not None and len(shape.input_shape) != 3:
        value = getattr(hparams, name)
        kind = f"the inputs have shape {list(shape.input_shape)}"
        raise ConfigError(f"{name} is {value!r}, but {kind}, and only images [channels, height, width] can have that.")
    if hparams.mixup and shape.tokens is not None:
        raise ConfigError(f"mixup is {hparams.mixup!r}, but the inputs are tokens, which cannot be blended.")


def _epoch_seeds(seed: int, epoch: int) -> tuple[int, int]:
    order, dropout = np.random.SeedSequence([seed, epoch]).generate_state(2)
    return int(order), int(dropout)


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
