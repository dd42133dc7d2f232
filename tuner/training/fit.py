"""A classifier trained to its end: the epochs counted, the best one kept, patience."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from tuner.config import DEFAULT_OBJECTIVE
from tuner.models import ModelBuilder
from tuner.search.report import EpochReport, best_of
from tuner.training.classifier import Classifier, ClassifierData


class Training:
    """A classifier with the reports of its epochs, of which it knows the best."""

    def __init__(
        self,
        build: ModelBuilder,
        hparams: Mapping[str, Any],
        data: ClassifierData,
        *,
        seed: int,
        max_epochs: int,
        patience: int | None,
        device: torch.device,
        precision: torch.dtype,
        keep_best: bool,
    ) -> None:
        """Prepare to train as a `Classifier`.

        `patience`: finished after so many epochs without a better dev accuracy. `keep_best`: keep a copy of the best
        epoch's state for `restore_best`.

        Raises:
            ConfigError: if a training hyperparameter breaks its law.
        """
        self.classifier = Classifier(
            build, hparams, data, seed=seed, device=device, max_epochs=max_epochs, precision=precision
        )
        self._max_epochs = max_epochs
        self._patience = patience
        self._keep_best = keep_best
        self._best_state: dict[str, Any] | None = None
        self.reports: list[EpochReport] = []
        """Of all finished epochs."""

    @property
    def model(self) -> nn.Module:
        """The classifier's."""
        return self.classifier.model

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.reports)

    @property
    def best(self) -> EpochReport | None:
        """The epoch with the highest dev accuracy, the earliest of equals; None before the first."""
        return best_of(self.reports, DEFAULT_OBJECTIVE)

    @property
    def finished(self) -> bool:
        """Whether `max_epochs` are done, or `patience` epochs brought nothing better."""
        best = self.best
        stuck = self._patience is not None and best is not None and self.epoch - best.epoch >= self._patience
        return self.epoch >= self._max_epochs or stuck

    def run_epoch(self) -> EpochReport:
        """Train one epoch, measure dev, and return the report; raises NonFiniteLossError."""
        started = time.perf_counter()
        metrics = self.classifier.train_epoch()
        report = EpochReport(self.epoch + 1, metrics, time.perf_counter() - started)
        self.reports.append(report)
        if self._keep_best and self.best is report:
            self._best_state = copy.deepcopy(self.classifier.state_dict())
        return report

    def restore_best(self) -> None:
        """Go back to the best epoch's state; needs `keep_best`."""
        assert self._best_state is not None
        self.classifier.load_state_dict(self._best_state)

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last finished epoch: tensors and plain values only."""
        return {
            "classifier": self.classifier.state_dict(),
            "best_state": self._best_state,
            "reports": [asdict(report) for report in self.reports],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.classifier.load_state_dict(state["classifier"])
        self._best_state = state["best_state"]
        self.reports = [EpochReport(**report) for report in state["reports"]]


def fit(training: Training) -> Iterator[EpochReport]:
    """Train to the end, yielding after every epoch."""
    while not training.finished:
        yield training.run_epoch()
