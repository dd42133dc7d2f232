"""What one step of a training came to, in the words in which a worker tells it to the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.search.report import EpochReport


@dataclass(frozen=True)
class Asked:
    """The parameters that a training asked for as it ran."""

    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    """Optuna's, as Optuna writes them in JSON."""


@dataclass(frozen=True)
class Reported:
    """An epoch is done, now or in an earlier process whose checkpoint tells of it."""

    report: EpochReport
    worker: str
    """Host and process that trained it."""
    finished: bool
    """Whether the training has no further epoch: it had all, or made no progress for long."""
    measures: Mapping[str, float]
    """What was measured of the model, with every report: who listens takes the first."""
    asked: Asked | None = None
    """What the training has asked for by now; None if it was told everything."""
    evaluation: Mapping[str, float] | str | None = None
    """What `evaluate` has found on dev where that is rehearsed, or why it failed; None where it is not,
    or cannot be yet."""
    is_over: bool = False
    """Whether the training has ended by itself, and not for anything that was asked of it."""


@dataclass(frozen=True)
class Concluded:
    """What was trained is written and measured on every split, as it was after its best epoch."""

    evaluations: Mapping[str, Mapping[str, float]]
    """By split, the metrics of the trainable's `evaluate`."""
    weights_sha256: str
    epoch: int
    """The one it went back to; of a training without a state to go back to, the last."""


@dataclass(frozen=True)
class Failed:
    """The training failed by its own fault, and would again."""

    reason: str
    error: str | None = None
    """The traceback, if the reason alone does not tell enough."""
    spoils_process: bool = False
    """Whether its process must not be used again: its device is broken or full of what nothing frees."""
    is_rehearsal: bool = False
    """Whether it failed in what is rehearsed of its end: by its code, and not by its configuration."""


@dataclass(frozen=True)
class Infeasible:
    """The training declares its configuration impossible; nothing has failed."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """The user's code raised an exception; another time it may not."""

    reason: str
    """The exception in one line."""
    error: str
    """Its traceback."""


FORGIVEN_NODES = 3
"""So many nodes that a training loses one after the other, without an epoch between, are not held against it."""


@dataclass(frozen=True)
class WorkerLost:
    """The process of the training died."""

    error: str
    """What is known of it."""
    charged: bool
    """Whether it may be the training's own doing; the loss of a whole node, as by pre-emption, is not."""


@dataclass(frozen=True)
class StorageAway:
    """The storage could not be read or written; the step can be tried again, and trains nothing twice."""

    reason: str


StepOutcome = Reported | Concluded | Failed | Infeasible | Crashed | StorageAway
"""Of a step, as the worker tells it."""
Outcome = Reported | Concluded | Failed | Infeasible | Crashed | WorkerLost
"""What a work hears of a training."""
