"""What people do in place of `tuner`, in the same time: a child of `tests.benchmarks.time_to_accuracy`.

    python -m tests.benchmarks.time_to_accuracy_peers ray --minutes 30 --log ray.jsonl

`ray` and `optuna` search for a share of the time, with a training as a tutorial writes it, and retrain the best with
two seeds in the rest, as `tuner` does; `keras-tuner` does so with the CNN in Keras: see
`tests/benchmarks/keras_child.py`. `untuned` trains the reference's configuration all the time, with three seeds. Each
epoch is a line of the log; the last lines are of the models that were trained in the end, with their test accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import torch

from tests.benchmarks import keras_peer
from tests.benchmarks.epoch_log import say, train_until
from tests.benchmarks.optuna_processes import shared_study, side_by_side
from tests.benchmarks.tutorial_training import TutorialTraining
from tuner.data import load_dataset
from tuner.data.dataset import Dataset
from tuner.engine.task import Task, load_task

SEARCH_SHARE = 0.4
"""As `tuner` shares a budget out."""
MOST_EPOCHS = 10
"""Of a training in the search, as in Ray's tutorial."""
_SPACE = "cnn"


def main() -> None:
    """Spend the time and write the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["ray", "optuna", "keras-tuner", "untuned"])
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    deadline = time.time() + 60 * arguments.minutes
    if arguments.peer == "untuned":
        hparams, seeds = _task().space.reference(), 3
    else:
        seconds = SEARCH_SHARE * 60 * arguments.minutes
        search = {"ray": _ray_tune, "optuna": _optuna, "keras-tuner": _keras_tuner}[arguments.peer]
        search(seconds, arguments.seed, arguments.log)
        hparams, seeds = _winner(arguments.log), 2
    first = 1000 * arguments.seed + 1
    retrain = _retrain_in_keras if arguments.peer == "keras-tuner" else _retrain
    side_by_side(*((retrain, (hparams, seed, deadline, arguments.log)) for seed in range(first, first + seeds)))


def _task() -> Task:
    return load_task(_SPACE)


def _hparams(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_task().space.answer(values)[1])


def _data() -> Dataset:
    return load_dataset("fashion-mnist", None)


def _winner(log: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    best: dict[str, Any] = max(lines, key=lambda line: line["dev_accuracy"])["hparams"]
    return best


def _ray_tune(seconds: float, seed: int, log: Path) -> None:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        hparams, data = _hparams(config), _data()
        training = TutorialTraining(hparams, data.train, data.dev, seed)
        for epoch in range(1, MOST_EPOCHS + 1):
            accuracy = training.train_epoch()
            say(log, epoch=epoch, dev_accuracy=accuracy, hparams=hparams)
            tune.report({"dev_accuracy": accuracy})

    ray.init(num_cpus=os.cpu_count())
    starts = [dict(start) for start in _task().space.start]
    tuner = tune.Tuner(
        train,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(_define, metric="dev_accuracy", mode="max", points_to_evaluate=starts, seed=seed),
            scheduler=ASHAScheduler(metric="dev_accuracy", mode="max", max_t=MOST_EPOCHS),
            num_samples=-1,
            time_budget_s=seconds,
        ),
        run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(prefix="time-to-accuracy-")),
    )
    tuner.fit()
    ray.shutdown()


def _define(trial: optuna.Trial) -> None:
    """Define by run; of the module, for Ray pickles it with the searcher."""
    _task().space.suggest(trial)


def _optuna(seconds: float, seed: int, log: Path) -> None:
    storage = log.with_suffix(".study")
    study = _study(storage, seed)
    for start in _task().space.start:
        study.enqueue_trial(dict(start))
    until = time.time() + seconds
    side_by_side(*((_optimize, (storage, seed + number, until, log)) for number in range(os.cpu_count() or 1)))


def _study(storage: Path, seed: int) -> optuna.Study:
    return shared_study(storage, MOST_EPOCHS, direction="maximize", seed=seed)


def _optimize(storage: Path, seed: int, until: float, log: Path) -> None:
    torch.set_num_threads(1)
    task, data = _task(), _data()

    def objective(trial: optuna.Trial) -> float:
        hparams = task.space.suggest(trial)
        training = TutorialTraining(hparams, data.train, data.dev, seed)
        accuracy = 0.0
        for epoch in range(1, MOST_EPOCHS + 1):
            accuracy = training.train_epoch()
            say(log, epoch=epoch, dev_accuracy=accuracy, hparams=hparams)
            trial.report(accuracy, epoch)
            if time.time() > until or trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    _study(storage, seed).optimize(objective, timeout=until - time.time())


def _keras_tuner(seconds: float, seed: int, log: Path) -> None:
    until, data = time.time() + seconds, _data()
    file = log.with_suffix(".search.npz")
    keras_peer.save({"train": data.train, "dev": data.dev}, file)
    keras_peer.search(_SPACE, file, MOST_EPOCHS, until, seed, log)


def _retrain_in_keras(hparams: Mapping[str, Any], seed: int, deadline: float, log: Path) -> None:
    data, file = _data(), log.with_suffix(f".{seed}.npz")
    keras_peer.save({"train": data.train, "dev": data.dev, "test": data.test}, file)
    keras_peer.retrain(hparams, file, deadline, seed, log)


def _retrain(hparams: Mapping[str, Any], seed: int, deadline: float, log: Path) -> None:
    """Train as many epochs as there is time for, and say how good the weights of the best one are."""
    torch.set_num_threads(1)
    data = _data()
    training = TutorialTraining(hparams, data.train, data.dev, seed)
    told, model = {"seed": seed, "hparams": dict(hparams)}, training.model

    def weights() -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in model.state_dict().items()}

    epoch, best, kept = train_until(deadline, training.train_epoch, weights, log, **told)
    model.load_state_dict(kept)
    say(log, epochs=epoch, dev_accuracy=best, test_accuracy=training.accuracy(data.test), **told)


if __name__ == "__main__":
    main()
