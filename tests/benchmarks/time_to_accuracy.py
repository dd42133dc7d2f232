"""How accurate a model is after so many minutes, by `tuner` and by what people do in its place, on the same machine.

    TUNER_DATA_DIR=DIR python -m tests.benchmarks.time_to_accuracy --minutes 30 --results results.jsonl --json FILE

Fashion-MNIST, the CNN and the space `cnn` with its start configurations for all. Each method has the wall clock to
itself, from its command on; `tuner` trains no baseline, for no other method does. The peers are as documented, with the
training of a tutorial: see `time_to_accuracy_peers`; Keras Tuner, with Keras in an environment of its own, can be given
no start configurations. Told are the best dev accuracy that each had seen by then, and the
test accuracy of the models that it trained in the end, read once. It takes `--minutes` for each method; what is in
`--results` is not done again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tests.benchmarks import keras_peer
from tests.benchmarks.output import machine, publish
from tests.environment import untouched_environment
from tuner.engine.provenance import source_commit
from tuner.journal.events import EpochReported, RetrainEpochReported
from tuner.journal.store import read_journal
from tuner.loaded_run import load_run
from tuner.paths import RunPaths

_MARKS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the time, when the best dev accuracy is told."""
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    minutes: float = 30.0
    methods: str = "tuner,ray,optuna,keras-tuner,untuned"
    seed: int = 0
    results: Path | None = None
    """A line for each method that is done."""
    json: Path | None = None


@dataclass(frozen=True)
class Spent:
    """What a method did with its time."""

    seen: list[tuple[float, float]]
    """Seconds since its command and dev accuracy, of each epoch."""
    final: list[dict[str, Any]]
    """Of each model that was trained in the end: its seed, and its accuracy on dev and test."""
    seconds: float


def spent_by_tuner(minutes: float, seed: int, folder: Path) -> Spent:
    """Run the command."""
    began = time.time()
    flags = ["--budget", f"{round(60 * minutes)}s", "--space", "cnn", "--dataset", "fashion-mnist", "--no-baseline"]
    _run("tuner.run", *flags, "--seed", str(seed), "--storage", str(folder), "--name", "study")
    seconds = time.time() - began
    paths = RunPaths(folder / "study")
    seen = [
        (entry.time - began, float(entry.event.metrics["dev_accuracy"]))
        for entry in read_journal(paths.journal)
        if isinstance(entry.event, EpochReported | RetrainEpochReported)
    ]
    tuned = load_run(paths.root).final.query("candidate == 'tuned'")
    final = [  # NumPy's integers are none of JSON's
        {"seed": own["seed"].tolist()[0], **dict(zip(own["split"], own["accuracy"].tolist(), strict=True))}
        for _, own in tuned.groupby("seed")
    ]
    return Spent(seen, final, seconds)


def spent_by_peer(peer: str, minutes: float, seed: int, folder: Path) -> Spent:
    """Run what people do in place of the command."""
    began, log = time.time(), folder / f"{peer}.jsonl"
    arguments = [peer, "--minutes", str(minutes), "--seed", str(seed), "--log", str(log)]
    _run("tests.benchmarks.time_to_accuracy_peers", *arguments)
    seconds = time.time() - began
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    seen = [(line["at"] - began, line["dev_accuracy"]) for line in lines if "test_accuracy" not in line]
    final = [
        {"seed": line["seed"], "dev": line["dev_accuracy"], "test": line["test_accuracy"], "epochs": line["epochs"]}
        for line in lines
        if "test_accuracy" in line
    ]
    return Spent(seen, final, seconds)


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    # Ray's own trials work in folders of their own, from which a relative path leads elsewhere; and below `uv run` Ray
    # would make an environment anew for each session.
    given = {name: str(Path(path).resolve()) for name, path in os.environ.items() if name == "TUNER_DATA_DIR"}
    given["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    subprocess.run(command, cwd=_REPOSITORY, env=untouched_environment() | given, stdout=sys.stderr, check=True)


def measure(method: str, arguments: Arguments) -> dict[str, Any]:
    """Let a method have its time, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix="time-to-accuracy-") as name:
        if method == "tuner":
            spent = spent_by_tuner(arguments.minutes, arguments.seed, Path(name))
        else:
            if method == "keras-tuner":
                keras_peer.prepare()
            spent = spent_by_peer(method, arguments.minutes, arguments.seed, Path(name))
    return {
        "method": method,
        "minutes": arguments.minutes,
        "seed": arguments.seed,
        "commit": source_commit(),
        "seconds": round(spent.seconds, 1),
        "epochs": len(spent.seen),
        "best_dev_by_minute": _best_by_minute(spent.seen, arguments.minutes),
        "final": spent.final,
        "test_mean": sum(one["test"] for one in spent.final) / len(spent.final),
    }


def _best_by_minute(seen: Iterable[tuple[float, float]], minutes: float) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for mark in _MARKS:
        until = [accuracy for seconds, accuracy in seen if seconds <= 60 * mark * minutes]
        found[f"{mark * minutes:g}"] = max(until, default=None)
    return found


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure each method that is not measured yet, one after the other."""
    file = arguments.results
    known = [json.loads(line) for line in file.read_text().splitlines()] if file and file.exists() else []
    found = {
        one["method"]: one for one in known if (one["minutes"], one["seed"]) == (arguments.minutes, arguments.seed)
    }
    for method in arguments.methods.split(","):
        if method not in found:
            found[method] = measure(method, arguments)
            if file:
                with file.open("a") as lines:
                    lines.write(json.dumps(found[method]) + "\n")
    return {"machine": machine(), "minutes": arguments.minutes, "methods": found}


if __name__ == "__main__":
    arguments = tyro.cli(Arguments, description=__doc__)
    publish(main(arguments), arguments.json)
