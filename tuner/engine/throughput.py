"""How fast this machine trains, measured before the plan is made."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, assert_never

from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.executor import Key
from tuner.engine.outcome import Concluded, Crashed, Failed, Infeasible, Outcome, Reported, WorkerLost
from tuner.engine.worker import Assignment
from tuner.errors import SpaceError
from tuner.training.lr_decay import without_schedule

MEASURED = "measured-"

_SAMPLE_EXAMPLES = 1280
_SAMPLE_BATCHES = 4
"""At least so many: on a GPU the fourth step of a training is recorded, and only those after it have its true speed."""
_MOST_MEASURED = 8
"""Workers measured at the same time; they share a machine's memory and caches, so one alone would flatter."""
_UNTRAINABLE = "the space's first start configuration cannot be trained"
_MOST_INFEASIBLE = 30
"""Trainings that may declare their configuration impossible, of one that asks for another with each seed."""
_OF_A_SAMPLE: Mapping[str, Any] = {
    # The speed does not depend on it, and a configuration that diverges is a failed trial, not the end of the study.
    "learning_rate": 1e-6,
    # Their batch norm is measured on as many examples whatever an epoch has: next to nothing of a whole one, but a
    # fifth of a sample.
    "averaged_epochs": 0.0,
}
_EPOCHS = 2
"""The first is slower: it warms up."""


def sample(hparams: Mapping[str, Any], examples: int | None, scratch: str) -> Assignment:
    """Return a short training of `hparams` on a part of `examples` train examples; if None, on all there is.

    Its checkpoints lie below `scratch`.
    """
    # Only of our own loop's examples a part is ours to take, and only its learning rate ours to change.
    return Assignment(
        hparams if examples is None else {**without_schedule(hparams), **_OF_A_SAMPLE},
        seed=0,
        max_epochs=_EPOCHS,
        checkpoints=f"{scratch}/{MEASURED}{uuid.uuid4().hex}",
        is_measured=True,  # so that what cannot be measured is found before the search
        share=1.0 if examples is None else min(1.0, _sample_size(hparams) / examples),
        is_rehearsed=examples is None,  # our own loop's state is known to go both ways
    )


def _sample_size(hparams: Mapping[str, Any]) -> int:
    batch_size = hparams.get("batch_size")
    return max(_SAMPLE_EXAMPLES, _SAMPLE_BATCHES * batch_size if isinstance(batch_size, int) else 0)


class Probe:
    """Trains a configuration on a sample, several times side by side, to tell the seconds of a full epoch."""

    def __init__(
        self, hparams: Mapping[str, Any], examples: int | None, scratch: str, *, workers: int, max_failures: int
    ) -> None:
        """Measure `hparams` with `workers` trainings on a part of `examples` train examples; if None, on all there is.

        Their checkpoints lie below `scratch`, a place on the storage that the study will use, until each is done; one
        whose process is killed leaves some under a name that begins with `MEASURED`. `max_failures` deaths of a
        process are forgiven.
        """
        self._waiting = [sample(hparams, examples, scratch) for _ in range(min(workers, _MOST_MEASURED))]
        self._running: dict[Key, Assignment] = {}
        self._max_failures = max_failures
        self._failures = 0
        self._infeasible = 0
        self._found: list[float] = []
        self.is_single = False
        """Whether the training has a single epoch, as one that fits in one go."""

    @property
    def seconds_per_epoch(self) -> float:
        """The mean seconds of one full epoch, once all is measured."""
        return sum(self._found) / len(self._found)

    @property
    def is_over(self) -> bool:
        """Whether all is measured."""
        return not self._waiting and not self._running

    def next(self) -> tuple[Key, Assignment] | None:
        """Return a training to measure, named by its checkpoints; None if all are under way."""
        if not self._waiting:
            return None
        assignment = self._waiting.pop()
        self._running[assignment.checkpoints] = assignment
        return assignment.checkpoints, assignment

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Take the seconds of the last epoch; return whether that is still to come.

        Raises:
            SpaceError: if the configuration cannot be trained, is impossible whatever the seed, or processes die too
                often.
        """
        match outcome:
            case Reported():
                return self._report(key, outcome)
            case Failed() | Crashed():
                CheckpointStore(str(key)).delete()
                raise SpaceError(f"{_UNTRAINABLE}: {_in_one_line(outcome.reason)}")
            case Infeasible():
                self._try_another(key, outcome.reason)
                return False
            case WorkerLost():
                self._failures += outcome.charged
                if self._failures > self._max_failures:
                    died = f"its worker died {self._failures} times: {_in_one_line(outcome.error)}"
                    raise SpaceError(f"{_UNTRAINABLE}: {died}")
                return True
            case Concluded():
                raise AssertionError(key)  # nobody has asked for it
            case _:
                assert_never(outcome)

    def _report(self, key: Key, reported: Reported) -> bool:
        if not reported.finished and (reported.report.epoch < _EPOCHS):
            return True
        self.is_single = reported.report.epoch < _EPOCHS
        self._found.append(reported.report.seconds / self._running.pop(key).share)
        CheckpointStore(str(key)).delete()
        return False

    def _try_another(self, key: Key, reason: str) -> None:
        """Let another seed be measured: what asks for its parameters as it runs then asks for others."""
        CheckpointStore(str(key)).delete()
        self._infeasible += 1
        if self._infeasible == _MOST_INFEASIBLE:
            tried = f"none of {_MOST_INFEASIBLE} first configurations can be trained, the last because it is infeasible"
            raise SpaceError(f"{tried}: {_in_one_line(reason)}")
        self._waiting.append(replace(self._running.pop(key), seed=self._infeasible))

    def give_back(self, key: Key) -> None:
        """Take back a training that could not be begun."""
        self._waiting.append(self._running.pop(key))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
