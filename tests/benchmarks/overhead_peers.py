"""A search of `tests.benchmarks.spinning` as Ray Tune and as Optuna document it, with two processes.

    SPINNING_SECONDS=2 python -m tests.benchmarks.overhead_peers ray --trials 30 --workers 2 --limit 600

Prints how many epochs were trained, and when the search had ended, in seconds since the epoch.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from tests.benchmarks.optuna_processes import shared_study, side_by_side
from tests.benchmarks.spinning import MAX_EPOCHS, RANGES, loss, spin, suggest


def ray_tune(trials: int, workers: int, limit: float) -> int:
    """Return the epochs of `OptunaSearch` with `ASHAScheduler`, of a function that reports."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, MAX_EPOCHS + 1):
            spin()
            tune.report({"loss": loss(config, epoch)})

    ray.init(num_cpus=workers)
    tuner = tune.Tuner(
        train,
        param_space={name: tune.loguniform(low, high) for name, (low, high) in RANGES.items()},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=1, reduction_factor=3),
            num_samples=trials,
            time_budget_s=limit,
        ),
        run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(prefix="overhead-")),
    )
    return int(tuner.fit().get_dataframe()["training_iteration"].sum())


def optuna_processes(trials: int, workers: int, limit: float) -> int:
    """Return the epochs of TPE with `HyperbandPruner`, of processes that share a study in a file."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        path = Path(folder) / "journal.log"
        _study(path)
        shares = [trials // workers + (worker < trials % workers) for worker in range(workers)]
        side_by_side(*((_optimize, (path, share, limit)) for share in shares))
        return sum(len(trial.intermediate_values) for trial in _study(path).trials)


def _study(path: Path) -> optuna.Study:
    return shared_study(path, MAX_EPOCHS, direction="minimize")


def _optimize(path: Path, trials: int, limit: float) -> None:
    _study(path).optimize(_objective, n_trials=trials, timeout=limit)


def _objective(trial: optuna.Trial) -> float:
    hparams = suggest(trial)
    for epoch in range(1, MAX_EPOCHS + 1):
        spin()
        trial.report(loss(hparams, epoch), epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss(hparams, MAX_EPOCHS)


def main() -> None:
    """Search, and print one JSON document as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["ray", "optuna"])
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--limit", type=float, required=True, help="seconds of the search, at most")
    arguments = parser.parse_args()
    search = {"ray": ray_tune, "optuna": optuna_processes}[arguments.peer]
    epochs = search(arguments.trials, arguments.workers, arguments.limit)
    print(json.dumps({"epochs": epochs, "ended": time.time()}), flush=True)


if __name__ == "__main__":
    main()
