"""What a decision of the search costs, at so many trials.

python -m tests.benchmarks.search_cost --trials 100,1000,5000 --json FILE

Milliseconds of `next_trial` (those calls that propose a new configuration) and of `report` (with the question which
paused trials are unpromotable, which the coordinator asks after a comparison): median and 95th percentile, over the
space `cnn`, 18 parameters of which one is conditional, in the simulator with made-up curves. `wall` is what a worker
waits; `cpu` is what to compare on a machine that has other work.

The trials before were drawn at random, which is quick; where they came from makes no difference to the cost. All of
them have ended or are PAUSED, but for as many as there are workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tyro

from tests.benchmarks.output import publish
from tuner.config import DEFAULT_OBJECTIVE, SearchConfig
from tuner.engine.provenance import source_commit
from tuner.search.registry import build_search
from tuner.search.scheduler import Decision
from tuner.search.search import Search
from tuner.search.simulator import Curve, simulate
from tuner.search.space import load_space
from tuner.search.trial import Proposal

T = TypeVar("T")

_MAX_TRIALS = 1_000_000
"""Never reached, but known, so that unpromotable trials are looked for."""
_EPOCHS = 27
"""Of a full training."""


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    trials: str = "100,1000,5000"
    """Proposed before the measuring begins."""
    searchers: str = "auto,tpe"
    decisions: int = 100
    """New trials that are proposed while measuring; their results are measured too."""
    workers: int = 4
    json: Path | None = None


@dataclass
class Clocked:
    """A search that notes what each call takes: wall clock and processor, in milliseconds."""

    search: Search
    next_trial_ms: list[tuple[float, float]] = field(default_factory=list)
    """Of the calls that proposed something new."""
    report_ms: list[tuple[float, float]] = field(default_factory=list)

    def next_trial(self) -> Proposal | None:
        """See `Search.next_trial`."""
        proposal, ms = _timed(self.search.next_trial)
        if proposal is not None and proposal.number == len(self.next_trial_ms):
            self.next_trial_ms.append(ms)
        return proposal

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """See `Search.measured`."""
        self.search.measured(number, measures)

    def timed(self, number: int, seconds: float) -> None:
        """See `Search.timed`."""
        self.search.timed(number, seconds)

    def report(self, number: int, epoch: int, value: float) -> Decision:
        """See `Search.report`."""
        decision, ms = _timed(lambda: self.search.report(number, epoch, value))
        self.report_ms.append(ms)
        return decision

    def give_up(self) -> None:
        """See `Search.give_up`; it is part of what the result before it costs."""
        _, (wall, cpu) = _timed(self.search.give_up)
        self.report_ms[-1] = self.report_ms[-1][0] + wall, self.report_ms[-1][1] + cpu


def measure(searcher: str, trials: int, decisions: int, workers: int) -> dict[str, Any]:
    """Return what `decisions` new trials after `trials` earlier ones cost."""
    clocked = Clocked(search_of_cnn(searcher, trials))
    reports_before = 0
    for _ in simulate(clocked, made_up_curve, workers):
        if len(clocked.next_trial_ms) <= trials:
            reports_before = len(clocked.report_ms)
        if len(clocked.next_trial_ms) >= trials + decisions:
            break
    return {
        "trials": trials,
        "next_trial_ms": _summary(clocked.next_trial_ms[trials:]),
        "report_ms": _summary(clocked.report_ms[reports_before:]),
    }


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure each searcher."""
    rows = {
        name: [measure(name, trials, arguments.decisions, arguments.workers) for trials in _counts(arguments.trials)]
        for name in arguments.searchers.split(",")
    }
    return {
        "arguments": {name: str(value) for name, value in asdict(arguments).items() if name != "json"},
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("optuna", "numpy")},
        "searchers": rows,
    }


def search_of_cnn(searcher: str, startup_trials: int | None = None) -> Search:
    """Return a search of the space `cnn` with so many random trials, by default as many as the searcher likes."""
    config = SearchConfig()
    return build_search(
        load_space("cnn"),
        searcher=searcher,
        scheduler=config.scheduler,
        min_epochs=config.min_epochs,
        max_epochs=_EPOCHS,
        reduction_factor=config.reduction_factor,
        startup_trials=startup_trials,
        max_trials=_MAX_TRIALS,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
    )


def made_up_curve(hparams: Mapping[str, Any]) -> Curve:
    """Return a curve that rises to a value of which every number has its part; an epoch takes a second."""
    numbers = [float(value) for value in hparams.values() if isinstance(value, int | float)]
    final = float(np.mean(np.cos(np.log1p(np.array(numbers)))))
    return Curve([final - 0.5 / epoch for epoch in range(1, _EPOCHS + 1)], [1.0] * _EPOCHS)


def _timed(call: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, (1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu))


def _summary(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"n": len(pairs)}
    for kind, column in zip(("wall", "cpu"), np.array(pairs).T, strict=True):
        median, high = np.quantile(column, (0.5, 0.95))
        summary[kind] = {"median": round(float(median), 3), "p95": round(float(high), 3)}
    return summary


def _counts(text: str) -> list[int]:
    return [int(count) for count in text.split(",")]


if __name__ == "__main__":
    given = tyro.cli(Arguments, description=__doc__)
    publish(main(given), given.json)
