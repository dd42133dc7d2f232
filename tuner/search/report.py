"""What an epoch brought: one class for the record, from the worker to the journal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tuner.search.objective import MEASURES, Objective


@dataclass(frozen=True)
class EpochReport:
    """The metrics of a finished epoch."""

    epoch: int
    """Finished epochs, from 1."""
    metrics: Mapping[str, float]
    """By name, as the trainable returns them: `dev_loss`, `lr` or any other, the objective's among them."""
    seconds: float
    """Training and evaluation together."""


class Reported(Protocol):
    """An epoch's report, whoever made it."""

    @property
    def epoch(self) -> int:
        """Finished epochs, from 1."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """By name."""


R = TypeVar("R", bound=Reported)


DEV_LOSS = "dev_loss"
"""Among equals by the objective, as proportions of a small dev set often are, the lower loss is the better one."""


def best_of(reports: Iterable[R], objective: Objective) -> R | None:
    """Return the report that is best by the objective, of equals by `rank` that of the earliest; None if none."""
    return max(reports, key=lambda one: (*rank(one, objective), -one.epoch), default=None)


def last_improvement(reports: Iterable[R], objective: Objective) -> R | None:
    """Return the report since which the objective alone has not become better; None if there is none."""
    return max(reports, key=lambda one: (score_of(one, objective), -one.epoch), default=None)


def rank(report: Reported, objective: Objective) -> tuple[float, float]:
    """Return what orders reports, the highest for the best: the objective's score, then the lower dev loss."""
    return score_of(report, objective), -loss_of(report.metrics, DEV_LOSS)


def loss_of(metrics: Mapping[str, float], name: str) -> float:
    """Return a loss to compare by: one that is missing, or is not a number and has no order, counts as the worst."""
    loss = metrics.get(name, math.inf)
    return math.inf if math.isnan(loss) else loss


def score_of(report: Reported, objective: Objective) -> float:
    """Return the score of a report that has the objective's metric."""
    return objective.score(report.metrics[objective.metric])


def evaluated(metrics: Mapping[str, float], objective: Objective) -> float | None:
    """Return what an evaluation of any split found of the objective; None if it does not tell.

    An evaluation names no split: its `rmse` is what an epoch reports as `dev_rmse`.
    """
    return metrics.get(objective.metric, metrics.get(evaluation_name(objective)))


def evaluation_name(objective: Objective) -> str:
    """Return the objective's metric without the name of the split that epochs are judged on."""
    return without_split(objective.metric)


def without_split(metric: str) -> str:
    """Return the name of a metric of dev without that of the split, which Lightning's users call `val`."""
    return metric.removeprefix("dev_").removeprefix("val_")


def is_of_dev(metric: str) -> bool:
    """Return whether a metric's name says that it is of dev."""
    return metric.startswith(("dev_", "val_"))


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return those metrics that are finite numbers; nothing can be learnt, drawn or written down of the others."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def fault_of(report: Reported, objectives: Sequence[Objective]) -> str | None:
    """Return in a sentence what is wrong with a report of which these are the objectives; None if nothing is."""
    for objective in objectives:
        if objective.metric in MEASURES:
            continue
        value = report.metrics.get(objective.metric)
        if value is None:
            there = ", ".join(map(str, report.metrics)) or "nothing"
            return f"epoch {report.epoch} reports no {objective.metric!r}, which is an objective; it reports: {there}."
        if not math.isfinite(value):
            return f"{objective.metric!r} is {value} in epoch {report.epoch}, but an objective must be finite."
    return None
