"""What can be tuned: the protocol of a training, and making one of a class or of a generator function."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from tuner.errors import SpaceError

_GIVEN = ("seed", "device")
_OPTIONAL = ("max_epochs", "precision")
"""Arguments that a training gets if its signature names them."""
_STATE_METHODS = ("state_dict", "load_state_dict")


class Trainable(Protocol):
    """A training of one configuration, an epoch at a time. A class with these methods is one; it need not inherit.

    `__init__` may also take `max_epochs`, the epochs of a full training, and `precision`, the `torch.dtype` to compute
    in; it gets them if its signature names them.

    A training with two more methods, `state_dict()` and `load_state_dict(state)`, can pause and go on, in another
    process too. Its state holds plain values, NumPy arrays and tensors, in dictionaries, lists and tuples. Without
    them a trial that loses its worker begins again, none is ever paused, and the last epoch is kept, not the best.

    A training that holds more than memory, such as a thread, may have a method `close()`, which is called when it will
    not go on.

    One that classifies may have a method `probabilities(split)`, which returns an array [n, classes] for a split that
    is a pair (inputs, labels): then the report has a confusion matrix and the most wrong dev examples.

    Around `__init__` and each epoch, the global generators of Python, NumPy and torch are seeded by the trial's seed
    and the epoch, so an epoch draws the same random numbers whether or not it was interrupted before.
    """

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device) -> None:
        """Prepare to train on `data.train`, judged on `data.dev`; there is no `data.test`."""

    def train_epoch(self) -> Mapping[str, float]:
        """Train one epoch and return its metrics, the objective's among them.

        Raises `TrainingOver` if there is no further epoch.
        """

    def evaluate(self, split: Any) -> Mapping[str, float]:
        """Return the metrics of what was trained on `split`: the data's train, dev or test."""


TrainingFunction = Callable[..., Generator[Mapping[str, float], None, Callable[[Any], Mapping[str, float]] | None]]
"""A training as a generator: `def train(hparams, data, *, seed, device)`, a yield of metrics for each epoch.

It takes the optional arguments of a `Trainable` too. It may return a function that evaluates a split; one that does so
takes `max_epochs`, for it must end by itself. It has no state to save.
"""


class TrainingOver(Exception):  # noqa: N818 - it is no error
    """A training has no further epoch, although `max_epochs` would allow one."""


@dataclass(frozen=True)
class TrainableSpec:
    """How to make the training of a configuration."""

    name: str
    factory: Callable[..., Any]
    """Makes a `Trainable` from `(hparams, data, *, seed, device)` and those of the optional arguments it names."""
    saves_state: bool
    """Whether its trainings have a state that can be saved and gone on from."""
    tells_probabilities: bool = False
    """Whether they have the method `probabilities`."""
    is_generator: bool = False
    """Whether they are a generator's, which can be evaluated only when it has returned."""

    @property
    def takes_precision(self) -> bool:
        """Whether it is told what numbers to compute with."""
        return "precision" in _optional_names(self.factory)

    @property
    def takes_max_epochs(self) -> bool:
        """Whether it is told how many epochs there will be, so that what it does in the first may depend on it."""
        return "max_epochs" in _optional_names(self.factory)

    @property
    def ends(self) -> bool:
        """Whether its trainings can be evaluated after as many epochs as they were told to have."""
        # Who takes whatever there is (`**rest`) need not end by it.
        return not self.is_generator or "max_epochs" in inspect.signature(self.factory).parameters

    def make(
        self,
        hparams: Mapping[str, Any],
        data: Any,
        *,
        seed: int,
        device: torch.device,
        max_epochs: int,
        precision: torch.dtype,
    ) -> Trainable:
        """Return a new training, with a copy of the hyperparameters: those given are the record, whatever it does."""
        optional = {"max_epochs": max_epochs, "precision": precision}
        chosen = {name: optional[name] for name in _optional_names(self.factory)}
        training: Trainable = self.factory(copy.deepcopy(hparams), data, seed=seed, device=device, **chosen)
        return training


def trainable_of(trainable: Any) -> TrainableSpec:
    """Return how to make trainings of a user's class or generator function.

    Raises:
        SpaceError: if it is neither, cannot be called as agreed, or lacks a method.
    """
    name = getattr(trainable, "__name__", repr(trainable))
    if inspect.isgeneratorfunction(trainable):
        _check_signature(name, trainable)
        return TrainableSpec(name, _FromGenerator(trainable), saves_state=False, is_generator=True)
    if not inspect.isclass(trainable):
        raise SpaceError(f"TRAINABLE is {name}, but must be a class or a generator function.")
    lacking = [method for method in ("train_epoch", "evaluate") if not callable(getattr(trainable, method, None))]
    if lacking:
        raise SpaceError(f"TRAINABLE is the class {name}, but lacks {lacking[0]}().")
    has_state = [callable(getattr(trainable, method, None)) for method in _STATE_METHODS]
    if any(has_state) and not all(has_state):
        raise SpaceError(f"TRAINABLE is the class {name}, but has only one of state_dict() and load_state_dict().")
    _check_signature(name, trainable)
    tells_probabilities = callable(getattr(trainable, "probabilities", None))
    return TrainableSpec(name, trainable, all(has_state), tells_probabilities)


class GeneratorTraining:
    """A generator's epochs behind the methods of a `Trainable`."""

    def __init__(self, epochs: Generator[Mapping[str, float], None, Any]) -> None:
        """Train by advancing `epochs`."""
        self._epochs = epochs
        self._evaluate: Callable[[Any], Mapping[str, float]] | None = None

    def train_epoch(self) -> Mapping[str, float]:
        """Let the generator train its next epoch; raises TrainingOver if it has returned."""
        try:
            return next(self._epochs)
        except StopIteration as end:
            self._evaluate = end.value
            raise TrainingOver from None

    def evaluate(self, split: Any) -> Mapping[str, float]:
        """Evaluate with what the generator returned; empty if it returned nothing."""
        if inspect.getgeneratorstate(self._epochs) == inspect.GEN_SUSPENDED:
            self._end()
        return {} if self._evaluate is None else self._evaluate(split)

    def close(self) -> None:
        """End the generator where it waits."""
        self._epochs.close()

    def _end(self) -> None:
        """Let the generator return; one that would train on is closed."""
        try:
            self.train_epoch()
        except TrainingOver:
            return
        self._epochs.close()


@dataclass(frozen=True)
class _FromGenerator:
    function: TrainingFunction

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> GeneratorTraining:
        return GeneratorTraining(self.function(*args, **kwargs))


def _check_signature(name: str, trainable: Callable[..., Any]) -> None:
    try:
        given = dict.fromkeys([*_GIVEN, *_optional_names(trainable)])
        inspect.signature(trainable).bind({}, None, **given)
    except TypeError as error:
        raise SpaceError(f"TRAINABLE {name} must take (hparams, data, *, seed, device), but: {error}.") from error


def _optional_names(factory: Callable[..., Any]) -> list[str]:
    """Return those optional arguments that the factory takes."""
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    return [name for name in _OPTIONAL if takes_any or name in parameters]
