"""How good a search is: the regret of its incumbent after so much work, against what people use today.

python -m tests.benchmarks.search_quality --family lcbench --surrogate DIR --tasks judging --seeds 5 --workers 4 \\
    --trainings 40 --methods default,tpe,ray-default,random-asha --results FILE.jsonl --json FILE

Normalised regret of the incumbent, the configuration with the best value observed so far, scored by the best value on
its full curve: (best - it) / (best - median), best and median over 6,000 random configurations. It is taken after 10,
20 and 40 full trainings' worth of epochs, and again of simulated seconds: a full training then costs what it costs on
average over the random configurations, and the workers share it. Families: `power-law` needs no data file, `lcbench`
and `rbv2` are surrogates, `--surrogate` their folder. With `--results` each search is a line of that file, and one that
is there is not made again. Two methods, `warm-same` and `warm-changed`, begin with the trials of an earlier search,
whose work is not counted: see `tests/benchmarks/warm_started.py`. Two more, `prior-right` and `prior-wrong`, believe in
a good and in a bad configuration: see `tests/benchmarks/believing.py`. `in-time` is the default as it is where the
budget is one of time, `in-time-full` the same with the whole cost of a trial weighed. Peers that need an environment of
their own: `tests/benchmarks/child_peers.py`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from optuna.pruners import HyperbandPruner, NopPruner
from optuna.samplers import GPSampler, TPESampler
from scipy.stats import rankdata

from tests.benchmarks.believing import prior_right, prior_wrong
from tests.benchmarks.bootstrap import interval_of_mean
from tests.benchmarks.child_peers import PEERS, ChildPeer
from tests.benchmarks.noise import copies, noisy
from tests.benchmarks.ours import ours, ours_in_time
from tests.benchmarks.output import publish, told
from tests.benchmarks.peers import OptunaStudy, RayDefault
from tests.benchmarks.problem import Problem, load_problem, tasks_of
from tests.benchmarks.warm_started import warm_changed, warm_same
from tuner.engine.provenance import source_commit
from tuner.search.seeds import derive_seed
from tuner.search.simulator import Simulated, simulate
from tuner.search.trial import Proposal

_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Arguments:
    """What to compare on what."""

    family: str = "power-law"
    """What is searched: `power-law`, `lcbench` or `rbv2`."""
    surrogate: Path | None = None
    """Folder of the family's data files."""
    tasks: str = "tuning"
    """OpenML tasks: those that methods may be chosen on, `judging` for the others, or numbers with commas."""
    seeds: int = 2
    first_seed: int = 0
    workers: int = 4
    trainings: int = 40
    """Work of one search, in full trainings; regret is taken at a quarter, a half and all of it."""
    noise: float = 0.0
    """Standard deviation of what a training's seed, and again each epoch, adds to a value, in shares of
    (best - median). Regret is that of the value without it."""
    methods: str = "default,ray-default,random,random-asha,tpe-full,optuna-hyperband"
    jobs: int = 1
    """Processes that simulate side by side."""
    results: Path | None = None
    """JSON lines, one for each search: what is there is not searched again."""
    json: Path | None = None


@dataclass(frozen=True)
class Result:
    """One search by one method."""

    method: str
    task: str
    seed: int
    by_epochs: dict[int, float] = field(default_factory=dict)
    """Regret after so many full trainings' worth of epochs."""
    by_seconds: dict[int, float] = field(default_factory=dict)
    """Likewise, of simulated seconds."""
    trials: int = 0
    copies: int = 0
    """Of the trials, like an earlier one; 0 of a method that does not tell its parameters' ranges."""
    seconds: float = 0.0
    """The computer took, decisions and surrogate together."""


def _optuna_study(
    problem: Problem, seed: int, *, sampler: type[TPESampler | GPSampler], is_pruned: bool = False
) -> OptunaStudy:
    pruner = HyperbandPruner(1, problem.epochs, 3) if is_pruned else NopPruner()
    return OptunaStudy(problem.suggest, problem.epochs, sampler(seed=seed), pruner)


METHODS: Mapping[str, Callable[[Problem, int], Simulated]] = {
    "default": ours,
    "in-time": ours_in_time,
    "in-time-full": lambda problem, seed: ours_in_time(problem, seed, 1.0),
    "random": lambda problem, seed: ours(problem, seed, searcher="random", scheduler="none"),
    "random-asha": lambda problem, seed: ours(problem, seed, searcher="random", scheduler="asha"),
    "random-promote": lambda problem, seed: ours(problem, seed, searcher="random", scheduler="asha-promote"),
    "tpe-asha": lambda problem, seed: ours(problem, seed, searcher="tpe", scheduler="asha"),
    "tpe-hyperband": lambda problem, seed: ours(problem, seed, searcher="tpe", scheduler="hyperband"),
    "startup-4": lambda problem, seed: ours(problem, seed, startup_trials=4),
    "startup-10": lambda problem, seed: ours(problem, seed, startup_trials=10),
    "startup-40": lambda problem, seed: ours(problem, seed, startup_trials=40),
    "first-rung-1": lambda problem, seed: ours(problem, seed, min_epochs=1),
    "factor-4": lambda problem, seed: ours(problem, seed, reduction_factor=4),
    "warm-same": warm_same,
    "warm-changed": warm_changed,
    "prior-right": prior_right,
    "prior-wrong": prior_wrong,
    "tpe": lambda problem, seed: ours(problem, seed, searcher="tpe"),
    "ray-default": lambda problem, seed: RayDefault(problem.suggest, problem.epochs, seed),
    "tpe-full": partial(_optuna_study, sampler=TPESampler),
    "optuna-hyperband": partial(_optuna_study, sampler=TPESampler, is_pruned=True),
    "gp-full": partial(_optuna_study, sampler=GPSampler),
    "gp-hyperband": partial(_optuna_study, sampler=GPSampler, is_pruned=True),
    **{name: partial(ChildPeer, peer=peer) for name, peer in PEERS.items()},
}


def search(
    method: str,
    family: str,
    surrogate: Path | None,
    task: str,
    seed: int,
    workers: int,
    trainings: int,
    noise: float = 0.0,
) -> Result:
    """Simulate one search and return its regrets."""
    problem = load_problem(family, surrogate, task)
    marks = sorted({max(1, trainings // 4), max(1, trainings // 2), trainings})
    result = Result(method, task, seed)
    started = time.perf_counter()
    best_seen, regret = -np.inf, np.inf
    proposals: dict[int, Proposal] = {}
    curve = problem.curve
    if noise:
        generator = np.random.default_rng(derive_seed(seed, int(task), 1))
        curve = noisy(curve, noise * (problem.best - problem.median), generator)
    simulator = METHODS[method](problem, derive_seed(seed, int(task)))
    for epochs, (observation, proposal) in enumerate(simulate(simulator, curve, workers), 1):
        for mark in marks:  # what was known when the time ran out
            if observation.time > mark * problem.mean_seconds / workers:
                result.by_seconds.setdefault(mark, regret)
        if len(result.by_seconds) == len(result.by_epochs) == len(marks):
            break
        proposals[observation.trial] = proposal
        if observation.value > best_seen:
            best_seen = observation.value
            regret = problem.regret(max(problem.curve(proposal.hparams).values))
        for mark in marks:
            if epochs >= mark * problem.epochs:
                result.by_epochs.setdefault(mark, regret)
    spent = time.perf_counter() - started
    alike = copies(list(proposals.values()))
    return Result(method, task, seed, result.by_epochs, result.by_seconds, len(proposals), alike, spent)


def summarise(results: Sequence[Result]) -> dict[str, Any]:
    """Return mean, median and the mean's 95% bootstrap interval over tasks x seeds, for each kind of mark."""
    return {
        "searches": len(results),
        "trials": round(statistics.fmean(result.trials for result in results), 1),
        "copies": round(statistics.fmean(result.copies for result in results), 1),
        "seconds_per_search": round(statistics.fmean(result.seconds for result in results), 2),
        "after_epochs_of": _by_mark([result.by_epochs for result in results]),
        "after_seconds_of": _by_mark([result.by_seconds for result in results]),
    }


def _by_mark(regrets: Sequence[Mapping[int, float]]) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    summary = {}
    for mark in regrets[0]:
        values = np.array([regret[mark] for regret in regrets])
        low, high = interval_of_mean(values, generator, _BOOTSTRAPS)
        summary[str(mark)] = {
            "mean": round(float(values.mean()), 4),
            "median": round(float(np.median(values)), 4),
            "interval": [round(low, 4), round(high, 4)],
        }
    return summary


def main(arguments: Arguments) -> dict[str, Any]:
    """Run every method on every task and seed; return the summary by method."""
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    methods = arguments.methods.split(",")
    tasks = tasks_of(arguments.family, arguments.tasks)
    jobs = [(method, task, seed) for seed in seeds for task in tasks for method in methods]
    results = _run(arguments, jobs)
    return {
        "arguments": told(asdict(arguments)),
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("optuna", "ray", "numpy", "scipy")},
        "methods": {method: summarise([result for result in results if result.method == method]) for method in methods},
        "mean_rank": mean_ranks(results),
    }


def mean_ranks(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return by mark, of epochs, the mean over tasks x seeds of each method's rank by regret; 1 is the best."""
    ranks: dict[str, dict[str, list[float]]] = {}
    searches = sorted({(result.task, result.seed) for result in results})
    for mark in results[0].by_epochs:
        for task, seed in searches:
            alike = [result for result in results if (result.task, result.seed) == (task, seed)]
            found = rankdata([result.by_epochs[mark] for result in alike])
            for result, rank in zip(alike, found, strict=True):
                ranks.setdefault(str(mark), {}).setdefault(result.method, []).append(float(rank))
    return {
        mark: {method: round(statistics.fmean(one), 2) for method, one in by_method.items()}
        for mark, by_method in ranks.items()
    }


def _run(arguments: Arguments, jobs: Sequence[tuple[str, str, int]]) -> list[Result]:
    """Return the result of each job, those that are in the file of results from there."""
    known = _known(arguments)
    run = partial(
        search,
        family=arguments.family,
        surrogate=arguments.surrogate,
        workers=arguments.workers,
        trainings=arguments.trainings,
        noise=arguments.noise,
    )
    to_do = [job for job in jobs if job not in known]
    with ExitStack() as stack:
        if arguments.jobs == 1:
            found = (run(method, task=task, seed=seed) for method, task, seed in to_do)
        else:
            pool = stack.enter_context(ProcessPoolExecutor(arguments.jobs))
            futures = [pool.submit(run, method, task=task, seed=seed) for method, task, seed in to_do]
            found = (future.result() for future in futures)
        for result in found:
            known[result.method, result.task, result.seed] = result
            if arguments.results is not None:
                with arguments.results.open("a") as file:
                    file.write(json.dumps({**asdict(result), **_conditions(arguments)}) + "\n")
    return [known[job] for job in jobs]


def _conditions(arguments: Arguments) -> dict[str, Any]:
    names = ("family", "workers", "trainings", "noise")
    return {name: getattr(arguments, name) for name in names}


def _known(arguments: Arguments) -> dict[tuple[str, str, int], Result]:
    known = {}
    if arguments.results is not None and arguments.results.exists():
        for line in arguments.results.read_text().splitlines():
            entry = {"noise": 0.0, **json.loads(line)}  # older lines do not name it
            if all(entry.pop(name) == value for name, value in _conditions(arguments).items()):
                for kind in ("by_epochs", "by_seconds"):
                    entry[kind] = {int(mark): regret for mark, regret in entry[kind].items()}
                known[entry["method"], entry["task"], entry["seed"]] = Result(**entry)
    return known


if __name__ == "__main__":
    given = tyro.cli(Arguments, description=__doc__)
    publish(main(given), given.json)
