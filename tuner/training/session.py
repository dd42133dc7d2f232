"""A training under way: its epochs counted and checked, its best one known, and its state to go on from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, SupportsFloat

import torch

from tuner.errors import TrialFailedError
from tuner.search.objective import Objective
from tuner.search.report import EpochReport, best_of, fault_of, finite, last_improvement
from tuner.search.seeds import Stream, derive_seed
from tuner.training.packing import kept, pack, unpack
from tuner.training.randomness import seeded
from tuner.training.trainable import TrainableSpec, TrainingOver

_EVALUATION, _BEGIN = 0, 1
"""The first parts of the stream of the global generators; epoch e has part e + 1."""


class Session:
    """One training, whoever wrote it, as a worker runs it.

    Whatever epoch e draws from the global generators of Python, NumPy and torch depends on the seed and e alone, so
    no random state is saved, and a resumed training equals an uninterrupted one.
    """

    def __init__(
        self,
        spec: TrainableSpec,
        hparams: Mapping[str, Any],
        data: Any,
        *,
        objectives: Sequence[Objective],
        seed: int,
        max_epochs: int,
        patience: int | None,
        device: torch.device,
        precision: torch.dtype,
        keep_best: bool = False,
        ends_after: int | None = None,
    ) -> None:
        """Make the training of `hparams` on `data`.

        `objectives`: by the first one epochs are compared. `patience`: finished after so many epochs without a better
        value of it, unless the best is to be kept and cannot be. `keep_best`: keep a copy of the best epoch's state for
        `restore_best`. `ends_after`: finished after so many of the `max_epochs` that it plans for.
        """
        self._objectives = objectives
        self._seed = seed
        self._last_epoch = max_epochs if ends_after is None else ends_after
        # Where nothing can go back to the best epoch, ending early would keep a worse one, and a generator that has not
        # come to its end cannot be evaluated.
        self._patience = None if keep_best and not spec.saves_state else patience
        self._device = device
        self._keep_best = keep_best and spec.saves_state
        self._best_state: Any = None
        self.is_over = False
        """Whether the training has ended by itself."""
        self._can_end = spec.ends
        self.saves_state = spec.saves_state
        """Whether there is a state to save; else a training is only ever begun anew."""
        self.reports: list[EpochReport] = []
        """Of all finished epochs."""
        with self._seeded(_BEGIN):
            self.trainable = spec.make(
                hparams, data, seed=seed, device=device, max_epochs=max_epochs, precision=precision
            )

    @property
    def model(self) -> Any:
        """The training's `model`, if it has one, of which sizes and times can be measured; else None."""
        return getattr(self.trainable, "model", None)

    @property
    def answering_model(self) -> Any:
        """What answers where the training is used, if that is another than its `model`: its time is measured."""
        return getattr(self.trainable, "answering_model", self.model)

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.reports)

    @property
    def best(self) -> EpochReport | None:
        """The epoch with the best value of the first objective, as `best_of` compares; None before the first."""
        return best_of(self.reports, self._objectives[0])

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, `patience` epochs brought nothing better, or the training ended by itself."""
        last = last_improvement(self.reports, self._objectives[0])
        stuck = self._patience is not None and last is not None and self.epoch - last.epoch >= self._patience
        return self.epoch >= self._last_epoch or stuck or self.is_over

    @property
    def ends(self) -> bool:
        """Whether the training can be evaluated after `max_epochs`: it has ended by itself, or will when asked to."""
        return self.is_over or self._can_end

    def run_epoch(self) -> EpochReport:
        """Train one epoch and return its report; of a training that has ended by itself, the last one again.

        Raises:
            TrialFailedError: if an objective is missing, infinite or not a number, another metric is no number, or
                there is no epoch at all; the training cannot go on.
        """
        started = time.perf_counter()
        try:
            with self._seeded(self.epoch + 1 + _BEGIN):
                found = self.trainable.train_epoch()
        except TrainingOver:
            return self._end()
        seconds = time.perf_counter() - started
        report = EpochReport(self.epoch + 1, _numbers(found, f"epoch {self.epoch + 1}"), seconds)
        fault = fault_of(report, self._objectives)
        if fault is not None:
            raise TrialFailedError(fault)
        report = replace(report, metrics=finite(report.metrics))
        self.reports.append(report)
        if self._keep_best and self.best is report:
            self._best_state = None  # there may not be room for two
            self._best_state = kept(self.trained_state())
        return report

    def restore_best(self) -> EpochReport:
        """Go back to the best epoch and return its report; without a state to go back to that is the last."""
        best = self.best
        assert best is not None
        if not self._keep_best:
            return self.reports[-1]
        self.trainable.load_state_dict(unpack(self._best_state))  # type: ignore[attr-defined]
        return best

    def evaluate(self, split: Any) -> dict[str, float]:
        """Return the metrics of what was trained on a split; empty if the training cannot tell.

        Raises:
            TrialFailedError: if one is no number.
        """
        with self._seeded(_EVALUATION):
            found = self.trainable.evaluate(split)
        return finite(_numbers(found, "evaluate()"))

    def probabilities(self, split: Any) -> Any:
        """Return what the training answers on a split, [n, classes]; needs a training that tells it."""
        with self._seeded(_EVALUATION):
            return self.trainable.probabilities(split)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Let go of what the training holds beside memory, such as a thread or a generator; it will not go on."""
        close = getattr(self.trainable, "close", None)
        if callable(close):
            close()

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last finished epoch, as tensors and plain values only; needs `saves_state`."""
        return {
            "training": self.trained_state(),
            "best": self._best_state,
            "reports": [{**asdict(report), "metrics": dict(report.metrics)} for report in self.reports],
            "is_over": self.is_over,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.trainable.load_state_dict(unpack(state["training"]))  # type: ignore[attr-defined]
        self._best_state = state["best"]
        self.reports = [EpochReport(**report) for report in state["reports"]]
        self.is_over = state["is_over"]

    def _seeded(self, part: int) -> Any:
        return seeded(derive_seed(self._seed, Stream.GLOBALS, part), self._device)

    def trained_state(self) -> Any:
        """Return what the training saves of itself, packed; needs `saves_state`."""
        return pack(self.trainable.state_dict())  # type: ignore[attr-defined]

    def _end(self) -> EpochReport:
        if not self.reports:
            raise TrialFailedError("the training ended before it had finished an epoch.")
        self.is_over = True
        return self.reports[-1]


def _numbers(found: Any, where: str) -> dict[str, float]:
    """Return metrics as floats, also those that are a NumPy number or a tensor of one element."""
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise TrialFailedError(f"{where} brought {found!r}, but must bring a dictionary of metrics by name.")
    return {name: _number(name, value, where) for name, value in found.items()}


def _number(name: str, value: Any, where: str) -> float:
    if isinstance(value, SupportsFloat) and not isinstance(value, str):
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):  # arrays and tensors of many elements
            pass
    raise TrialFailedError(f"the metric {name!r} is {value!r} in {where}, but must be a number.")
