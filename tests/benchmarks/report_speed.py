"""What it takes to report on a large study, and how large its page gets.

    python -m tests.benchmarks.report_speed --trials 5,2000 --json report.json
    python -m tests.benchmarks.report_speed --trials 5,2000 --runs runs

The study is a search with the production searcher and scheduler in the simulator, over made-up learning curves, written
down in a journal. Clocked is what `python -m tuner.report` does: reading the journal, writing tables and reports.
`--runs` keeps the run folders, to be looked at.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import tyro

from tests.benchmarks import power_law
from tests.benchmarks.output import machine, publish
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.provenance import source_commit
from tuner.journal.events import (
    DriverStarted,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    StudyEnded,
    StudyStarted,
)
from tuner.journal.history import read_history
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.report import report
from tuner.results.html import html_report
from tuner.results.selection import BASELINE, TUNED, select
from tuner.search.objective import Objective
from tuner.search.registry import build_search
from tuner.search.report import EpochReport
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.simulator import Curve
from tuner.search.space import SearchSpace

_OBJECTIVE = Objective("dev_score")
_WORKERS = 4
_LEVELS = (1, 3, 9, 27)


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    trials: str = "5,2000"
    runs: Path | None = None
    """Where to keep the run folders."""
    json: Path | None = None


class _SimulatedTime(JournalWriter):
    """A journal of simulated seconds."""

    moment = 0.0

    @property
    def elapsed(self) -> float:
        return self.moment


def _suggest(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Return a configuration with parameters of every kind, one of them conditional."""
    found = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "width": trial.suggest_int("width", 8, 64, step=8),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "flip": trial.suggest_categorical("flip", [True, False]),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "adamw", "sgd"]),
    }
    if found["optimizer"] == "adamw":
        found["weight_decay"] = trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True)
    return found


def _curve(hparams: Mapping[str, Any]) -> Curve:
    lacking = {"adam": 0.35, "adamw": 0.15, "sgd": 0.5}[hparams["optimizer"]]
    speed = 0.3 + 1.2 * (1 - lacking)
    point = {"x0": 0.2, "x1": 0.15 + 0.5 * hparams["dropout"], "x2": 0.48, "x3": 0.27 + hparams["label_smoothing"]}
    point |= {"x4": hparams["width"] / 64, "x5": 0.5 + abs(hparams["learning_rate"] ** 0.25 - 0.3)}
    found = power_law.curve({**point, "speed": speed, "width": hparams["width"] / 8})
    noise = (hash(hparams["learning_rate"]) % 1000) / 50_000  # equal in all processes, for it is a number's
    return Curve([value + noise for value in found.values], found.seconds)


def write_study(paths: RunPaths, trials: int) -> None:
    """Write the journal of a study of so many trials, with its retrainings."""
    search = build_search(
        SearchSpace("made-up", _suggest, ()),
        searcher="random",
        scheduler="asha-promote",
        min_epochs=_LEVELS[0],
        max_epochs=_LEVELS[-1],
        reduction_factor=3,
        startup_trials=None,
        max_trials=trials,
        objectives=(_OBJECTIVE,),
        seed=1,
    )
    with _SimulatedTime(paths.journal) as journal:
        config = {"space": "made-up", "storage": "runs", "data": {"dataset": "made-up"}}
        journal.append(
            StudyStarted(config, {"dataset": "made-up", "model": "power law"}, objective=_OBJECTIVE),
            DriverStarted("desk", "c0ffee"),
            PlanMade({"workers": _WORKERS, "rungs": _LEVELS}),
        )
        _search(search, journal)
    history = read_history(paths.journal)
    winner = select(history)
    assert winner is not None
    with _SimulatedTime(paths.journal) as journal:
        journal.moment = history.elapsed
        journal.append(winner, *_retrained(winner.value), StudyEnded())


def _search(search: Search, journal: _SimulatedTime) -> None:
    coordinator = Coordinator(
        search,
        journal.append,
        BudgetClock(None, RetrainLoad(0, 0, _LEVELS[-1], _WORKERS), 1.0, lambda: journal.moment),
        objectives=(_OBJECTIVE,),
        workers=_WORKERS,
        seed=0,
        discard=lambda _: None,
    )
    curves: dict[int, Curve] = {}
    trained: dict[int, int] = {}
    busy: list[tuple[float, int, int]] = []
    """When an epoch ends, on which worker, of which trial."""
    idle = list(range(_WORKERS))
    while True:
        while idle and (proposed := coordinator.next_trial()) is not None:
            curve = curves.setdefault(proposed.number, _curve(proposed.proposed.hparams))
            trained.setdefault(proposed.number, 0)
            # Beginning a trial takes a while, as it does in life.
            end = journal.moment + 0.5 + curve.seconds[trained[proposed.number]]
            heapq.heappush(busy, (end, idle.pop(), proposed.number))
        if not busy:
            break
        journal.moment, worker, trial = heapq.heappop(busy)
        curve, epoch = curves[trial], trained[trial] + 1
        trained[trial] = epoch
        report = EpochReport(epoch, {_OBJECTIVE.metric: curve.values[epoch - 1]}, curve.seconds[epoch - 1])
        finished = epoch == _LEVELS[-1]
        if coordinator.report(trial, report, f"desk:{100 + worker}", finished=finished) is Action.CONTINUE:
            heapq.heappush(busy, (journal.moment + curve.seconds[epoch], worker, trial))
        else:
            idle.append(worker)
    coordinator.finish()


def _retrained(value: float) -> Iterator[Event]:
    """Yield two seeds of the winner and one of the baseline."""
    for candidate, seed, end in ((TUNED, 1, value), (TUNED, 2, value - 0.004), (BASELINE, 1, value - 0.06)):
        curve = [end - 0.4 / epoch for epoch in range(1, 2 * _LEVELS[-1])]
        for epoch, reached in enumerate(curve, 1):
            metrics = {"train_score": reached + 0.01 * epoch / 54, _OBJECTIVE.metric: reached, "lr": 0.1 / epoch}
            yield RetrainEpochReported(candidate, seed, epoch, metrics, 3.0)
        found = {split: {"score": end - lost} for split, lost in (("train", -0.01), ("dev", 0.0), ("test", 0.003))}
        yield RetrainEnded(candidate, seed, {"learning_rate": 0.01}, len(curve), found, "", "")


def measure(folder: Path, trials: int) -> dict[str, Any]:
    """Report on a study of so many trials, written into a folder of `folder`, and return what it cost."""
    paths = RunPaths(folder / f"trials-{trials}")
    write_study(paths, trials)
    began = time.perf_counter()
    report(paths.root)
    whole = time.perf_counter() - began
    history = read_history(paths.journal)
    began = time.perf_counter()
    html_report(history, paths.root.name)
    return {
        "trials": trials,
        "epochs": history.epochs_trained,
        "report_seconds": round(whole, 2),
        "page_seconds": round(time.perf_counter() - began, 2),
        "page_mib": round(paths.report_html.stat().st_size / 2**20, 2),
    }


def main(arguments: Arguments) -> None:
    """Measure and print one JSON document."""
    with tempfile.TemporaryDirectory(prefix="report-speed-") as temporary:
        folder = arguments.runs or Path(temporary)
        found = {
            "commit": source_commit(),
            "machine": machine(),
            # The first is slower: libraries are imported in it.
            "runs": [measure(folder, int(trials)) for trials in arguments.trials.split(",")],
        }
        publish(found, arguments.json)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
