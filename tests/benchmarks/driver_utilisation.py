"""How busy workers are kept by a driver whose decisions take the time that they take.

python -m tests.benchmarks.driver_utilisation --workers 64 --epoch-seconds 5 --trials 1000 --json FILE

The search is the default of the space `cnn` in the simulator, with made-up curves. Each proposal and each report is
timed, and all workers that ask meanwhile wait for it, for there is one driver. `utilisation` is the share of the
workers' time that goes into epochs, from the first to the last proposal; `without_cost` is the same search with
decisions that take no time, where only what a search leaves idle is lost. `busy` is the driver's share. Ray's own work
is not in it: see `tests/benchmarks/scale.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import tyro

from tests.benchmarks.output import machine, publish, told
from tests.benchmarks.search_cost import made_up_curve, search_of_cnn
from tuner.engine.provenance import source_commit
from tuner.search.scheduler import Decision
from tuner.search.search import Search
from tuner.search.simulator import Curve, simulate
from tuner.search.trial import Proposal

T = TypeVar("T")


@dataclass(frozen=True)
class Arguments:
    """What to simulate."""

    workers: int = 64
    epoch_seconds: float = 5.0
    trials: int = 1000
    """Proposed before the simulation is left."""
    searcher: str = "auto"
    json: Path | None = None


class Metered:
    """A search that adds up the seconds that its decisions take."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._unspent = 0.0
        self.seconds = 0.0
        """All of them."""

    def spent(self) -> float:
        """Return the seconds since this was last asked."""
        spent, self._unspent = self._unspent, 0.0
        self.seconds += spent
        return spent

    def next_trial(self) -> Proposal | None:
        """See `Search.next_trial`."""
        return self._timed(self._search.next_trial)

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """See `Search.measured`."""
        self._timed(lambda: self._search.measured(number, measures))

    def timed(self, number: int, seconds: float) -> None:
        """See `Search.timed`."""
        self._timed(lambda: self._search.timed(number, seconds))

    def report(self, number: int, epoch: int, score: float) -> Decision:
        """See `Search.report`."""
        return self._timed(lambda: self._search.report(number, epoch, score))

    def give_up(self) -> None:
        """See `Search.give_up`."""
        self._timed(self._search.give_up)

    def _timed(self, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = call()
        self._unspent += time.perf_counter() - began
        return result


def measure(arguments: Arguments, *, charged: bool) -> dict[str, float]:
    """Return the workers' utilisation and the driver's; `charged`: whether workers wait for decisions."""
    search = Metered(search_of_cnn(arguments.searcher))

    def spent() -> float:
        seconds = search.spent()
        return seconds if charged else 0.0

    def curve_of(hparams: Mapping[str, Any]) -> Curve:
        curve = made_up_curve(hparams)
        return replace(curve, seconds=[arguments.epoch_seconds] * len(curve.values))

    epochs, now = 0, 0.0
    for observation, proposal in simulate(search, curve_of, arguments.workers, spent):
        epochs, now = epochs + 1, observation.time
        if proposal.number >= arguments.trials:
            break
    return {
        "utilisation": round(epochs * arguments.epoch_seconds / (arguments.workers * now), 4),
        "busy": round(search.seconds / now, 4),
        "epochs": epochs,
        "simulated_seconds": round(now, 1),
    }


def main(arguments: Arguments) -> dict[str, Any]:
    """Simulate with and without the cost of decisions."""
    return {
        "arguments": told(asdict(arguments)),
        "commit": source_commit(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("optuna", "numpy")},
        "with_cost": measure(arguments, charged=True),
        "without_cost": measure(arguments, charged=False),
    }


if __name__ == "__main__":
    given = tyro.cli(Arguments, description=__doc__)
    publish(main(given), given.json)
