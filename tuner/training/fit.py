"""The training loop: one model, an epoch at a time, resumable after each."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuner.data.dataset import SearchData
from tuner.errors import TunerError
from tuner.training.batches import Batches
from tuner.training.evaluate import autocast, evaluate
from tuner.training.hparams import TrainingHparams
from tuner.training.lr_decay import learning_rate

_STEPS_BETWEEN_CHECKS = 100
"""Asking for the loss waits for the device; asking this rarely costs nothing and still ends a divergence soon."""


class NonFiniteLossError(TunerError):
    """The training diverged: its loss is infinite or not a number."""


@dataclass(frozen=True)
class EpochReport:
    """What an epoch brought. Losses are mean cross-entropies in nats without label smoothing."""

    epoch: int
    """Finished epochs, from 1."""
    train_loss: float
    """Over the epoch as it went, in training mode, as Keras reports it."""
    train_accuracy: float
    """Likewise; a fraction."""
    dev_loss: float
    dev_accuracy: float
    lr: float
    seconds: float
    """Training and evaluation together."""


class Training:
    """A model in training and everything a checkpoint must hold of it.

    Epoch e of seed s draws its batch order, augmentation and dropout from streams derived from (s, e), so no random
    state is saved, and a resumed training equals an uninterrupted one bit for bit on a CPU.
    """

    def __init__(
        self,
        model: nn.Module,
        hparams: Mapping[str, Any],
        splits: SearchData,
        *,
        seed: int,
        max_epochs: int,
        patience: int | None,
        device: torch.device,
        precision: torch.dtype,
        keep_best: bool,
    ) -> None:
        """Prepare to train `model` on `splits.train`, judged on `splits.dev`.

        `patience`: finished after so many epochs without a better dev accuracy. `keep_best`: keep a copy of the best
        epoch's weights for `restore_best`.

        Raises:
            ConfigError: if a training hyperparameter breaks its law.
        """
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._hparams = TrainingHparams.of(hparams)
        mean, std = splits.train.moments
        self._train = Batches(splits.train, mean, std, device)
        self._dev = Batches(splits.dev, mean, std, device)
        self._optimizer = _build_optimizer(self.model, self._hparams)
        self._seed = seed
        self._max_epochs = max_epochs
        self._patience = patience
        self._device = device
        self._precision = precision
        self._keep_best = keep_best
        self._best_weights: dict[str, Tensor] | None = None
        self.reports: list[EpochReport] = []
        """Of all finished epochs."""

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.reports)

    @property
    def best(self) -> EpochReport | None:
        """The epoch with the highest dev accuracy, the earliest of equals; None before the first."""
        return max(self.reports, key=lambda report: report.dev_accuracy, default=None)

    @property
    def finished(self) -> bool:
        """Whether `max_epochs` are done, or `patience` epochs brought nothing better."""
        best = self.best
        stuck = self._patience is not None and best is not None and self.epoch - best.epoch >= self._patience
        return self.epoch >= self._max_epochs or stuck

    def run_epoch(self) -> EpochReport:
        """Train one epoch, measure dev, and return the report.

        Raises:
            NonFiniteLossError: if the loss is not finite; the training cannot go on.
        """
        started = time.perf_counter()
        lr = learning_rate(self.epoch, self._hparams.learning_rate, self._hparams.decay_epochs)
        train_loss, train_accuracy = self._train_epoch(lr)
        dev = evaluate(self.model, self._dev, device=self._device, precision=self._precision)
        if not math.isfinite(dev.loss):
            raise NonFiniteLossError(f"the dev loss is {dev.loss} in epoch {self.epoch + 1}.")
        seconds = time.perf_counter() - started
        report = EpochReport(self.epoch + 1, train_loss, train_accuracy, dev.loss, dev.accuracy, lr, seconds)
        self.reports.append(report)
        if self._keep_best and self.best is report:
            self._best_weights = copy.deepcopy(self.model.state_dict())
        return report

    def restore_best(self) -> None:
        """Put the best epoch's weights back into the model; needs `keep_best`."""
        assert self._best_weights is not None
        self.model.load_state_dict(self._best_weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last finished epoch: tensors and plain values only."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best_weights": self._best_weights,
            "reports": [asdict(report) for report in self.reports],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best_weights = state["best_weights"]
        self.reports = [EpochReport(**report) for report in state["reports"]]

    def _train_epoch(self, lr: float) -> tuple[float, float]:
        """Return the mean loss and the accuracy over the epoch as it went."""
        order_seed, dropout_seed = _epoch_seeds(self._seed, self.epoch)
        generator = torch.Generator().manual_seed(order_seed)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        loss = torch.zeros((), dtype=torch.float64, device=self._device)
        correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self.model.train()
        # Dropout draws from torch's global generator and takes no other.
        with torch.random.fork_rng(devices=_cuda_devices(self._device)):
            torch.manual_seed(dropout_seed)
            batches = self._train.shuffled(self._hparams.batch_size, self._hparams.augmentation(), generator)
            for step, (images, labels) in enumerate(batches):
                logits = self._step(images, labels)
                loss += functional.cross_entropy(logits, labels, reduction="sum")
                correct += (logits.argmax(1) == labels).sum()
                if step % _STEPS_BETWEEN_CHECKS == 0:
                    self._check_finite(loss)
        self._check_finite(loss)
        return loss.item() / len(self._train), correct.item() / len(self._train)

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on one batch and return its logits, detached."""
        self._optimizer.zero_grad(set_to_none=True)
        with autocast(self._device, self._precision):
            logits = self.model(images)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._hparams.label_smoothing)
        torch.autograd.backward(loss)
        self._optimizer.step()
        detached: Tensor = logits.detach()
        return detached

    def _check_finite(self, loss: Tensor) -> None:
        if not math.isfinite(loss.item()):
            raise NonFiniteLossError(f"the train loss is {loss.item()} in epoch {self.epoch + 1}.")


def fit(training: Training) -> Iterator[EpochReport]:
    """Train to the end, yielding after every epoch."""
    while not training.finished:
        yield training.run_epoch()


def _build_optimizer(model: nn.Module, hparams: TrainingHparams) -> torch.optim.Optimizer:
    build = torch.optim.Adam if hparams.optimizer == "adam" else torch.optim.AdamW
    return build(model.parameters(), lr=hparams.learning_rate, weight_decay=hparams.weight_decay, fused=True)


def _epoch_seeds(seed: int, epoch: int) -> tuple[int, int]:
    order, dropout = np.random.SeedSequence([seed, epoch]).generate_state(2)
    return int(order), int(dropout)


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
